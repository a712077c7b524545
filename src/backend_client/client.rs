//! The client and what it reads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::answer::{Answer, InstanceData, Page};
use super::error::BackendError;
use super::list::check_id;
use super::query::{MembershipQuery, OrganizationQuery, UserQuery};
use super::read::{of_array, of_object, read_at};
use crate::clerk_api::bapi::Bapi;
use crate::clerk_api::{ErrorClass, parse, unreadable};
use crate::counters::Operation;
use crate::jitter::Jitter;
use crate::objects::{MembershipData, OrganizationData, UserData};

/// Reads the users, the organizations and the memberships of an instance by its secret key.
///
/// For programs that keep a copy of them. Authorize requests by their tokens, which are never older than a minute, and not by
/// a copy. [`Clerk::backend`](crate::Clerk::backend) returns one that shares the key, the budget and the transport of an
/// engine, and [`BackendClient::builder`] makes one for a program without an engine. A clone is cheap and shares all of it.
///
/// # How it treats Clerk
///
/// - Reads are the least urgent calls. They take a tenth of the budget of calls by default, spread evenly, and wait for their
///   turn as long as it takes.
/// - An answer of 429 pauses all calls of the budget. A read waits up to five such pauses, and then fails as
///   [`RateLimited`](super::BackendErrorKind::RateLimited).
/// - After an outage (no answer, or one of 5xx) a read is repeated three times, after about 1, 2 and 4 s.
/// - A page of more than 16 MiB is asked for again with half as many entries.
/// - Dropping a future ends its wait or its call.
///
/// ```no_run
/// use tower_clerk::backend::{BackendClient, ListOrder, UserQuery};
///
/// # async fn example(secret_key: String) -> Result<(), Box<dyn std::error::Error>> {
/// let clerk = BackendClient::builder(secret_key).build()?;
/// let mut query = UserQuery::new().order_by(ListOrder::OldestFirst);
/// loop {
///     let page = clerk.users(&query).await?;
///     for user in &page.entries {
///         println!("{} {:?}", user.id, user.username);
///     }
///     let Some(last) = page.entries.last().filter(|_| !page.is_last()) else { break };
///     query = query.limit(page.limit).starting_after(&last.id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BackendClient {
    pub(super) bapi: Arc<Bapi>,
    /// The time for an answer.
    pub(super) timeout: Duration,
    pub(super) jitter: Arc<Jitter>,
}

impl BackendClient {
    pub(crate) fn new(bapi: Arc<Bapi>, timeout: Duration, jitter: Arc<Jitter>) -> Self {
        Self { bapi, timeout, jitter }
    }

    /// `GET /v1/users`: a page of the users.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why.
    pub async fn users(&self, query: &UserQuery) -> Result<Page<UserData>, BackendError> {
        self.page(Operation::ListUsers, "/v1/users", query, of_array, UserData::read).await
    }

    /// `GET /v1/users/count`: how many users there are.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why.
    pub async fn count_users(&self) -> Result<Answer<u64>, BackendError> {
        #[derive(Deserialize)]
        struct Count {
            total_count: u64,
        }
        let raw = self.read(Operation::CountUsers, "/v1/users/count").await?;
        let Count { total_count } = parse(&raw.body)?;
        Ok(Answer { value: total_count, read_at: read_at(raw.timing.date)? })
    }

    /// `GET /v1/users/{id}`: a user, or `None` if there is none with this id.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why.
    pub async fn user(&self, user_id: &str) -> Result<Answer<Option<UserData>>, BackendError> {
        check_id(user_id)?;
        let path = format!("/v1/users/{user_id}");
        self.object(Operation::User, &path, |json| UserData::read(json).ok().filter(|it| it.id == user_id))
            .await
    }

    /// `GET /v1/organizations`: a page of the organizations, with the counts of their members.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why.
    pub async fn organizations(
        &self,
        query: &OrganizationQuery,
    ) -> Result<Page<OrganizationData>, BackendError> {
        let (operation, path) = (Operation::ListOrganizations, "/v1/organizations");
        self.page(operation, path, query, of_object, OrganizationData::read).await
    }

    /// `GET /v1/organizations/{id}`: an organization with the count of its members, or `None` if there is none with this id.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why.
    pub async fn organization(
        &self,
        organization_id: &str,
    ) -> Result<Answer<Option<OrganizationData>>, BackendError> {
        check_id(organization_id)?;
        let path = format!("/v1/organizations/{organization_id}?include_members_count=true");
        let read = |json: &str| OrganizationData::read(json).ok().filter(|it| it.id == organization_id);
        self.object(Operation::Organization, &path, read).await
    }

    /// `GET /v1/organization_memberships`: a page of the memberships of all organizations.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why. A query with
    /// [`user_ids`](MembershipQuery::user_ids) is [`Invalid`](super::BackendErrorKind::Invalid) here.
    pub async fn memberships(&self, query: &MembershipQuery) -> Result<Page<MembershipData>, BackendError> {
        if query.has_users() {
            return Err(BackendError::invalid("no_such_filter"));
        }
        let (operation, path) = (Operation::ListMemberships, "/v1/organization_memberships");
        self.page(operation, path, query, of_object, MembershipData::read).await
    }

    /// `GET /v1/organizations/{id}/memberships`: a page of the memberships of one organization.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why. If there is no such organization, it is
    /// [`NotFound`](super::BackendErrorKind::NotFound).
    pub async fn memberships_of(
        &self,
        organization_id: &str,
        query: &MembershipQuery,
    ) -> Result<Page<MembershipData>, BackendError> {
        check_id(organization_id)?;
        let path = format!("/v1/organizations/{organization_id}/memberships");
        self.page(Operation::ListOrganizationMemberships, &path, query, of_object, MembershipData::read).await
    }

    /// `GET /v1/instance`: the instance that the secret key belongs to.
    ///
    /// # Errors
    ///
    /// Returns a [`BackendError`]; its [`kind`](BackendError::kind) tells why.
    pub async fn instance(&self) -> Result<Answer<InstanceData>, BackendError> {
        #[derive(Deserialize)]
        struct Instance {
            id: String,
            environment_type: Option<String>,
        }
        let raw = self.read(Operation::Instance, "/v1/instance").await?;
        let Instance { id, environment_type } = parse(&raw.body)?;
        let value = InstanceData { id, environment: environment_type };
        Ok(Answer { value, read_at: read_at(raw.timing.date)? })
    }

    /// Reads one object, if Clerk has it.
    async fn object<T>(
        &self,
        operation: Operation,
        path: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Answer<Option<T>>, BackendError> {
        match self.read(operation, path).await {
            Ok(raw) => {
                let value = str::from_utf8(&raw.body).ok().and_then(read).ok_or_else(unreadable)?;
                Ok(Answer { value: Some(value), read_at: read_at(raw.timing.date)? })
            }
            Err(error) if error.class == ErrorClass::NotFound => {
                Ok(Answer { value: None, read_at: read_at(error.date)? })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Debug for BackendClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
