//! The calls to Clerk's Frontend API, in native mode.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::answer::{Environment, Membership, Minted, SignedIn, Touched};
use super::client_token::{ClientSlot, TokenUpdate};
use super::fault::{self, Fault, Meaning, Operation};
use super::send::{Raw, token_update};
use super::wire;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::instance::Instance;
use crate::stats::{Calls, UpstreamCalls};
use crate::transport::Transport;

/// The version of the API that the calls are written for: the newest public OpenAPI file but one. For the calls
/// used here 2025-04-10, 2025-11-10 and 2026-05-12 are the same.
/// Source: <https://github.com/clerk/openapi-specs>, `fapi/2025-11-10.yml`.
pub(crate) const API_VERSION: &str = "2025-11-10";

pub(crate) const USER_AGENT: &str = concat!("tower-clerk/", env!("CARGO_PKG_VERSION"));

/// Where a mint's organization comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MintFor<'a> {
    /// The personal account: sent as an *empty* `organization_id`, since an absent one means the last active
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

/// Speaks to one instance's Frontend API.
pub(crate) struct Fapi {
    pub(super) instance: Instance,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Clock,
    pub(super) calls: Calls,
}

impl Fapi {
    pub(crate) fn new(instance: Instance, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        Self { instance, transport, clock, calls: Calls::default() }
    }

    /// `POST /v1/client/sign_ins` with `strategy=password`, from a client that Clerk has never seen: a sign-in
    /// replaces the current one of its client, so two of them must not share one.
    pub(crate) async fn sign_in(&self, credentials: &Credentials) -> Result<SignedIn, Fault> {
        let form = [
            ("strategy", "password"),
            ("identifier", credentials.identifier()),
            ("password", credentials.password()),
        ];
        let raw =
            self.call(Operation::SignIn, Method::POST, "/v1/client/sign_ins", "", None, Some(&form)).await?;
        let answer: wire::SignInAnswer = parse(&raw.body)?;
        let sign_in = answer.response;
        if sign_in.status != "complete" {
            let factors: Vec<&str> =
                sign_in.supported_second_factors.iter().flatten().map(|factor| &*factor.strategy).collect();
            let verified = sign_in
                .first_factor_verification
                .is_some_and(|verification| verification.status.as_deref() == Some("verified"));
            let meaning =
                fault::unfinished(&sign_in.status, sign_in.client_trust_state.as_deref(), &factors, verified);
            // What counts as a proof of the password: of all unfinished sign-ins, only one that a known device would
            // have finished.
            let proves_password =
                meaning == Meaning::DeviceNotTrusted && (verified || sign_in.status == "needs_second_factor");
            return Err(Fault { proves_password, ..Fault::coded(meaning, &sign_in.status) });
        }
        let created = sign_in.created_session_id.ok_or_else(|| Fault::unavailable("no_created_session"))?;
        // Where it stands in the list says nothing: a client can have several sessions (rule S2).
        let session = answer
            .client
            .into_iter()
            .flat_map(|client| client.sessions)
            .find(|session| session.id == created)
            .ok_or_else(|| Fault::unavailable("created_session_missing"))?;
        let TokenUpdate::New(client_token) = token_update(&raw.headers) else {
            return Err(Fault::unavailable("no_client_token"));
        };
        let pending = match session.status.as_str() {
            "active" => None,
            "pending" => Some(task_keys(session.tasks)),
            _ => return Err(Fault::unavailable("created_session_not_active")),
        };
        let user = session.user.ok_or_else(|| Fault::unavailable("no_user"))?;
        // Only verified ones: anybody can add another's address to an account of their own.
        let verified = |verification: Option<wire::Verification>| {
            verification.and_then(|it| it.status).is_some_and(|status| status == "verified")
        };
        let emails = user.email_addresses.into_iter().flatten();
        let emails = emails.filter_map(|it| it.email_address.filter(|_| verified(it.verification)));
        let phones = user.phone_numbers.into_iter().flatten();
        let phones = phones.filter_map(|it| it.phone_number.filter(|_| verified(it.verification)));
        let identifiers = emails.chain(phones).chain(user.username).collect();
        let memberships = user.organization_memberships.into_iter().flatten().map(|membership| Membership {
            id: membership.organization.id.into(),
            slug: membership.organization.slug.map(Into::into),
        });
        Ok(SignedIn {
            user_id: user.id.into(),
            session_id: session.id.into(),
            client_token,
            pending,
            active_organization: none_if_empty(session.last_active_organization_id),
            token: jwt_of(session.last_active_token).map(|jwt| Minted { jwt, timing: raw.timing }),
            memberships: memberships.collect(),
            identifiers,
            expire_at: session.expire_at.and_then(from_millis),
            timing: raw.timing,
        })
    }

