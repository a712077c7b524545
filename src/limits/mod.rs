//! The limits of calls to Clerk: two rate limits with their queues, the failures of an account, remembered denials,
//! back-off after a 429, and the circuit for outages (rules P1 to P4, K11, K13).
//!
//! These modules are policy alone, and take the time as an argument. They don't know the calls, their answers or the
//! cache; callers translate an answer into the terms of these modules.

mod backoff;
mod calls;
mod circuit;
mod denials;
mod failure_count;
mod failure_counts;
mod forgiven;
mod grounds;
mod limiter;
mod policy;
mod shared;
mod sign_ins;
mod warn_throttle;

pub(crate) use self::backoff::{CLERK_WINDOW, CallKind, RENEWAL_PAUSE, SharedBackoff};
pub(crate) use self::calls::{CallLimiter, CallQueue, Urgency};
pub use self::circuit::CircuitState;
pub(crate) use self::circuit::{Circuit, Pass};
pub(crate) use self::denials::{Denials, Refusal, Repeats};
pub(crate) use self::failure_counts::{Failure, FailureCounts, Pause};
pub(crate) use self::forgiven::{Epoch, Forgiven};
pub(crate) use self::grounds::Ground;
pub(crate) use self::limiter::{NoPermit, Permit};
#[cfg(feature = "redis")]
pub(crate) use self::policy::RequestId;
#[cfg(feature = "redis")]
pub(crate) use self::shared::{Entry, Gate, Lift, Shared, SharedFailures, SharedPause};
pub(crate) use self::sign_ins::{Budget, PermitRequest, Share, SignInLimiter, SignInPermit};
pub(crate) use self::warn_throttle::WarnThrottle;
