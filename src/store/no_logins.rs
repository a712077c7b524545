//! Login records in a build without a store that they could outlive the process in: there are none.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::records::{If, Name, Wait};
use crate::client_token::ClientToken;
use crate::credentials::Decoding;
use crate::membership::Membership;

pub(crate) type LoginName = Name;

/// See the type of this name with the feature `sqlite`.
pub(crate) struct LoginRecord {
    pub(crate) user_id: Box<str>,
    pub(crate) proven_at: SystemTime,
    pub(crate) proof_end: SystemTime,
    pub(crate) session: Option<LoginSession>,
    pub(crate) memberships: Box<[Membership]>,
}

/// See the type of this name with the feature `sqlite`.
pub(crate) struct LoginSession {
    pub(crate) id: Box<str>,
    pub(crate) client_token: Option<Arc<ClientToken>>,
    pub(crate) organization: Option<Box<str>>,
    pub(crate) end: Option<SystemTime>,
    pub(crate) choose_organization: bool,
}

/// See the type of this name with the feature `sqlite`.
pub(crate) struct FoundLogin {
    pub(crate) record: LoginRecord,
    pub(crate) revision: u64,
}

/// Has no values.
#[derive(Debug)]
pub(crate) enum PreparedLogin {}

/// Has no values, so that the engine's code for them is left out of the program.
pub(crate) enum Logins {}

impl Logins {
    pub(crate) fn name(&self, _: &str, _: Decoding) -> LoginName {
        match *self {}
    }

    pub(crate) async fn find(&self, _: LoginName, _: &str, _: Instant) -> Option<FoundLogin> {
        match *self {}
    }

    pub(crate) async fn revision(&self, _: LoginName, _: &str) -> Option<u64> {
        match *self {}
    }

    pub(crate) async fn prepare(&self, _: LoginName, _: &str) -> Option<PreparedLogin> {
        match *self {}
    }

    pub(crate) fn put(&self, _: &PreparedLogin, _: &LoginRecord, _: SystemTime) -> Wait<Option<u64>> {
        match *self {}
    }

    pub(crate) fn delete(&self, _: LoginName, _: If) -> Wait<()> {
        match *self {}
    }
}
