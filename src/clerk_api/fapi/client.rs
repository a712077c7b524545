//! The calls to Clerk's Frontend API about clients, sessions and tokens, in native mode.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use super::answer::{Environment, SignedIn, Touched};
use super::wire;
use crate::clerk_api::{ApiError, Body, Call, Caller, ErrorClass, Minted, Raw, header, parse};
use crate::client_token::{ClientSlot, ClientToken, TokenUpdate};
use crate::counters::Operation;

/// The organization that a token is minted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MintFor<'a> {
    /// The personal account, sent as an *empty* `organization_id`. Without the parameter Clerk takes the last active
    /// organization (rule S7).
    Personal,
    Organization(&'a str),
}

impl<'a> MintFor<'a> {
    pub(crate) fn as_parameter(self) -> &'a str {
        match self {
            Self::Personal => "",
            Self::Organization(id) => id,
        }
    }
}

/// A client of one instance's Frontend API.
pub(crate) struct Fapi {
    caller: Caller,
}

impl Fapi {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Makes a call with the client's token, and updates the token from the answer.
    pub(super) async fn call_as(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        query: &str,
        client: &ClientSlot,
        body: Body,
    ) -> Result<Raw, ApiError> {
        let carried =
            client.current().ok_or_else(|| ApiError::coded(ErrorClass::SessionGone, "client_gone"))?;
        let raw = self.call(operation, method, path, query, Some(&carried), body).await?;
        client.update(&carried, token_update(&raw.headers));
        Ok(raw)
    }

    pub(super) async fn call(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        query: &str,
        token: Option<&ClientToken>,
        body: Body,
    ) -> Result<Raw, ApiError> {
        let authorization = match token.map(ClientToken::header) {
            Some(None) => return Err(ApiError::coded(ErrorClass::SessionGone, "client_token_unsendable")),
            Some(header) => header,
            None => None,
        };
        let path = &format!("{path}?_is_native=1{query}");
        self.caller.call(Call { operation, method, path, authorization, body }).await
    }

    /// `GET /v1/client`: the live sessions of a client.
    pub(crate) async fn sessions_of(&self, client: &Arc<ClientSlot>) -> Result<Vec<SignedIn>, ApiError> {
        #[derive(serde::Deserialize)]
        struct ClientAnswer {
            response: Option<wire::Client>,
        }
        let raw =
            self.call_as(Operation::Client, Method::GET, "/v1/client", "", client, Body::default()).await?;
        let sessions = parse::<ClientAnswer>(&raw.body)?.response.map_or_else(Vec::new, |it| it.sessions);
        let live = sessions.into_iter().filter(|it| matches!(it.status.as_str(), "active" | "pending"));
        live.map(|session| session.signed_in(client, raw.timing)).collect()
    }

    /// `POST /v1/client/sessions/{id}/touch`: activates an organization, given by id or slug, in the session.
    pub(crate) async fn touch(
        &self,
        session_id: &str,
        client: &ClientSlot,
        organization: &str,
    ) -> Result<Touched, ApiError> {
        let path = format!("/v1/client/sessions/{session_id}/touch");
        let form = [("active_organization_id", organization), ("intent", "select_org")];
        let raw = self.call_as(Operation::Touch, Method::POST, &path, "", client, Body::form(&form)).await?;
        let session = parse::<wire::TouchAnswer>(&raw.body)?.response;
        if session.id != session_id {
            return Err(ApiError::unavailable("another_session"));
        }
        let pending = (session.status == "pending").then(|| wire::task_keys(session.tasks));
        let jwt = session.last_active_token.and_then(crate::clerk_api::Token::into_jwt);
        Ok(Touched {
            pending,
            active_organization: wire::none_if_empty(session.last_active_organization_id),
            token: jwt.map(|jwt| Minted { jwt, timing: raw.timing }),
        })
    }

    /// `POST /v1/client/sessions/{id}/tokens`. `expired` is the last token of this kind, which some instances require
    /// (422 `missing_expired_token`).
    pub(crate) async fn mint(
        &self,
        session_id: &str,
        client: &ClientSlot,
        organization: MintFor<'_>,
        expired: Option<&str>,
    ) -> Result<Minted, ApiError> {
        let path = format!("/v1/client/sessions/{session_id}/tokens");
        let form = Body::form(&[("organization_id", organization.as_parameter())]);
        let query = expired.map(|jwt| format!("&expired_token={jwt}")).unwrap_or_default();
        self.call_as(Operation::Mint, Method::POST, &path, &query, client, form).await?.minted()
    }

