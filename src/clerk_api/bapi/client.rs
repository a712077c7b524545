//! The calls to Clerk's Backend API. Each call waits for a permit of the call budget.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use super::account::{Account, IdentifierKind};
use super::secret_key::SecretKey;
use super::wire;
use crate::clerk_api::{
    ApiError, Body, Call, Caller, ErrorClass, Minted, Raw, TimeLeft, is_path_segment, parse,
};
#[cfg(feature = "backend")]
use crate::clock::Clock;
use crate::counters::Operation;
use crate::limits::{CallLimiter, CallQueue, NoPermit, Permit, Urgency};
use crate::membership::Membership;

/// Users per page of a look-up.
const PAGE: usize = 100;
/// Pages that a look-up reads at most. No real address is claimed by more users than these pages hold.
const PAGES: usize = 3;
/// Memberships per answer: the most that Clerk sends.
const MOST_MEMBERSHIPS: usize = 500;

/// Lifetime of a ticket in seconds. It is used at once.
const TICKET_LIFE: u64 = 60;

/// A client of one instance's Backend API.
pub(crate) struct Bapi {
    caller: Caller,
    key: SecretKey,
    budget: Arc<CallLimiter>,
}

impl Bapi {
    pub(crate) fn new(caller: Caller, key: SecretKey, budget: Arc<CallLimiter>) -> Self {
        Self { caller, key, budget }
    }

    #[cfg(feature = "backend")]
    pub(super) fn clock(&self) -> Clock {
        self.caller.clock()
    }

