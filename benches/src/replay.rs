//! Answers of Clerk's made beforehand, so that what a miss costs is ours.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tower_clerk::testing::{FakeClerk, FakeUser};
use tower_clerk::transport::{Transport, TransportError, TransportFuture};
use tower_clerk::{ClerkBuilder, Credentials};

use crate::instance::{Instance, JWT_CLAIMS, TOKEN_LIFE, basic};

const HOST: &str = "https://clerk.fake-clerk.example";
const PASSWORD: &str = "correct horse battery s";

/// A transport that answers the sign-ins of so many users from memory.
#[derive(Clone, Debug)]
pub struct Replay(Arc<Recorded>);

#[derive(Debug)]
struct Recorded {
    sign_ins: HashMap<String, Response<Bytes>>,
    jwks: Response<Bytes>,
}

impl Replay {
    /// Signs so many users in at a stand-in, and keeps its answers.
    ///
    /// # Panics
    ///
    /// When the stand-in refuses one.
    pub async fn record(users: usize) -> Self {
        let fake = FakeClerk::builder().empty().token_life(TOKEN_LIFE).no_rate_limit().build();
        let mut sign_ins = HashMap::with_capacity(users);
        for number in 0..users {
            let identifier = identifier(number);
            let claims =
                JWT_CLAIMS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            let user = fake.add_user(FakeUser::new(&identifier).password(PASSWORD).claims(claims));
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("strategy", "password")
                .append_pair("identifier", &identifier)
                .append_pair("password", PASSWORD)
                .finish();
            let request = Request::post(format!("{HOST}/v1/client/sign_ins?_is_native=1"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Bytes::from(form))
                .expect("a request");
            let answer = fake.send(request).await.expect("an answer");
            assert_eq!(answer.status(), 200, "{identifier} is refused");
            sign_ins.insert(identifier, answer);
            fake.delete_user(&user);
            fake.clear_log();
        }
        let request = Request::get(format!("{HOST}/.well-known/jwks.json")).body(Bytes::new());
        let jwks = fake.send(request.expect("a request")).await.expect("an answer");
        Self(Arc::new(Recorded { sign_ins, jwks }))
    }

    /// An engine that asks it.
    pub fn engine(&self) -> ClerkBuilder {
        Instance::engine(HOST).transport(self.clone())
    }

    /// The credentials of a user, by number.
    ///
    /// # Panics
    ///
    /// Never: they are well-formed.
    #[must_use]
    pub fn credentials(number: usize) -> Credentials {
        Credentials::new(identifier(number), PASSWORD).expect("good credentials")
    }

    /// The same as the value of an `Authorization` field.
    #[must_use]
    pub fn basic(number: usize) -> String {
        basic(&identifier(number), PASSWORD)
    }

    fn answer(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let recorded = match request.uri().path() {
            "/.well-known/jwks.json" => &self.0.jwks,
            "/v1/client/sign_ins" => {
                let mut form = form_urlencoded::parse(request.body());
                let (_, identifier) = form.find(|(name, _)| name == "identifier")?;
                self.0.sign_ins.get(&*identifier)?
            }
            _ => return None,
        };
        let mut answer = recorded.clone();
        // What arrives from a socket is the receiver's own, and so is its memory.
        *answer.body_mut() = Bytes::copy_from_slice(recorded.body());
        Some(answer)
    }
}

fn identifier(number: usize) -> String {
    format!("user{number:07}@ex.io")
}

impl Transport for Replay {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        let answer =
            self.answer(&request).ok_or_else(|| TransportError::connect("nothing is recorded for that"));
        Box::pin(std::future::ready(answer))
    }
}
