//! Counts requests and calls to Clerk (rule O2).

mod calls;
mod malformed;
mod operation;
mod outcomes;
mod stripes;

pub(crate) use self::calls::Calls;
pub use self::calls::UpstreamCalls;
pub(crate) use self::malformed::MalformedCounts;
pub(crate) use self::operation::{CallResult, Operation};
pub use self::outcomes::Outcome;
pub(crate) use self::outcomes::Outcomes;
