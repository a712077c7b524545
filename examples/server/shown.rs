//! Sessions and API keys as JSON.

use std::net::IpAddr;
use std::time::SystemTime;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};
use tower_clerk::{ClerkApiKey, ClerkPrincipal, ClerkSession};

/// The principal of a request, as the routes answer with it.
pub(crate) fn principal(principal: &ClerkPrincipal, headers: &HeaderMap) -> Value {
    match principal {
        ClerkPrincipal::Session(session) | ClerkPrincipal::Bearer(session) => session_json(session, headers),
        ClerkPrincipal::ApiKey(key) => key_json(key),
        // A kind of a later version.
        _ => Value::Null,
    }
}

fn key_json(key: &ClerkApiKey) -> Value {
    let scopes: Vec<&str> = key.scopes().collect();
    json!({
        "api_key": { "id": key.id(), "subject": key.subject(), "name": key.name(), "scopes": scopes },
        "user_id": key.user_id(),
    })
}

fn session_json(session: &ClerkSession, headers: &HeaderMap) -> Value {
    let expires_at =
        session.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({
        "user_id": session.user_id(),
        "session_id": session.session_id(),
        "jwt": jwt(session),
        "expires_at": expires_at,
        "organization": session.organization(),
        "authorization": headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes())),
        "claims": session.custom_claims::<Value>().unwrap_or_default(),
    })
}

/// The token without its signature, which would let the reader of a log or a screen act as the user. Tokens of an instance
/// on this machine open nothing.
fn jwt(session: &ClerkSession) -> &str {
    let token = session.token();
    match token.rsplit_once('.') {
        Some((unsigned, _)) if !is_on_loopback(session.claims().issuer()) => unsigned,
        _ => token,
    }
}

fn is_on_loopback(issuer: &str) -> bool {
    let Ok(uri) = issuer.parse::<Uri>() else { return false };
    uri.host().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}
