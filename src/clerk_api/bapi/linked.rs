//! The accounts at providers that are linked to a user, and the look-up of the user by one of them.

use super::account::Account;
use super::client::Bapi;
use super::wire;
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft, Verification, parse};
use crate::counters::Operation;
use crate::limits::Urgency;

/// The users that are asked for: more than one is as good as none.
const LIMIT: &str = "10";

/// The linked accounts that can identify a user: verified ones, and of enterprise connections the active ones.
#[derive(Default)]
pub(super) struct LinkedAccounts {
    /// Provider and id.
    external: Vec<(String, String)>,
    /// Connection and id.
    enterprise: Vec<(String, String)>,
}

impl LinkedAccounts {
    pub(super) fn of(
        external: Option<Vec<wire::ExternalAccount>>,
        enterprise: Option<Vec<wire::EnterpriseAccount>>,
    ) -> Self {
        let is_verified = |verification: &Option<Verification>| {
            verification.as_ref().is_some_and(|verification| verification.is_done())
        };
        let external = external.into_iter().flatten().filter(|account| is_verified(&account.verification));
        let enterprise = enterprise.into_iter().flatten().filter(|account| {
            let is_open = account.enterprise_connection.as_ref().is_none_or(|connection| connection.active);
            account.active && is_open && is_verified(&account.verification)
        });
        let of_connection = |account: wire::EnterpriseAccount| {
            let connection = account.enterprise_connection.map(|connection| connection.id);
            Some((account.enterprise_connection_id.or(connection)?, account.provider_user_id?))
        };
        Self {
            external: external.filter_map(|it| Some((it.provider?, it.provider_user_id?))).collect(),
            enterprise: enterprise.filter_map(of_connection).collect(),
        }
    }
}

impl Account {
    /// Whether a verified external account of this provider (`oauth_…`) has this id.
    pub(crate) fn has_external(&self, provider: &str, id: &str) -> bool {
        // Clerk's own libraries show a provider with and without the prefix.
        let bare = |name: &str| name.strip_prefix("oauth_").unwrap_or(name).to_owned();
        self.linked.external.iter().any(|(other, held)| bare(other) == bare(provider) && held == id)
    }

    /// Whether an active account of this enterprise connection has this id.
    pub(crate) fn has_enterprise(&self, connection: &str, id: &str) -> bool {
        self.linked.enterprise.iter().any(|(other, held)| other == connection && held == id)
    }
}

impl Bapi {
    /// `GET /v1/users` by an external account: the users who have it, verified.
    pub(crate) async fn find_by_external(
        &self,
        provider: &str,
        id: &str,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Vec<Account>, ApiError> {
        let path = form_urlencoded::Serializer::for_suffix("/v1/users?".to_owned(), "/v1/users?".len())
            .append_pair("provider", provider)
            .append_pair("provider_user_id", id)
            .append_pair("limit", LIMIT)
            .finish();
        let users: Vec<wire::User> = match self.get(Operation::FindUser, urgency, &path, time).await {
            Ok(raw) => parse(&raw.body)?,
            Err(error) if error.class == ErrorClass::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // A Clerk that ignored the parameters would answer with all users.
        Ok(users.into_iter().map(Account::from).filter(|user| user.has_external(provider, id)).collect())
    }
}
