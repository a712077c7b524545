//! Descriptions of users and organizations.

pub(crate) mod demo;
pub(crate) mod organization;
pub(crate) mod user;

pub use crate::accounts::organization::FakeOrganization;
pub use crate::accounts::user::FakeUser;
