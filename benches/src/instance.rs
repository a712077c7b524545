//! A stand-in for Clerk in this process, with one user.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tower_clerk::testing::{FakeApiKey, FakeClerk, FakeOrganization, FakeUser};
use tower_clerk::transport::Transport;
use tower_clerk::{Access, ApiKeys, BearerTokens, Clerk, ClerkBasicAuthLayer, ClerkBuilder, Credentials};
use tower_layer::Layer;
use tower_service::Service;

use crate::drive::request;
use crate::subject::Subject;

const IDENTIFIER: &str = "jane@example.com";
/// 40 bytes, together with the identifier and the colon.
const PASSWORD: &str = "correct horse battery s";
/// An organization of which the user is a member.
const ORGANIZATION: &str = "acme";
const ROLE: &str = "org:admin";
/// The permissions of the role.
const PERMISSIONS: [&str; 4] =
    ["org:invoices:read", "org:invoices:manage", "org:reports:read", "org:reports:manage"];

/// So long that no token is renewed during a measurement. The engine rejects lifetimes of more than a day.
pub const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);

/// Custom claims, so that tokens have a realistic length.
pub const JWT_CLAIMS: [(&str, &str); 3] =
    [("email", "jane@example.com"), ("name", "Jane Doe"), ("department", "purchasing")];

/// A stand-in for Clerk, and an engine with one signed-in user.
#[derive(Debug)]
pub struct Instance {
    clerk: Clerk,
    bearer_clerk: Clerk,
    api_key: String,
    jwt: String,
    key: jsonwebtoken::DecodingKey,
    issuer: String,
    /// The runtime of the engine's tasks.
    runtime: Runtime,
}

