//! Session tokens, template tokens and client tokens.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::claims;
use super::faults::TokenFlaw;
use super::ids;
use super::keys::{self, SigningKey};
use super::state::{Now, Session, State, Template};

/// Tells verifiers which kind of token it is. They reject one of another kind.
const SESSION_TOKEN_CATEGORY: &str = "cl_B7d4PD111AAA";

/// How far `nbf` lies before `iat`, against clocks that go wrong.
const NOT_BEFORE_SKEW: i64 = 5;

/// The instance's signing keys.
///
/// A number into the process's pool of keys and a `kid` of the instance's own for each.
pub(super) struct KeyRing {
    keys: Vec<(String, usize)>,
    made: usize,
}

impl KeyRing {
    /// The ring of an instance whose first key is named after it.
    pub(super) fn of_instance(host: &str) -> Self {
        Self { keys: vec![(ids::derived("ins", host), 0)], made: 1 }
    }

    /// Adds a key that signs from now on.
    pub(super) fn rotate(&mut self) {
        self.keys.push((ids::random("ins"), self.made));
        self.made += 1;
    }

    /// Drops all keys but the one that signs.
    pub(super) fn retire(&mut self) {
        self.keys.drain(..self.keys.len() - 1);
    }

    pub(super) fn kid(&self) -> &str {
        self.keys.last().map_or("", |(kid, _)| kid)
    }

    fn number(&self) -> usize {
        self.keys.last().map_or(0, |(_, number)| *number)
    }

    /// The public keys, as `/.well-known/jwks.json` shows them.
    pub(super) fn jwks(&self) -> Value {
        let key = |(kid, number): &(String, usize)| {
            let key = keys::pooled(*number);
            json!({
                "use": "sig", "kty": "RSA", "kid": kid, "alg": "RS256",
                "n": key.modulus(), "e": key.exponent(),
            })
        };
        json!({ "keys": self.keys.iter().map(key).collect::<Vec<_>>() })
    }
}

/// A token that is yet to be signed, which takes a moment and is done outside the instance's lock.
#[derive(Clone)]
pub(super) struct Unsigned {
    key: usize,
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
}

impl Unsigned {
    fn new(keys: &KeyRing, claims: Map<String, Value>) -> Self {
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!("RS256"));
        header.insert("kid".to_owned(), json!(keys.kid()));
        header.insert("typ".to_owned(), json!("JWT"));
        Self { key: keys.number(), header, claims }
    }

    /// A token that the instance itself is to read, signed with the pool's first key, whatever the session tokens'
    /// keys are by now: rotating those signs nobody out.
    pub(super) fn by_the_first_key(keys: &KeyRing, claims: Map<String, Value>) -> Self {
        Self { key: 0, ..Self::new(keys, claims) }
    }

    /// The compact form.
    pub(super) fn sign(&self) -> String {
        let key = keys::pooled(self.key);
        let message = self.message();
        let signature = key.sign(message.as_bytes());
        compact(message, &signature)
    }

    fn message(&self) -> String {
        let part = |part: &Map<String, Value>| {
            BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
        };
        format!("{}.{}", part(&self.header), part(&self.claims))
    }

    fn set(&mut self, claim: &str, value: impl Into<Value>) {
        self.claims.insert(claim.to_owned(), value.into());
    }

    fn time(&self, claim: &str) -> i64 {
        self.claims.get(claim).and_then(Value::as_i64).unwrap_or_default()
    }

    /// The compact form of a token that no verifier should take.
    pub(super) fn sign_with(mut self, flaw: TokenFlaw) -> String {
        let (iat, exp) = (self.time("iat"), self.time("exp"));
        match flaw {
            TokenFlaw::WrongSub => self.set("sub", ids::random("user")),
            TokenFlaw::WrongIssuer => self.set("iss", "https://clerk.another-instance.example"),
            TokenFlaw::WrongSession => self.set("sid", ids::random("sess")),
            TokenFlaw::WrongOrganization => claims::name_another_organization(&mut self.claims),
            TokenFlaw::NoOrganization => claims::name_no_organization(&mut self.claims),
            TokenFlaw::Pending => self.set("sts", "pending"),
            TokenFlaw::NoExp => drop(self.claims.remove("exp")),
            TokenFlaw::AbsurdExp => self.set("exp", iat + 1_000 * 365 * 24 * 3600),
            TokenFlaw::Expired => {
                // An hour ago, by more than any allowance for clocks.
                for (claim, time) in [("iat", iat), ("nbf", iat - NOT_BEFORE_SKEW), ("exp", exp)] {
                    self.set(claim, time - 3600);
                }
            }
            TokenFlaw::NotYetValid => {
                for (claim, time) in [("iat", iat), ("nbf", iat), ("exp", exp)] {
                    self.set(claim, time + 3600);
                }
            }
            TokenFlaw::UnknownKid => drop(self.header.insert("kid".to_owned(), json!(ids::random("ins")))),
            TokenFlaw::BadSignature => {
                let key = keys::pooled(self.key);
                let message = self.message();
                let mut signature = key.sign(message.as_bytes());
                signature[0] ^= 1;
                return compact(message, &signature);
            }
            TokenFlaw::AlgNone => {
                self.header.insert("alg".to_owned(), json!("none"));
                return compact(self.message(), &[]);
            }
            TokenFlaw::AlgHs256 => {
                // The public key as the secret: what a verifier accepts that lets the token choose the algorithm.
                self.header.insert("alg".to_owned(), json!("HS256"));
                let secret = hmac::Key::new(hmac::HMAC_SHA256, &keys::pooled(self.key).public_der());
                let message = self.message();
                let tag = hmac::sign(&secret, message.as_bytes());
                return compact(message, tag.as_ref());
            }
        }
        self.sign()
    }
}

