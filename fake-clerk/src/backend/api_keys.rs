//! `/v1/api_keys`: create, list, show, change, revoke, delete and verify keys.
//!
//! Clerk's description has no 422 for them: whatever is wrong with a request is a 400. Its codes are not documented.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use crate::accounts::FakeApiKey;
use crate::backend::query;
use crate::context::{Context, Handled, Reply};
use crate::endpoint::Endpoint;
use crate::errors::ApiError;
use crate::request::Call;
use crate::settings::InvalidApiKey;

/// The prefixes of subjects.
const SUBJECTS: [&str; 4] = ["user", "org", "mch", "scim"];

const MOST_KEYS_OF_A_PAGE: usize = 100;

pub(crate) fn handle(context: &mut Context<'_>) -> Handled {
    if !context.settings.api_keys {
        return Err(ApiError::api_keys_not_enabled());
    }
    let method = &context.call.method;
    match context.call.endpoint {
        Endpoint::ApiKeys if method == Method::POST => create(context),
        Endpoint::ApiKeys => list(context),
        Endpoint::ApiKey if method == Method::PATCH => change(context),
        Endpoint::ApiKey if method == Method::DELETE => delete(context),
        Endpoint::ApiKeySecret => secret(context),
        Endpoint::RevokeApiKey => revoke(context),
        Endpoint::VerifyApiKey => verify(context),
        _ => show(context, &id_in_path(context.call)?),
    }
}

fn create(context: &mut Context<'_>) -> Handled {
    const KNOWN: [&str; 8] = [
        "type",
        "name",
        "description",
        "subject",
        "claims",
        "scopes",
        "created_by",
        "seconds_until_expiration",
    ];
    let body = body(context.call, &KNOWN)?;
    let subject = text(body, "subject")?.filter(|id| is_id(id, &SUBJECTS)).ok_or_else(invalid)?;
    let name = text(body, "name")?.filter(|name| name.chars().count() >= 3 && name.trim() == *name);
    let mut about = FakeApiKey::new(subject).name(name.ok_or_else(invalid)?).scopes(scopes(body)?);
    if let Some(kind) = text(body, "type")? {
        if !(3..=25).contains(&kind.chars().count()) {
            return Err(invalid());
        }
        about = about.kind(kind);
    }
    if let Some(user) = text(body, "created_by")? {
        if !is_id(user, &SUBJECTS[..1]) {
            return Err(invalid());
        }
        about = about.created_by(user);
    }
    about.claims = body.get("claims").cloned().unwrap_or_default();
    about.life = life(body)?;
    let description = description(body)?;
    let key = context.state.api_keys.add(about, context.now);
    key.description = description;
    let (id, secret) = (key.about.id.clone(), key.about.secret.clone());
    let mut reply = show(context, &id)?;
    reply.body["secret"] = json!(secret);
    Ok(reply)
}

fn list(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let known = ["type", "subject", "include_invalid", "limit", "offset", "query", "__clerk_api_version"];
    query::check(call, &known)?;
    let subject = call.query("subject").filter(|id| is_id(id, &SUBJECTS)).ok_or_else(invalid)?;
    let kind = call.query("type").unwrap_or("api_key");
    let with_invalid = match call.query("include_invalid") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid()),
    };
    let number = |name: &str, default: usize, least: usize, most: usize| match call.query(name) {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|value| (least..=most).contains(value)).ok_or_else(invalid),
    };
    let limit = number("limit", 10, 1, MOST_KEYS_OF_A_PAGE)?;
    let offset = number("offset", 0, 0, usize::MAX)?;
    let query = call.query("query").unwrap_or_default();
    let page = context.page();
    let wanted: Vec<_> = page
        .state
        .api_keys
        .of_subject(subject)
        .filter(|key| key.about.kind == kind && (with_invalid || key.is_valid(page.now)))
        .filter(|key| key.about.name.contains(query) || key.about.id.contains(query))
        .collect();
    let shown: Vec<Value> = wanted.iter().skip(offset).take(limit).map(|key| page.api_key(key)).collect();
    Ok(Reply::plain(json!({ "data": shown, "total_count": wanted.len() })))
}

fn change(context: &mut Context<'_>) -> Handled {
    const KNOWN: [&str; 5] = ["claims", "scopes", "description", "subject", "seconds_until_expiration"];
    let (call, now) = (context.call, context.now);
    let (id, body) = (id_in_path(call)?, body(call, &KNOWN)?);
    let subject = text(body, "subject")?;
    if subject.is_some_and(|id| !is_id(id, &SUBJECTS)) {
        return Err(invalid());
    }
    let (scopes, life, description) = (scopes(body)?, life(body)?, description(body)?);
    let key = context.state.api_keys.get_mut(&id).ok_or_else(ApiError::no_api_key)?;
    if let Some(claims) = body.get("claims") {
        key.about.claims = claims.clone();
    }
    if body.contains_key("scopes") {
        key.about.scopes = scopes;
    }
    if body.contains_key("description") {
        key.description = description;
    }
    if body.contains_key("seconds_until_expiration") {
        key.expiration = life.map(|life| now.ms + i64::try_from(life.as_millis()).unwrap_or(i64::MAX / 2));
    }
    key.updated = now.ms;
    if let Some(subject) = subject {
        context.state.api_keys.set_subject(&id, subject);
    }
    show(context, &id)
}

