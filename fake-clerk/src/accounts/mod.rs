//! Descriptions of users, their accounts at identity providers, organizations and API keys.

pub(crate) mod api_key;
pub(crate) mod demo;
pub(crate) mod linked;
pub(crate) mod organization;
pub(crate) mod user;

pub use crate::accounts::api_key::FakeApiKey;
pub use crate::accounts::linked::{FakeEnterpriseAccount, FakeExternalAccount, VerificationStatus};
pub use crate::accounts::organization::FakeOrganization;
pub use crate::accounts::user::FakeUser;
