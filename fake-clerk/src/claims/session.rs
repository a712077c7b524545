//! Session tokens and tokens of JWT templates.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::claims::{organization, template};
use crate::clock::Now;
use crate::ids;
use crate::settings::{FakeClerkBuilder, TokenVersion};
use crate::state::{Session, State, Template};
use crate::tokens::Unsigned;
use crate::tokens::unsigned::NOT_BEFORE_SKEW;

/// The `cat` header of session tokens. Verifiers reject a token of another category.
const SESSION_TOKEN_CATEGORY: &str = "cl_B7d4PD111AAA";

/// The `cat` header of tokens of JWT templates: `JWT_CATEGORY_JWT_TEMPLATE` of Clerk's backend SDK.
const TEMPLATE_TOKEN_CATEGORY: &str = "cl_B7d4PD222AAA";

/// The parts of a token that the request decides.
pub(crate) struct Wanted<'a> {
    pub(crate) issuer: &'a str,
    /// The request's `Origin`, which becomes `azp`.
    pub(crate) origin: Option<&'a str>,
    pub(crate) organization: Option<&'a str>,
    /// The lifetime, if the request sets one.
    pub(crate) life: Option<Duration>,
}

pub(crate) fn session_token(
    state: &State,
    settings: &FakeClerkBuilder,
    session: &Session,
    wanted: &Wanted<'_>,
    now: Now,
) -> Unsigned {
    let mut claims = state.session_claims.clone();
    if let Some(user) = state.users.get(&session.user) {
        claims.extend(user.account.claims.clone());
    }
    // Custom claims never replace the token's own.
    claims.extend(registered(session, wanted, wanted.life.unwrap_or(settings.token_life), now));
    claims.insert("sid".to_owned(), json!(session.id));
    claims.insert("sts".to_owned(), json!(session.status(now.instant).as_str()));
    claims.insert("fva".to_owned(), factor_verification_age(session, now));
    match settings.token_version {
        TokenVersion::V1 => organization::version_1(&mut claims, state, &session.user, wanted.organization),
        TokenVersion::V2 => {
            claims.insert("jti".to_owned(), json!(ids::trace()));
            organization::version_2(&mut claims, state, &session.user, wanted.organization);
        }
    }
    let mut token = Unsigned::new(&state.keys, claims);
    token.header.insert("cat".to_owned(), json!(SESSION_TOKEN_CATEGORY));
    token.header.insert("oiat".to_owned(), json!(now.unix()));
    token
}

/// Builds a token from a JWT template. It has no `sid`, which only session tokens have.
pub(crate) fn template_token(
    state: &State,
    session: &Session,
    template: &Template,
    wanted: &Wanted<'_>,
    now: Now,
) -> Unsigned {
    let mut claims = template::fill_in(&template.claims, state, session);
    claims.extend(registered(session, wanted, wanted.life.unwrap_or(template.life), now));
    claims.insert("jti".to_owned(), json!(ids::trace()));
    let mut token = Unsigned::new(&state.keys, claims);
    token.header.insert("cat".to_owned(), json!(TEMPLATE_TOKEN_CATEGORY));
    token
}

/// The claims that both kinds of tokens share.
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

/// Minutes since the first and the second factor were verified; -1 for a factor that was never verified.
pub(crate) fn factor_verification_age(session: &Session, now: Now) -> Value {
    let minutes = |at| now.instant.duration_since(at).as_secs() / 60;
    match session.second_factor {
        Some(second) => json!([minutes(session.first_factor), minutes(second)]),
        None => json!([minutes(session.first_factor), -1]),
    }
}
