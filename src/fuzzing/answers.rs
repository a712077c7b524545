//! Answers of Clerk's two APIs, and of anything between (rules S2, S3, P2).

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response};
use tokio::runtime::{Builder, Runtime};

use crate::clerk_api::bapi::{Bapi, SecretKey};
use crate::clerk_api::fapi::{Fapi, MintFor, SignInWith, SignedIn};
use crate::clerk_api::{ApiError, Body, Call, Caller, TimeLeft, is_path_segment};
use crate::client_token::{ClientSlot, ClientToken};
use crate::clock::{ClerkTime, Clock};
use crate::counters::Operation;
use crate::instance::Instance;
use crate::limits::{CallLimiter, Urgency};
use crate::transport::{Transport, TransportFuture};

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

/// Waits for an answer of a transport that has it at once.
fn run<T>(answer: impl Future<Output = T>) -> T {
    RUNTIME.with_borrow(|runtime| runtime.block_on(answer))
}

/// Answers every request with the same bytes.
struct Replay {
    status: u16,
    headers: Vec<(http::HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Transport for Replay {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        let path = request.uri().path();
        let is_safe = |segment: &str| {
            !segment.is_empty() && segment.chars().all(|it| it.is_ascii_alphanumeric() || "_-.".contains(it))
        };
        assert!(path[1..].split('/').all(is_safe) && !path.contains(".."), "{path}");
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status.try_into().expect("a status");
        response
            .headers_mut()
            .extend(self.headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
        Box::pin(async { Ok(response) })
    }
}

/// An input: a byte for the call, one for the status, a line for a field, and the body.
struct Input<'a> {
    call: u8,
    status: u16,
    field: Option<HeaderValue>,
    body: &'a [u8],
}

impl<'a> Input<'a> {
    const STATUSES: [u16; 10] = [200, 400, 401, 403, 404, 422, 429, 500, 302, 503];

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let [call, status, rest @ ..] = bytes else { return None };
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (field, body) = (&rest[..end], &rest[end + 1..]);
        let field = (!field.is_empty()).then(|| HeaderValue::from_bytes(field).ok()).flatten();
        // Digits are taken by their value, so that a person can write an input.
        let of = |byte: &u8| byte.checked_sub(b'0').unwrap_or(*byte);
        let status = Self::STATUSES[usize::from(of(status)) % Self::STATUSES.len()];
        Some(Self { call: of(call), status, field, body })
    }

    fn caller(&self, field: &http::HeaderName) -> Caller {
        let replay = Replay {
            status: self.status,
            headers: self.field.iter().map(|value| (field.clone(), value.clone())).collect(),
            body: Bytes::copy_from_slice(self.body),
        };
        caller(replay)
    }
}

fn caller(replay: Replay) -> Caller {
    let clock = Clock::system();
    let base = Instance::parse("http://127.0.0.1:1").expect("an address");
    Caller::new(base, Arc::new(replay), clock, Arc::new(ClerkTime::new(clock)), Arc::default())
}

/// An error shows a code of Clerk's, or none, and no other part of the answer.
fn check(error: &ApiError) {
    let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    assert!(
        error.code.as_deref().is_none_or(|code| (1..=64).contains(&code.len()) && code.bytes().all(is_code))
    );
}

fn check_session(session: &SignedIn) {
    assert!(is_path_segment(&session.session_id) && is_path_segment(&session.user_id));
}

/// An answer of the Frontend API.
pub fn frontend_answer(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let fapi = Fapi::new(input.caller(&AUTHORIZATION));
    let client = Arc::new(ClientSlot::new(ClientToken::new("token")));
    let done = run(async {
        match input.call % 8 {
            0 => {
                let session = fapi.sign_in(SignInWith::Ticket("ticket"), Some(&client)).await?;
                check_session(&session);
                // The same answer to the calls that follow from it.
                fapi.mint(&session.session_id, &session.client, MintFor::Personal, None).await.map(drop)?;
                fapi.end(&session.session_id, &session.client).await
            }
            1 => {
                let credentials = crate::Credentials::new("jane", "password").expect("credentials");
                match fapi.begin(&credentials, None).await? {
                    Ok(session) => check_session(&session),
                    Err(unfinished) => {
                        for factor in &unfinished.factors {
                            fapi.prepare(&unfinished, factor).await?;
                        }
                        fapi.attempt(&unfinished, "email_code", "424242")
                            .await
                            .map(|it| check_session(&it))?;
                    }
                }
                Ok(())
            }
            2 => fapi.sessions_of(&client).await.map(|sessions| sessions.iter().for_each(check_session)),
            3 => fapi.touch("sess_1", &client, "acme").await.map(drop),
            4 => fapi.mint("sess_1", &client, MintFor::Organization("org_1"), None).await.map(drop),
            5 => fapi.session_is_live("sess_1", &client).await.map(drop),
            6 => fapi.end("sess_1", &client).await,
            _ => fapi.environment().await.map(drop),
        }
    });
    done.unwrap_or_else(|error| check(&error));
}

/// An answer of the Backend API.
pub fn backend_answer(bytes: &[u8]) {
    let Some(input) = Input::read(bytes) else { return };
    let clock = Clock::system();
    let key = SecretKey::parse("sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").expect("a key");
    let budget = CallLimiter::new((1_000, Duration::from_secs(1)), None, clock);
    let bapi = Bapi::new(input.caller(&DATE), key, budget);
    let mut time = TimeLeft::new(Duration::from_secs(5), clock);
    let time = &mut time;
    let done = run(async {
        match input.call % 9 {
            0 => bapi.find("jane@example.com", Urgency::Proof, time).await.map(drop),
            1 => bapi.user("user_1", Urgency::Proof, time).await.map(drop),
            2 => bapi.verify_password("user_1", "password", time).await,
            3 => bapi.memberships("user_1", Urgency::Proof, time).await.map(drop),
            4 => bapi.ticket("user_1", None, time).await.map(|ticket| assert!(!ticket.is_empty())),
            5 => bapi.mint("sess_1", None, None, time).await.map(drop),
            6 => bapi.session_is_live("sess_1", time).await.map(drop),
            7 => bapi.revoke("sess_1", time).await,
            // The id of a session as it stands in a record that somebody may have changed.
            _ => bapi.revoke(&String::from_utf8_lossy(input.body), time).await,
        }
    });
    done.unwrap_or_else(|error| check(&error));
}

/// A 429 with `Retry-After` in the first line and `Date` in the second.
pub fn retry_after(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let headers = [RETRY_AFTER, DATE].into_iter().zip(&mut lines);
    let headers = headers.filter_map(|(name, value)| Some((name, HeaderValue::from_bytes(value).ok()?)));
    let caller = caller(Replay { status: 429, headers: headers.collect(), body: Bytes::new() });
    let call = Call {
        operation: Operation::Jwks,
        method: Method::GET,
        path: "/jwks",
        authorization: None,
        body: Body::default(),
    };
    let Err(error) = run(caller.call(call)) else { panic!("a 429 is no success") };
    check(&error);
    assert!(error.retry_after.is_none_or(|wait| (1..=300).contains(&wait.as_secs())));
}
