//! Puts signed tokens into a response, in which an index stands for each token until then.

use serde_json::{Map, Value, json};

/// Replaces the index of each token by the signed token.
pub(crate) fn fill_tokens(value: &mut Value, signed: &[String]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill_tokens(item, signed)),
        Value::Object(object) => {
            if let Some(jwt) = unsigned_number(object, "token", "jwt").and_then(|number| signed.get(number)) {
                object.insert("jwt".to_owned(), json!(jwt));
                return;
            }
            let number = unsigned_number(object, "sign_in_token", "token");
            if let Some(ticket) = number.and_then(|number| signed.get(number)) {
                object.insert("token".to_owned(), json!(ticket));
                let url = object.get("url").and_then(Value::as_str).map(|url| format!("{url}{ticket}"));
                object.insert("url".to_owned(), json!(url));
                return;
            }
            object.values_mut().for_each(|item| fill_tokens(item, signed));
        }
        _ => {}
    }
}

/// Returns the index of the token in an object of a kind.
fn unsigned_number(object: &Map<String, Value>, kind: &str, place: &str) -> Option<usize> {
    if object.get("object").and_then(Value::as_str) != Some(kind) {
        return None;
    }
    usize::try_from(object.get(place)?.as_u64()?).ok()
}