    /// `GET /v1/users` by address, number or user name: the users who have this identifier, verified.
    pub(crate) async fn find(
        &self,
        identifier: &str,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Vec<Account>, ApiError> {
        let kind = IdentifierKind::of(identifier);
        let mut found = Vec::new();
        for page in 0..PAGES {
            let (limit, offset) = (PAGE.to_string(), (page * PAGE).to_string());
            let path = form_urlencoded::Serializer::for_suffix("/v1/users?".to_owned(), "/v1/users?".len())
                .append_pair(kind.parameter(), &kind.canonical(identifier))
                .append_pair("limit", &limit)
                .append_pair("offset", &offset)
                .finish();
            let answer = self.get(Operation::FindUser, urgency, &path, time).await;
            let users: Vec<wire::User> = match answer {
                Ok(raw) => parse(&raw.body)?,
                // Clerk accepts no identifier of this shape, so no user has it.
                Err(error) if error.class == ErrorClass::NotFound => return Ok(found),
                Err(error) => return Err(error),
            };
            let is_last = users.len() < PAGE;
            found.extend(users.into_iter().map(Account::from).filter(|user| user.goes_by(identifier)));
            if is_last {
                return Ok(found);
            }
        }
        Err(ApiError::unavailable("too_many_users_found"))
    }

    /// `GET /v1/users/{id}`. Fails with [`ErrorClass::NotFound`] if there is no such user.
    pub(crate) async fn user(
        &self,
        user_id: &str,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Account, ApiError> {
        let path = format!("/v1/users/{}", id(user_id)?);
        let raw = self.get(Operation::User, urgency, &path, time).await?;
        let user: wire::User = parse(&raw.body)?;
        if user.id == user_id { Ok(user.into()) } else { Err(ApiError::unavailable("another_user")) }
    }

    /// `POST /v1/users/{id}/verify_password`.
    pub(crate) async fn verify_password(
        &self,
        user_id: &str,
        password: &str,
        time: &mut TimeLeft,
    ) -> Result<(), ApiError> {
        #[derive(Serialize)]
        struct Payload<'a> {
            password: &'a str,
        }
        let path = format!("/v1/users/{}/verify_password", id(user_id)?);
        let body = Body::json(&Payload { password }, password.len())?;
        let raw = self.post(Operation::VerifyPassword, Urgency::Proof, &path, body, time).await?;
        // The status already says so; the body is checked as well.
        if parse::<wire::Verified>(&raw.body)?.verified {
            Ok(())
        } else {
            Err(ApiError::unavailable("password_not_verified"))
        }
    }

    /// `GET /v1/users/{id}/organization_memberships`.
    pub(crate) async fn memberships(
        &self,
        user_id: &str,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Vec<Membership>, ApiError> {
        let path = format!("/v1/users/{}/organization_memberships?limit={MOST_MEMBERSHIPS}", id(user_id)?);
        let raw = self.get(Operation::Memberships, urgency, &path, time).await?;
        let memberships = parse::<wire::Memberships>(&raw.body)?.data.into_iter();
        Ok(memberships.map(|membership| membership.organization.into()).collect())
    }

    /// `POST /v1/sign_in_tokens`: a ticket that signs this user in once, within a minute.
    pub(crate) async fn ticket(
        &self,
        user_id: &str,
        organization_id: Option<&str>,
        time: &mut TimeLeft,
    ) -> Result<Zeroizing<String>, ApiError> {
        #[derive(Serialize)]
        struct Payload<'a> {
            user_id: &'a str,
            expires_in_seconds: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            org_id: Option<&'a str>,
        }
        let payload = Payload { user_id, expires_in_seconds: TICKET_LIFE, org_id: organization_id };
        let body = Body::json(&payload, user_id.len() + organization_id.map_or(0, str::len))?;
        let raw = self.post(Operation::Ticket, Urgency::Proof, "/v1/sign_in_tokens", body, time).await?;
        let ticket = parse::<wire::SignInToken>(&raw.body)?.token.filter(|ticket| !ticket.is_empty());
        ticket.ok_or_else(|| ApiError::unavailable("no_ticket"))
    }

    /// `POST /v1/sessions/{id}/tokens`, or `…/tokens/{template}`, for the session's active organization. `life` is the
    /// lifetime of the token; `None` takes the instance's.
    pub(crate) async fn mint(
        &self,
        session_id: &str,
        template: Option<&str>,
        life: Option<Duration>,
        time: &mut TimeLeft,
    ) -> Result<Minted, ApiError> {
        #[derive(Serialize)]
        struct Payload {
            #[serde(skip_serializing_if = "Option::is_none")]
            expires_in_seconds: Option<u64>,
        }
        let session_id = id(session_id)?;
        let (operation, path) = match template {
            Some(name) => {
                (Operation::BackendMintTemplate, format!("/v1/sessions/{session_id}/tokens/{name}"))
            }
            None => (Operation::BackendMint, format!("/v1/sessions/{session_id}/tokens")),
        };
        let payload = Payload { expires_in_seconds: life.map(|life| life.as_secs()) };
        self.post(operation, Urgency::Token, &path, Body::json(&payload, 0)?, time).await?.minted()
    }

    /// `GET /v1/sessions/{id}`: whether the session is live.
    pub(crate) async fn session_is_live(
        &self,
        session_id: &str,
        time: &mut TimeLeft,
    ) -> Result<bool, ApiError> {
        let path = format!("/v1/sessions/{}", id(session_id)?);
        match self.get(Operation::BackendSession, Urgency::Token, &path, time).await {
            Ok(raw) => {
                let session: wire::Session = parse(&raw.body)?;
                Ok(session.id == session_id && matches!(session.status.as_str(), "active" | "pending"))
            }
            Err(error) if error.class == ErrorClass::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `POST /v1/sessions/{id}/revoke`. Succeeds if the session has already ended.
    pub(crate) async fn revoke(&self, session_id: &str, time: &mut TimeLeft) -> Result<(), ApiError> {
        let path = format!("/v1/sessions/{}/revoke", id(session_id)?);
        match self.post(Operation::Revoke, Urgency::End, &path, Body::default(), time).await {
            Ok(_) => Ok(()),
            Err(error) if error.class == ErrorClass::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// `GET /v1/jwks`: the keys of the instance that the secret key belongs to.
    pub(crate) async fn jwks(&self, time: &mut TimeLeft) -> Result<Bytes, ApiError> {
        self.get(Operation::BackendJwks, Urgency::Proof, "/v1/jwks", time).await.map(|raw| raw.body)
    }

    pub(super) async fn get(
        &self,
        operation: Operation,
        urgency: Urgency,
        path: &str,
        time: &mut TimeLeft,
    ) -> Result<Raw, ApiError> {
        self.call(operation, urgency, Method::GET, path, Body::default(), time).await
    }

    pub(super) async fn post(
        &self,
        operation: Operation,
        urgency: Urgency,
        path: &str,
        body: Body,
        time: &mut TimeLeft,
    ) -> Result<Raw, ApiError> {
        self.call(operation, urgency, Method::POST, path, body, time).await
    }

    /// Waits for a permit. A list waits beyond a pause as well, during which the others are told to come back later.
    async fn permit(&self, urgency: Urgency) -> Result<Permit<CallQueue>, ApiError> {
        loop {
            match self.budget.permit(urgency).await {
                Ok(permit) => return Ok(permit),
                Err(NoPermit { earliest }) if urgency.waits() && !self.budget.is_closed() => {
                    tokio::time::sleep(earliest).await;
                }
                Err(NoPermit { earliest }) => {
                    let error = ApiError::coded(ErrorClass::NoPermit, "backend_budget");
                    return Err(ApiError { retry_after: Some(earliest), ..error });
                }
            }
        }
    }

    async fn call(
        &self,
        operation: Operation,
        urgency: Urgency,
        method: Method,
        path: &str,
        body: Body,
        time: &mut TimeLeft,
    ) -> Result<Raw, ApiError> {
        // Not inside `time.run`: the wait for a permit doesn't use up the time of the exchange (rule S6).
        self.permit(urgency).await?.start();
        let authorization = Some(self.key.header());
        let call = Call { operation, method, path, authorization, body };
        let answer = time.run(self.caller.call(call)).await;
        if let Err(error) = &answer
            && error.class == ErrorClass::RateLimited
        {
            let pause = self.budget.rate_limited(error.retry_after);
            tracing::warn!(pause_secs = pause.as_secs(), "the Backend API's quota is spent");
        }
        answer
    }
}

/// Checks an id before it becomes part of a path. Ids come from Clerk, or from a file that others may have changed.
pub(super) fn id(id: &str) -> Result<&str, ApiError> {
    if is_path_segment(id) { Ok(id) } else { Err(ApiError::coded(ErrorClass::NotFound, "unusable_id")) }
}