fn compact(message: String, signature: &[u8]) -> String {
    message + "." + &BASE64_URL_SAFE_NO_PAD.encode(signature)
}

/// What a token says beside the session: where it was asked for, and for which organization.
pub(super) struct Wanted<'a> {
    pub(super) issuer: &'a str,
    /// The request's `Origin`, which becomes `azp`.
    pub(super) origin: Option<&'a str>,
    pub(super) organization: Option<&'a str>,
    /// How long it lives, where the request says so.
    pub(super) life: Option<Duration>,
}

/// The session token of a session.
pub(super) fn session_token(
    state: &State,
    settings: &super::FakeClerkBuilder,
    session: &Session,
    wanted: &Wanted<'_>,
    now: Now,
) -> Unsigned {
    let mut claims = state.session_claims.clone();
    if let Some(user) = state.users.get(&session.user) {
        claims.extend(user.account.claims.clone());
    }
    // Whatever the custom claims are, they don't replace the token's own.
    claims.extend(registered(session, wanted, wanted.life.unwrap_or(settings.token_life), now));
    claims.insert("sid".to_owned(), json!(session.id));
    claims.insert("sts".to_owned(), json!(session.status(now.instant).as_str()));
    claims.insert("fva".to_owned(), factor_verification_age(session, now));
    match settings.token_version {
        super::TokenVersion::V1 => claims::version_1(&mut claims, state, &session.user, wanted.organization),
        super::TokenVersion::V2 => {
            claims.insert("jti".to_owned(), json!(ids::trace()));
            claims::version_2(&mut claims, state, &session.user, wanted.organization);
        }
    }
    let mut token = Unsigned::new(&state.keys, claims);
    token.header.insert("cat".to_owned(), json!(SESSION_TOKEN_CATEGORY));
    token.header.insert("oiat".to_owned(), json!(now.unix()));
    token
}

/// A token of a JWT template. It knows no session: `sid` is for session tokens alone.
pub(super) fn template_token(
    state: &State,
    session: &Session,
    template: &Template,
    wanted: &Wanted<'_>,
    now: Now,
) -> Unsigned {
    let mut claims = claims::fill_in(&template.claims, state, session);
    claims.extend(registered(session, wanted, wanted.life.unwrap_or(template.life), now));
    claims.insert("jti".to_owned(), json!(ids::trace()));
    Unsigned::new(&state.keys, claims)
}

/// The claims that both kinds have.
fn registered(session: &Session, wanted: &Wanted<'_>, life: Duration, now: Now) -> Map<String, Value> {
    let iat = now.unix();
    let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX / 2);
    let mut claims = Map::new();
    let mut set = |claim: &str, value: Value| claims.insert(claim.to_owned(), value);
    set("iss", json!(wanted.issuer));
    set("sub", json!(session.user));
    set("iat", json!(iat));
    set("nbf", json!(iat - NOT_BEFORE_SKEW));
    set("exp", json!(iat + life));
    if let Some(origin) = wanted.origin {
        set("azp", json!(origin));
    }
    claims
}

/// Minutes since the first and the second factor were verified; -1 for one that never was.
pub(super) fn factor_verification_age(session: &Session, now: Now) -> Value {
    let minutes = now.instant.duration_since(session.created).as_secs() / 60;
    if session.second_factor { json!([minutes, minutes]) } else { json!([minutes, -1]) }
}

/// The token that a client sends along: its id and the secret that rotates.
pub(super) fn client_token(keys: &KeyRing, id: &str, rotating: &str) -> Unsigned {
    let mut claims = Map::new();
    claims.insert("id".to_owned(), json!(id));
    claims.insert("rotating_token".to_owned(), json!(rotating));
    Unsigned::by_the_first_key(keys, claims)
}

/// The client's id and rotating token, if this is a client token of this process.
pub(super) fn read_client_token(token: &str) -> Option<(String, String)> {
    let claims = read_by_the_first_key(token)?;
    let text = |claim: &str| claims.get(claim)?.as_str().map(str::to_owned);
    Some((text("id")?, text("rotating_token")?))
}

/// The payload of a token that this process signed with its first key.
pub(super) fn read_by_the_first_key(token: &str) -> Option<Map<String, Value>> {
    let (message, signature) = token.rsplit_once('.')?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    if !keys::pooled(0).verify(message.as_bytes(), &signature) {
        return None;
    }
    payload(token)
}

/// The payload of a token, unverified.
pub(super) fn payload(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

// A key is shared between threads that sign at the same time.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<SigningKey>>();
};
