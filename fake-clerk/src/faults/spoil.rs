//! Faults that alter a successful response.

use serde_json::{Value, json};

use crate::faults::fault::Fault;
use crate::ids;

/// Size of the padding of [`Fault::Oversized`]: 2 MiB.
const OVERSIZED: usize = 2 * 1024 * 1024;

impl Fault {
    pub(crate) fn rewrite(&self, body: &mut Value) {
        match self {
            Self::WrongTypes => swap_types(body),
            Self::Short(most) => {
                let list = if body.is_array() { Some(&mut *body) } else { body.get_mut("data") };
                if let Some(Value::Array(entries)) = list {
                    entries.truncate(*most);
                }
            }
            Self::NullToken => each(body, &|key, value| {
                if key == "last_active_token" {
                    *value = Value::Null;
                }
            }),
            Self::EmptyJwt => each(body, &|key, value| {
                if key == "jwt" {
                    *value = json!("");
                }
            }),
            Self::MissingSession => {
                if let Some(sessions) = sessions(body) {
                    sessions.clear();
                }
            }
            Self::OtherSessionFirst => {
                if let Some(sessions) = sessions(body)
                    && let Some(foreign) = sessions.first().map(foreign)
                {
                    sessions.insert(0, foreign);
                }
            }
            Self::Oversized => {
                let padding = json!({ "padding": "x".repeat(OVERSIZED) });
                match (body, padding) {
                    // A list can only be padded with another item.
                    (Value::Array(items), padding) => items.push(padding),
                    (Value::Object(object), Value::Object(padding)) => object.extend(padding),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Returns the client's sessions in a response. The client is at either of two places in the envelope.
fn sessions(body: &mut Value) -> Option<&mut Vec<Value>> {
    let at = ["/client/sessions", "/response/sessions"].into_iter().find(|at| body.pointer(at).is_some())?;
    body.pointer_mut(at)?.as_array_mut()
}

/// Returns a copy of a session that belongs to another user.
fn foreign(session: &Value) -> Value {
    let mut foreign = session.clone();
    let user = ids::random("user");
    foreign["id"] = json!(ids::random("sess"));
    if foreign["user"].is_object() {
        foreign["user"]["id"] = json!(user);
    }
    if foreign["public_user_data"].is_object() {
        foreign["public_user_data"]["user_id"] = json!(user);
        foreign["public_user_data"]["identifier"] = json!("somebody.else@example.com");
    }
    foreign
}

fn each(value: &mut Value, change: &dyn Fn(&str, &mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        Value::Object(object) => {
            for (key, item) in object {
                change(key, item);
                each(item, change);
            }
        }
        _ => {}
    }
}

fn swap_types(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(swap_types),
        Value::Object(object) => object.values_mut().for_each(swap_types),
        Value::String(_) => *value = json!(42),
        Value::Number(_) => *value = json!("forty-two"),
        Value::Bool(_) => *value = json!([]),
        Value::Null => *value = json!({}),
    }
}
