//! Objects as Clerk sent them, for those who keep them (rule Y4).

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_json::value::RawValue;

/// The whole object, for those who keep it, without anything that is private or secret, or another object's.
pub(crate) fn raw(json: &str) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let mut kept = BTreeMap::new();
    for (name, value) in fields {
        match name.as_str() {
            // A user can set `unsafe_metadata` to any JSON, of any depth.
            "public_metadata" | "unsafe_metadata" => kept.insert(name, value.to_owned()),
            "private_metadata" | "organization" | "organization_memberships" | "public_user_data" => None,
            _ => {
                let mut value: Json = serde_json::from_str(value.get()).ok()?;
                strip(&mut value);
                kept.insert(name, serde_json::value::to_raw_value(&value).ok()?)
            }
        };
    }
    // An escaped NUL is JSON, but not for PostgreSQL's `jsonb`, to which an application may cast the text.
    serde_json::to_string(&kept).ok().filter(|raw| !raw.contains("\\u0000"))
}

fn strip(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(strip),
        Json::Object(fields) => {
            fields.retain(|name, _| name != "private_metadata" && name != "backup_codes");
            fields.values_mut().for_each(strip);
        }
        _ => {}
    }
}
