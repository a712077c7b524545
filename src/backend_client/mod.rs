//! The client of the Backend API for programs: lists of users, organizations and memberships, and single ones of them.

mod answer;
mod client;
mod error;
mod list;
mod query;
mod read;

pub use self::answer::{Answer, InstanceData, Page};
pub use self::client::BackendClient;
pub use self::error::{BackendError, BackendErrorKind};
pub use self::list::ListOrder;
pub use self::query::{MembershipQuery, OrganizationQuery, UserQuery};