    /// `POST /v1/client/sessions/{id}/touch`: makes an organization, by id or slug, the session's active one.
    pub(crate) async fn touch(
        &self,
        session_id: &str,
        client: &ClientSlot,
        organization: &str,
    ) -> Result<Touched, Fault> {
        let path = format!("/v1/client/sessions/{session_id}/touch");
        let form = [("active_organization_id", organization), ("intent", "select_org")];
        let raw = self.call_as(Operation::Touch, Method::POST, &path, "", client, Some(&form)).await?;
        let session = parse::<wire::TouchAnswer>(&raw.body)?.response;
        if session.id != session_id {
            return Err(Fault::unavailable("another_session"));
        }
        let pending = (session.status == "pending").then(|| task_keys(session.tasks));
        Ok(Touched {
            pending,
            active_organization: none_if_empty(session.last_active_organization_id),
            token: jwt_of(session.last_active_token).map(|jwt| Minted { jwt, timing: raw.timing }),
        })
    }

    /// `POST /v1/client/sessions/{id}/tokens`. `expired` is the last token of this kind, for instances that
    /// want to see it (422 `missing_expired_token`).
    pub(crate) async fn mint(
        &self,
        session_id: &str,
        client: &ClientSlot,
        organization: MintFor<'_>,
        expired: Option<&str>,
    ) -> Result<Minted, Fault> {
        let path = format!("/v1/client/sessions/{session_id}/tokens");
        let form = [("organization_id", organization.as_parameter())];
        let query = expired.map(|jwt| format!("&expired_token={jwt}")).unwrap_or_default();
        let raw = self.call_as(Operation::Mint, Method::POST, &path, &query, client, Some(&form)).await?;
        minted(&raw)
    }

    /// `POST /v1/client/sessions/{id}/tokens/{template}`, for the session's active organization.
    pub(crate) async fn mint_template(
        &self,
        session_id: &str,
        client: &ClientSlot,
        template: &str,
    ) -> Result<Minted, Fault> {
        let path = format!("/v1/client/sessions/{session_id}/tokens/{template}");
        let raw = self.call_as(Operation::MintTemplate, Method::POST, &path, "", client, None).await?;
        minted(&raw)
    }

    /// `GET /v1/client/sessions/{id}`: whether the session is still there, after a 404 that didn't say.
    pub(crate) async fn session_is_live(&self, session_id: &str, client: &ClientSlot) -> Result<bool, Fault> {
        #[derive(serde::Deserialize)]
        struct SessionAnswer {
            response: wire::Session,
        }
        let path = format!("/v1/client/sessions/{session_id}");
        match self.call_as(Operation::Session, Method::GET, &path, "", client, None).await {
            Ok(raw) => {
                let session = parse::<SessionAnswer>(&raw.body)?.response;
                Ok(session.id == session_id && matches!(session.status.as_str(), "active" | "pending"))
            }
            Err(fault) if matches!(fault.meaning, Meaning::NotFound | Meaning::SessionGone) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// `POST /v1/client/sessions/{id}/end`. A session that is already over is a success.
    pub(crate) async fn end(&self, session_id: &str, client: &ClientSlot) -> Result<(), Fault> {
        let path = format!("/v1/client/sessions/{session_id}/end");
        match self.call_as(Operation::End, Method::POST, &path, "", client, None).await {
            Ok(_) => Ok(()),
            Err(fault) if matches!(fault.meaning, Meaning::NotFound | Meaning::SessionGone) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// `GET /v1/environment`: how the instance is set up.
    pub(crate) async fn environment(&self) -> Result<Environment, Fault> {
        let raw = self.call(Operation::Environment, Method::GET, "/v1/environment", "", None, None).await?;
        let environment: wire::Environment = parse(&raw.body)?;
        let auth = environment.auth_config;
        let user = environment.user_settings;
        let (attributes, protection) =
            user.map_or((None, None), |user| (user.attributes, user.attack_protection));
        let lockout = protection.and_then(|protection| protection.user_lockout);
        let wall = self.clock.wall();
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

    /// What has been asked so far, and what came of it.
    pub(crate) fn calls(&self) -> Box<[UpstreamCalls]> {
        self.calls.all()
    }

    /// `GET /.well-known/jwks.json`, as it came.
    pub(crate) async fn jwks(&self) -> Result<Bytes, Fault> {
        self.asked(Operation::Jwks, Method::GET, "/.well-known/jwks.json", None, None)
            .await
            .map(|raw| raw.body)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    // The error's text can quote the body, so it goes nowhere.
    serde_json::from_slice(body).map_err(|_| Fault::unavailable("unreadable_answer"))
}

fn minted(raw: &Raw) -> Result<Minted, Fault> {
    let token: wire::Token = parse(&raw.body)?;
    // Clerk can answer with an empty token, which its own SDKs refuse, too.
    jwt_of(Some(token))
        .map(|jwt| Minted { jwt, timing: raw.timing })
        .ok_or_else(|| Fault::unavailable("empty_token"))
}

fn jwt_of(token: Option<wire::Token>) -> Option<Zeroizing<String>> {
    token?.jwt.filter(|jwt| !jwt.is_empty())
}

fn task_keys(tasks: Option<Vec<wire::Task>>) -> Box<[Box<str>]> {
    tasks.into_iter().flatten().map(|task| task.key.into()).collect()
}

fn none_if_empty(id: Option<String>) -> Option<Box<str>> {
    id.filter(|id| !id.is_empty()).map(Into::into)
}

fn from_millis(millis: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(millis).ok()?))
}