fn delete(context: &mut Context<'_>) -> Handled {
    let id = id_in_path(context.call)?;
    context.state.api_keys.remove(&id).ok_or_else(ApiError::no_api_key)?;
    Ok(Reply::plain(json!({ "object": "api_key", "id": id, "deleted": true })))
}

fn secret(context: &mut Context<'_>) -> Handled {
    let id = id_in_path(context.call)?;
    let key = context.state.api_keys.get(&id).ok_or_else(ApiError::no_api_key)?;
    Ok(Reply::plain(json!({ "secret": key.about.secret })))
}

fn revoke(context: &mut Context<'_>) -> Handled {
    let (call, now) = (context.call, context.now);
    let (id, body) = (id_in_path(call)?, body(call, &["revocation_reason"])?);
    let reason = text(body, "revocation_reason")?;
    let key = context.state.api_keys.get_mut(&id).ok_or_else(ApiError::no_api_key)?;
    key.revoked = Some(reason.map(str::to_owned));
    key.updated = now.ms;
    show(context, &id)
}

/// Verifies a secret. As on Clerk, keys of users and organizations and secret keys of machines share the endpoint, and
/// nothing is said about the subject: whether a key of a banned user stops by itself isn't documented, so it doesn't here.
fn verify(context: &mut Context<'_>) -> Handled {
    let (call, now) = (context.call, context.now);
    let secret = text(body(call, &["secret"])?, "secret")?.ok_or_else(invalid)?;
    let key = context.state.api_keys.by_secret(secret).ok_or_else(ApiError::no_api_key)?;
    let id = key.about.id.clone();
    let what = if key.revoked.is_some() { "revoked" } else { "expired" };
    match context.settings.invalid_api_key {
        _ if key.is_valid(now) => {}
        InvalidApiKey::Flagged => return show(context, &id),
        InvalidApiKey::NotFound => return Err(ApiError::no_api_key()),
        InvalidApiKey::BadRequest => return Err(ApiError::api_key_invalid(what)),
    }
    if let Some(key) = context.state.api_keys.get_mut(&id) {
        key.last_used = Some(now.ms);
    }
    show(context, &id)
}

fn show(context: &Context<'_>, id: &str) -> Handled {
    let page = context.page();
    let key = page.state.api_keys.get(id).ok_or_else(ApiError::no_api_key)?;
    Ok(Reply::plain(page.api_key(key)))
}

fn invalid() -> ApiError {
    ApiError::body_invalid()
}

/// Returns the key's id in the path, in one of the two forms that Clerk accepts.
fn id_in_path(call: &Call) -> Result<String, ApiError> {
    let id = call.variable(0);
    let digits = id.strip_prefix("api_key_").or_else(|| id.strip_prefix("ak_")).ok_or_else(invalid)?;
    let is_id = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(format!("ak_{digits}")) } else { Err(invalid()) }
}

/// Whether a text is an id with one of these prefixes and 27 word characters.
fn is_id(text: &str, prefixes: &[&str]) -> bool {
    text.split_once('_').is_some_and(|(prefix, rest)| {
        let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        prefixes.contains(&prefix) && rest.len() == 27 && rest.bytes().all(is_of_word)
    })
}

/// Returns the body, which must be an object of these parameters only.
fn body<'c>(call: &'c Call, known: &[&str]) -> Result<&'c Map<String, Value>, ApiError> {
    let body = call.json.as_ref().and_then(Value::as_object).ok_or_else(invalid)?;
    let is_known = body.keys().all(|name| known.contains(&name.as_str()));
    if is_known { Ok(body) } else { Err(invalid()) }
}

/// Returns a text of the body. `null` counts as absent.
fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(invalid),
    }
}

fn description(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    match text(body, "description")? {
        Some(text) if text.chars().count() > 255 => Err(invalid()),
        text => Ok(text.map(str::to_owned)),
    }
}

fn scopes(body: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let Some(scopes) = body.get("scopes") else { return Ok(Vec::new()) };
    let scopes = scopes.as_array().ok_or_else(invalid)?.iter().map(|scope| scope.as_str().map(str::to_owned));
    scopes.collect::<Option<_>>().ok_or_else(invalid)
}

fn life(body: &Map<String, Value>) -> Result<Option<Duration>, ApiError> {
    match body.get("seconds_until_expiration") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().filter(|seconds| *seconds > 0.0).ok_or_else(invalid)?;
            Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| invalid())
        }
    }
}