    /// `POST /v1/client/sessions/{id}/tokens/{template}`, for the session's active organization.
    pub(crate) async fn mint_template(
        &self,
        session_id: &str,
        client: &ClientSlot,
        template: &str,
    ) -> Result<Minted, ApiError> {
        let path = format!("/v1/client/sessions/{session_id}/tokens/{template}");
        let body = Body::default();
        self.call_as(Operation::MintTemplate, Method::POST, &path, "", client, body).await?.minted()
    }

    /// `GET /v1/client/sessions/{id}`: whether the session is live. For a 404 that doesn't say what is missing.
    pub(crate) async fn session_is_live(
        &self,
        session_id: &str,
        client: &ClientSlot,
    ) -> Result<bool, ApiError> {
        #[derive(serde::Deserialize)]
        struct SessionAnswer {
            response: wire::Session,
        }
        let path = format!("/v1/client/sessions/{session_id}");
        match self.call_as(Operation::Session, Method::GET, &path, "", client, Body::default()).await {
            Ok(raw) => {
                let session = parse::<SessionAnswer>(&raw.body)?.response;
                Ok(session.id == session_id && matches!(session.status.as_str(), "active" | "pending"))
            }
            Err(error) if matches!(error.class, ErrorClass::NotFound | ErrorClass::SessionGone) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `POST /v1/client/sessions/{id}/end`. Succeeds if the session has already ended.
    pub(crate) async fn end(&self, session_id: &str, client: &ClientSlot) -> Result<(), ApiError> {
        let path = format!("/v1/client/sessions/{session_id}/end");
        match self.call_as(Operation::End, Method::POST, &path, "", client, Body::default()).await {
            Err(error) if !matches!(error.class, ErrorClass::NotFound | ErrorClass::SessionGone) => {
                Err(error)
            }
            _ => {
                client.ended().set(session_id);
                Ok(())
            }
        }
    }

    /// `GET /v1/environment`: the settings of the instance.
    pub(crate) async fn environment(&self) -> Result<Environment, ApiError> {
        let none = Body::default();
        let raw = self.call(Operation::Environment, Method::GET, "/v1/environment", "", None, none).await?;
        let environment: wire::Environment = parse(&raw.body)?;
        let auth = environment.auth_config;
        let user = environment.user_settings;
        let (attributes, protection) =
            user.map_or((None, None), |user| (user.attributes, user.attack_protection));
        let lockout = protection.and_then(|protection| protection.user_lockout);
        let wall = self.caller.clock().wall();
        Ok(Environment {
            single_session_mode: auth.as_ref().and_then(|auth| auth.single_session_mode),
            native_api: auth.and_then(|auth| auth.native_settings?.api_enabled),
            passwords: attributes.and_then(|attributes| attributes.password?.enabled),
            device_attestation: environment
                .fraud_settings
                .and_then(|fraud| fraud.native?.device_attestation_mode)
                .map(Into::into),
            lockout_after: lockout
                .filter(|lockout| lockout.enabled != Some(false))
                .and_then(|it| it.max_attempts),
            maintenance: environment.maintenance_mode,
            clock_off: raw
                .timing
                .date
                .map(|date| date.duration_since(wall).unwrap_or_else(|before| before.duration())),
        })
    }

    /// `GET /.well-known/jwks.json`, unparsed.
    pub(crate) async fn jwks(&self) -> Result<Bytes, ApiError> {
        let call = Call {
            operation: Operation::Jwks,
            method: Method::GET,
            path: "/.well-known/jwks.json",
            authorization: None,
            body: Body::default(),
        };
        self.caller.call(call).await.map(|raw| raw.body)
    }
}

/// Reads from an answer whether the client token stays, is replaced or is gone (rule S1).
pub(super) fn token_update(headers: &HeaderMap) -> TokenUpdate {
    match header(headers, AUTHORIZATION) {
        None => TokenUpdate::Same,
        Some(token) if token.trim().is_empty() => TokenUpdate::Gone,
        Some(token) => TokenUpdate::New(ClientToken::new(token)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn s1_an_answer_keeps_the_client_token_or_replaces_it_or_says_that_the_client_is_gone() {
        let update = |token: Option<&'static str>| {
            let field = token.map(|token| (AUTHORIZATION, HeaderValue::from_static(token)));
            token_update(&HeaderMap::from_iter(field))
        };
        assert!(matches!(update(None), TokenUpdate::Same));
        for empty in ["", " "] {
            assert!(matches!(update(Some(empty)), TokenUpdate::Gone), "{empty:?}");
        }
        let TokenUpdate::New(token) = update(Some("as it stands")) else { panic!("a token") };
        assert_eq!(token.header().unwrap(), "as it stands");
    }
}
