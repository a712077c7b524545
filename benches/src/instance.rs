//! An instance of Clerk in this process, and a user in it.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tower_clerk::testing::{FakeClerk, FakeOrganization, FakeUser};
use tower_clerk::transport::Transport;
use tower_clerk::{Access, Clerk, ClerkBuilder, Credentials};

const IDENTIFIER: &str = "jane@example.com";
/// Together with the identifier and the colon, 40 bytes.
const PASSWORD: &str = "correct horse battery s";
/// An organization that the user is in.
const ORGANIZATION: &str = "acme";

/// So long that nothing is renewed while it is measured. More than a day is refused.
pub const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);

/// Claims beside Clerk's own, so that tokens are as long as tokens are.
pub const JWT_CLAIMS: [(&str, &str); 3] =
    [("email", "jane@example.com"), ("name", "Jane Doe"), ("department", "purchasing")];

/// A stand-in for Clerk, and an engine that has signed its user in.
#[derive(Debug)]
pub struct Instance {
    clerk: Clerk,
    jwt: String,
    key: jsonwebtoken::DecodingKey,
    issuer: String,
    /// The engine's tasks are on it.
    runtime: Runtime,
}

impl Instance {
    /// Starts both, and warms them.
    ///
    /// # Panics
    ///
    /// When the user can't be signed in.
    #[must_use]
    pub fn warm() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let fake = FakeClerk::builder().empty().token_life(TOKEN_LIFE).build();
        let claims: Map<String, Value> =
            JWT_CLAIMS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        fake.add_user(FakeUser::new(IDENTIFIER).password(PASSWORD).claims(claims));
        fake.add_organization(FakeOrganization::new(ORGANIZATION));
        fake.add_member(IDENTIFIER, ORGANIZATION, "org:admin");
        let clerk = Self::engine(&fake.fapi_url()).transport(fake.clone()).build().expect("an engine");
        let jwt = runtime.block_on(async {
            let credentials = Credentials::new(IDENTIFIER, PASSWORD).expect("good credentials");
            let plain = clerk.authenticate(&credentials, &Access::new()).await.expect("a session");
            let scoped = Access::new().organization(ORGANIZATION);
            clerk.authenticate(&credentials, &scoped).await.expect("a session of the organization");
            plain.token().to_owned()
        });
        let key = runtime.block_on(async {
            let request = http::Request::get(fake.fapi_url() + "/.well-known/jwks.json");
            let answer = fake.send(request.body(Bytes::new()).expect("a request")).await.expect("an answer");
            let keys: Value = serde_json::from_slice(answer.body()).expect("a key set");
            let part = |name| keys["keys"][0][name].as_str().expect("an RSA key");
            jsonwebtoken::DecodingKey::from_rsa_components(part("n"), part("e")).expect("an RSA key")
        });
        Self { clerk, jwt, key, issuer: fake.issuer(), runtime }
    }

    /// An engine whose sessions outlive a measurement.
    pub(crate) fn engine(fapi_url: &str) -> ClerkBuilder {
        Clerk::builder(fapi_url).session_ttl(Duration::from_secs(24 * 3600)).unlimited_sign_ins()
    }

    /// The engine.
    #[must_use]
    pub fn clerk(&self) -> Clerk {
        self.clerk.clone()
    }

    /// The user's credentials: identifier and password.
    #[must_use]
    pub fn credentials(&self) -> (&str, &str) {
        (IDENTIFIER, PASSWORD)
    }

    /// The same as the value of an `Authorization` field.
    #[must_use]
    pub fn basic(&self) -> String {
        let (identifier, password) = self.credentials();
        basic(identifier, password)
    }

    /// The slug of an organization that the engine has a token for.
    #[must_use]
    pub fn organization(&self) -> &str {
        ORGANIZATION
    }

    /// The user's token.
    #[must_use]
    pub fn jwt(&self) -> &str {
        &self.jwt
    }

    /// The instance's public key.
    #[must_use]
    pub fn key(&self) -> &jsonwebtoken::DecodingKey {
        &self.key
    }

    /// What tokens say as `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The runtime that the engine's tasks are on.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// Credentials as the value of an `Authorization` field.
pub(crate) fn basic(identifier: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{identifier}:{password}")))
}
