//! The claims of JWT templates, with their shortcodes filled in.

use serde_json::{Map, Value, json};

use crate::claims::organization::active;
use crate::state::{Session, State};

/// Fills in the shortcodes of a template's claims.
///
/// A string that is a single shortcode is replaced by the value itself, or null if there is none. Shortcodes inside a
/// longer string are interpolated.
pub(crate) fn fill_in(template: &Map<String, Value>, state: &State, session: &Session) -> Map<String, Value> {
    template.iter().map(|(claim, value)| (claim.clone(), filled(value, state, session))).collect()
}

fn filled(value: &Value, state: &State, session: &Session) -> Value {
    match value {
        Value::String(text) => filled_text(text, state, session),
        Value::Array(items) => items.iter().map(|item| filled(item, state, session)).collect(),
        Value::Object(object) => Value::Object(fill_in(object, state, session)),
        other => other.clone(),
    }
}

fn filled_text(text: &str, state: &State, session: &Session) -> Value {
    let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    if let Some(code) = inner.filter(|code| !code.contains("{{")) {
        return shortcode(code.trim(), state, session);
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((code, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        match shortcode(code.trim(), state, session) {
            Value::String(text) => out.push_str(&text),
            Value::Null => {}
            other => out.push_str(&other.to_string()),
        }
        rest = after;
    }
    Value::String(out + rest)
}

fn shortcode(code: &str, state: &State, session: &Session) -> Value {
    let Some(user) = state.users.get(&session.user) else { return Value::Null };
    let account = &user.account;
    let organization = active(state, &session.user, session.organization.as_deref());
    match code {
        "user.id" => json!(account.id),
        "user.username" => json!(account.username),
        "user.first_name" => json!(account.first_name),
        "user.last_name" => json!(account.last_name),
        "user.primary_email_address" => json!(account.emails.first().map(|(address, _)| address)),
        "user.email_verified" => json!(account.emails.first().is_some_and(|(_, verified)| *verified)),
        "user.primary_phone_number" => json!(account.phone),
        "user.public_metadata" => Value::Object(account.public_metadata.clone()),
        "org.id" => json!(organization.map(|(org, _)| &org.about.id)),
        "org.slug" => json!(organization.map(|(org, _)| &org.about.slug)),
        "org.name" => json!(organization.map(|(org, _)| &org.about.name)),
        "org.role" => json!(organization.map(|(_, membership)| &membership.role)),
        "session.id" => json!(session.id),
        _ => match code.strip_prefix("user.public_metadata.") {
            Some(path) => {
                let mut keys = path.split('.');
                let first = keys.next().and_then(|key| account.public_metadata.get(key));
                keys.fold(first, |value, key| value?.get(key)).cloned().unwrap_or(Value::Null)
            }
            None => Value::Null,
        },
    }
}
