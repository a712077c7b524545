//! The calls to Clerk's Frontend API that create a session.

use std::sync::Arc;

use http::Method;

use super::answer::{SecondFactor, SignedIn, Unfinished};
use super::client::{Fapi, token_update};
use super::wire;
use crate::clerk_api::{ApiError, Body, ErrorClass, Raw, Verification, is_path_segment, parse, unfinished};
use crate::client_token::{ClientSlot, TokenUpdate};
use crate::counters::Operation;
use crate::credentials::Credentials;

/// The proof that a sign-in presents.
#[derive(Clone, Copy)]
pub(crate) enum SignInWith<'a> {
    Password(&'a Credentials),
    /// A ticket of the Backend API, valid for one sign-in.
    Ticket(&'a str),
}

/// The state of a sign-in after a call.
enum Answer {
    Complete(SignedIn),
    Open(wire::SignIn, Arc<ClientSlot>),
}

impl Fapi {
    /// `POST /v1/client/sign_ins`, from this client, or from a new one if it is `None`.
    ///
    /// A sign-in replaces the current sign-in of its client, so two concurrent sign-ins must not share a client.
    pub(crate) async fn sign_in(
        &self,
        proof: SignInWith<'_>,
        client: Option<&Arc<ClientSlot>>,
    ) -> Result<SignedIn, ApiError> {
        match self.create(proof, client).await? {
            Answer::Complete(signed_in) => Ok(signed_in),
            Answer::Open(sign_in, _) => Err(sign_in.error()),
        }
    }

    /// Like [`sign_in`](Self::sign_in), for a caller that can complete a second factor.
    pub(crate) async fn begin(
        &self,
        credentials: &Credentials,
        client: Option<&Arc<ClientSlot>>,
    ) -> Result<Result<SignedIn, Unfinished>, ApiError> {
        match self.create(SignInWith::Password(credentials), client).await? {
            Answer::Complete(signed_in) => Ok(Ok(signed_in)),
            Answer::Open(sign_in, client) => {
                let error = sign_in.error();
                let device_trust = error.class == ErrorClass::DeviceNotTrusted;
                if !device_trust && error.class != ErrorClass::SecondFactor {
                    return Err(error);
                }
                let factors = sign_in.supported_second_factors.into_iter().flatten();
                let factors = factors.map(|factor| SecondFactor {
                    strategy: factor.strategy.into(),
                    safe_identifier: factor.safe_identifier.map(Into::into),
                    address_id: factor.email_address_id.or(factor.phone_number_id).map(Into::into),
                });
                let id = sign_in.id.filter(|id| is_path_segment(id));
                let id = id.ok_or_else(|| ApiError::unavailable("no_sign_in_id"))?.into();
                Ok(Err(Unfinished { id, client, factors: factors.collect(), device_trust }))
            }
        }
    }

    /// `POST …/prepare_second_factor`: makes Clerk send a code.
    pub(crate) async fn prepare(&self, sign_in: &Unfinished, factor: &SecondFactor) -> Result<(), ApiError> {
        let path = format!("/v1/client/sign_ins/{}/prepare_second_factor", sign_in.id);
        let mut form = vec![("strategy", &*factor.strategy)];
        if let Some(id) = factor.address_id.as_deref() {
            let name = if &*factor.strategy == "phone_code" { "phone_number_id" } else { "email_address_id" };
            form.push((name, id));
        }
        let body = Body::form(&form);
        self.call_as(Operation::PrepareFactor, Method::POST, &path, "", &sign_in.client, body).await.map(drop)
    }

    /// `POST …/attempt_second_factor`: finishes a sign-in with a code.
    pub(crate) async fn attempt(
        &self,
        sign_in: &Unfinished,
        strategy: &str,
        code: &str,
    ) -> Result<SignedIn, ApiError> {
        let path = format!("/v1/client/sign_ins/{}/attempt_second_factor", sign_in.id);
        let body = Body::form(&[("strategy", strategy), ("code", code)]);
        let client = &sign_in.client;
        let raw = self.call_as(Operation::AttemptFactor, Method::POST, &path, "", client, body).await?;
        match answer(&raw, Arc::clone(client))? {
            Answer::Complete(signed_in) => Ok(signed_in),
            Answer::Open(sign_in, _) => Err(sign_in.error()),
        }
    }

    async fn create(
        &self,
        proof: SignInWith<'_>,
        client: Option<&Arc<ClientSlot>>,
    ) -> Result<Answer, ApiError> {
        let (operation, body) = match proof {
            SignInWith::Password(credentials) => {
                let form = [
                    ("strategy", "password"),
                    ("identifier", credentials.identifier()),
                    ("password", credentials.password()),
                ];
                (Operation::SignIn, Body::form(&form))
            }
            SignInWith::Ticket(ticket) => {
                (Operation::TicketSignIn, Body::form(&[("strategy", "ticket"), ("ticket", ticket)]))
            }
        };
        let path = "/v1/client/sign_ins";
        let Some(client) = client else {
            let raw = self.call(operation, Method::POST, path, "", None, body).await?;
            let client = match token_update(&raw.headers) {
                TokenUpdate::New(token) => ClientSlot::new(token),
                _ => ClientSlot::none(),
            };
            return answer(&raw, Arc::new(client));
        };
        let raw =
            self.call_as(operation, Method::POST, path, "", client, body).await.map_err(known_client)?;
        answer(&raw, Arc::clone(client))
    }
}

/// Clerk may answer a sign-in with a client token that the client is gone. It doesn't document the code, so every
/// likely one counts.
fn known_client(error: ApiError) -> ApiError {
    let gone = matches!(
        error.code.as_deref(),
        Some("signed_out" | "authentication_invalid" | "client_not_found" | "cookie_invalid")
    );
    if gone { ApiError { class: ErrorClass::SessionGone, ..error } } else { error }
}

fn answer(raw: &Raw, client: Arc<ClientSlot>) -> Result<Answer, ApiError> {
    let answer: wire::SignInAnswer = parse(&raw.body)?;
    let sign_in = answer.response;
    if sign_in.status != "complete" {
        return Ok(Answer::Open(sign_in, client));
    }
    if client.current().is_none() {
        return Err(ApiError::unavailable("no_client_token"));
    }
    let created = sign_in.created_session_id.ok_or_else(|| ApiError::unavailable("no_created_session"))?;
    // Found by id and not by position, because a client can have several sessions (rule S2).
    let session = answer
        .client
        .into_iter()
        .flat_map(|client| client.sessions)
        .find(|session| session.id == created)
        .ok_or_else(|| ApiError::unavailable("created_session_missing"))?;
    Ok(Answer::Complete(session.signed_in(&client, raw.timing)?))
}

impl wire::SignIn {
    /// The error of an unfinished sign-in.
    fn error(&self) -> ApiError {
        let factors: Vec<&str> =
            self.supported_second_factors.iter().flatten().map(|factor| &*factor.strategy).collect();
        let verified = self.first_factor_verification.as_ref().is_some_and(Verification::is_done);
        let class = unfinished(&self.status, self.client_trust_state.as_deref(), &factors, verified);
        // Of all unfinished sign-ins, only one that a known device would have finished proves the password.
        let proves_password =
            class == ErrorClass::DeviceNotTrusted && (verified || self.status == "needs_second_factor");
        ApiError { proves_password, ..ApiError::coded(class, &self.status) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn s3_of_unfinished_sign_ins_only_one_that_waits_for_a_known_device_proves_the_password() {
        let proves = |sign_in: Value| {
            let sign_in: wire::SignIn = serde_json::from_value(sign_in).unwrap();
            sign_in.error().proves_password
        };
        let verified = json!({ "status": "verified" });
        for status in [
            "needs_client_trust",
            "needs_new_password",
            "needs_protect_check",
            "needs_second_factor",
            "needs_first_factor",
            "needs_identifier",
            "abandoned",
            "of_tomorrow",
        ] {
            let sign_in = json!({ "status": status, "first_factor_verification": verified });
            assert_eq!(proves(sign_in), status == "needs_client_trust", "{status}");
        }
        for verification in [json!(null), json!({ "status": null }), json!({ "status": "unverified" })] {
            let sign_in =
                json!({ "status": "needs_client_trust", "first_factor_verification": verification });
            assert!(!proves(sign_in), "{verification}");
        }
        let legacy = |trust: &str, factors: &[&str]| {
            let factors: Vec<Value> =
                factors.iter().map(|strategy| json!({ "strategy": strategy })).collect();
            proves(json!({
                "status": "needs_second_factor",
                "client_trust_state": trust,
                "supported_second_factors": factors,
            }))
        };
        assert!(legacy("new", &["email_code"]));
        assert!(!legacy("known", &["email_code"]));
        for factor in ["totp", "backup_code"] {
            assert!(!legacy("new", &["email_code", factor]), "{factor}");
        }
    }
}