impl Instance {
    /// Starts the stand-in and the engine, and fills the engine's cache.
    ///
    /// # Panics
    ///
    /// Panics if the user can't be signed in.
    #[must_use]
    pub fn warm() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let fake = FakeClerk::builder().empty().token_life(TOKEN_LIFE).build();
        let claims: Map<String, Value> =
            JWT_CLAIMS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        fake.add_user(FakeUser::new(IDENTIFIER).password(PASSWORD).claims(claims));
        fake.add_organization(FakeOrganization::new(ORGANIZATION).role(ROLE, PERMISSIONS));
        fake.add_member(IDENTIFIER, ORGANIZATION, ROLE);
        let clerk = Self::engine(&fake.fapi_url()).transport(fake.clone()).build().expect("an engine");
        let jwt = runtime.block_on(async {
            let credentials = Credentials::new(IDENTIFIER, PASSWORD).expect("good credentials");
            let plain = clerk.authenticate(&credentials, &Access::new()).await.expect("a session");
            let scoped = Access::new().organization(ORGANIZATION);
            clerk.authenticate(&credentials, &scoped).await.expect("a session of the organization");
            plain.token().to_owned()
        });
        let bearer_clerk = Self::bearer_engine(&fake);
        runtime.block_on(verify_once(&bearer_clerk, &jwt));
        let secret =
            fake.api_key_secret(&fake.add_api_key(FakeApiKey::new(IDENTIFIER).scopes(["invoices:read"])));
        let api_key = basic("__token__", &secret);
        runtime.block_on(async {
            let credentials = Credentials::new(IDENTIFIER, PASSWORD).expect("good credentials");
            bearer_clerk.authenticate(&credentials, &Access::new()).await.expect("a session");
            let mut service = key_layer(&bearer_clerk).layer(Subject::bare());
            let answer = service.call(request(&api_key)).await.expect("no error of the service");
            assert_eq!(answer.status(), 200, "the key is accepted");
        });
        let key = runtime.block_on(async {
            let request = http::Request::get(fake.fapi_url() + "/.well-known/jwks.json");
            let answer = fake.send(request.body(Bytes::new()).expect("a request")).await.expect("an answer");
            let keys: Value = serde_json::from_slice(answer.body()).expect("a key set");
            let part = |name| keys["keys"][0][name].as_str().expect("an RSA key");
            jsonwebtoken::DecodingKey::from_rsa_components(part("n"), part("e")).expect("an RSA key")
        });
        Self { clerk, bearer_clerk, api_key, jwt, key, issuer: fake.issuer(), runtime }
    }

    /// Returns the builder of an engine whose sessions outlive a measurement.
    pub(crate) fn engine(fapi_url: &str) -> ClerkBuilder {
        Clerk::builder(fapi_url).session_ttl(Duration::from_secs(24 * 3600)).unlimited_sign_ins()
    }

    /// Returns an engine that accepts tokens of [`TOKEN_LIFE`] as Bearer, as they are no longer than its own.
    fn bearer_engine(fake: &FakeClerk) -> Clerk {
        let engine = Self::engine(&fake.fapi_url()).transport(fake.clone());
        let engine = engine.secret_key(fake.secret_key()).backend_url(fake.backend_url());
        engine.token_lifetime(TOKEN_LIFE).build().expect("an engine")
    }

    /// Returns an engine that has verified the user's token.
    #[must_use]
    pub fn bearer_clerk(&self) -> Clerk {
        self.bearer_clerk.clone()
    }

    /// Returns a layer on that engine that accepts API keys. The engine has verified one, and holds a session of the user.
    pub(crate) fn key_layer(&self) -> ClerkBasicAuthLayer {
        key_layer(&self.bearer_clerk)
    }

    /// Returns the verified API key as the value of an `Authorization` header.
    #[must_use]
    pub fn api_key(&self) -> String {
        self.api_key.clone()
    }

    /// Returns the engine.
    #[must_use]
    pub fn clerk(&self) -> Clerk {
        self.clerk.clone()
    }

    /// Returns the user's identifier and password.
    #[must_use]
    pub fn credentials(&self) -> (&str, &str) {
        (IDENTIFIER, PASSWORD)
    }

    /// Returns the user's credentials as the value of an `Authorization` header.
    #[must_use]
    pub fn basic(&self) -> String {
        let (identifier, password) = self.credentials();
        basic(identifier, password)
    }

    /// Returns the slug of an organization that the engine has a token for.
    #[must_use]
    pub fn organization(&self) -> &str {
        ORGANIZATION
    }

    /// Returns the user's role in the organization.
    #[must_use]
    pub fn role(&self) -> &str {
        ROLE
    }

    /// Returns the last of the user's permissions in the organization.
    #[must_use]
    pub fn permission(&self) -> &str {
        PERMISSIONS[PERMISSIONS.len() - 1]
    }

    /// Returns the user's token.
    #[must_use]
    pub fn jwt(&self) -> &str {
        &self.jwt
    }

    /// Returns the instance's public key.
    #[must_use]
    pub fn key(&self) -> &jsonwebtoken::DecodingKey {
        &self.key
    }

    /// Returns the `iss` claim of the instance's tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the runtime of the engine's tasks.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// Sends the token through a layer, so that the engine holds it from then on.
async fn verify_once(clerk: &Clerk, jwt: &str) {
    let layer = ClerkBasicAuthLayer::new(clerk.clone()).accept_bearer(BearerTokens::new());
    let mut service = layer.expect("no condition").layer(Subject::bare());
    let answer = service.call(request(&format!("Bearer {jwt}"))).await.expect("no error of the service");
    assert_eq!(answer.status(), 200, "the token is accepted");
}

/// Returns a layer that accepts API keys, for as long as a measurement may take.
fn key_layer(clerk: &Clerk) -> ClerkBasicAuthLayer {
    let keys = ApiKeys::new().ttl(Duration::from_secs(3600));
    ClerkBasicAuthLayer::new(clerk.clone()).accept_api_keys(keys).expect("there is a secret key")
}

/// Formats credentials as the value of an `Authorization` header.
pub(crate) fn basic(identifier: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{identifier}:{password}")))
}
