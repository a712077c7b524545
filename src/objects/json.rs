//! JSON text, and an object's without the fields that aren't to be kept.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Fields that are kept nowhere: Clerk sends the first two to servers alone, and the last are credentials.
const DROPPED: [&str; 2] = ["private_metadata", "backup_codes"];

/// Fields whose objects have such fields as well. Metadata isn't among them: there, these names are a user's own.
const SEARCHED: [&str; 3] = ["organization", "organization_memberships", "phone_numbers"];

/// A user has memberships, which have an organization. No object of Clerk's is nested deeper.
const DEPTH: u8 = 3;

/// A JSON object as text, such as the metadata of a user.
///
/// It is text since its depth has no bound: a user can set `unsafe_metadata` to any JSON. Deserialize it into a type with the
/// fields that are needed; `serde_json::Value` fits up to a depth of 128 levels. A clone copies it. `Debug` shows nothing of
/// it.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Plan {
///     seats: u32,
/// }
///
/// # #[cfg(feature = "backend")]
/// fn seats(user: &tower_clerk::backend::UserData) -> Option<u32> {
///     let plan: Plan = serde_json::from_str(user.public_metadata.as_ref()?.as_str()).ok()?;
///     Some(plan.seats)
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Metadata, which is an object. Any other value counts as absent.
    pub(super) fn metadata(value: Option<&RawValue>) -> Option<Self> {
        value.map(RawValue::get).filter(|text| text.starts_with('{')).map(|text| Self(text.into()))
    }

    /// One of Clerk's objects, without the fields that aren't to be kept.
    pub(super) fn of_object(json: &str) -> Result<Self, serde_json::Error> {
        let mut kept = String::with_capacity(json.len());
        keep_object(json, DEPTH, &mut kept)?;
        Ok(Self(kept.into()))
    }
}

fn keep_object(json: &str, depth: u8, kept: &mut String) -> Result<(), serde_json::Error> {
    let Fields(fields) = serde_json::from_str(json)?;
    let fields = fields.into_iter().filter(|(name, _)| !DROPPED.contains(&&**name));
    let mut separator = '{';
    for (name, value) in fields {
        kept.push(separator);
        kept.push_str(&serde_json::to_string(&name)?);
        kept.push(':');
        match depth.checked_sub(1) {
            _ if !SEARCHED.contains(&&*name) => kept.push_str(value.get()),
            Some(depth) => keep_value(value.get(), depth, kept)?,
            None => kept.push_str("null"),
        }
        separator = ',';
    }
    kept.push_str(if separator == '{' { "{}" } else { "}" });
    Ok(())
}

fn keep_value(json: &str, depth: u8, kept: &mut String) -> Result<(), serde_json::Error> {
    match json.as_bytes().first() {
        Some(b'{') => keep_object(json, depth, kept),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            kept.push('[');
            for (at, item) in items.into_iter().enumerate() {
                if at > 0 {
                    kept.push(',');
                }
                match item.get().starts_with('{') {
                    true => keep_object(item.get(), depth, kept)?,
                    // An array in an array is none of Clerk's objects.
                    false => kept.push_str("null"),
                }
            }
            kept.push(']');
            Ok(())
        }
        _ => {
            kept.push_str(json);
            Ok(())
        }
    }
}

/// The fields of an object in their order, with values as text.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(json: &str) -> String {
        Json::of_object(json).unwrap().as_str().to_owned()
    }

    #[test]
    fn y21_private_metadata_and_backup_codes_are_dropped_wherever_clerk_sends_them() {
        for (sent, expected) in [
            (r#"{}"#, r#"{}"#),
            (r#"{"private_metadata":{"a":1}}"#, r#"{}"#),
            (
                r#"{"id":"user_1","private\u005fmetadata":{"a":1},"b":[1, 2]}"#,
                r#"{"id":"user_1","b":[1, 2]}"#,
            ),
            (
                r#"{"id":"orgmem_1","organization":{"id":"org_1","private_metadata":{"s":1},"name":"x"}}"#,
                r#"{"id":"orgmem_1","organization":{"id":"org_1","name":"x"}}"#,
            ),
            (
                r#"{"organization_memberships":[{"private_metadata":1,"organization":{"private_metadata":2}},{}]}"#,
                r#"{"organization_memberships":[{"organization":{}},{}]}"#,
            ),
            (
                r#"{"phone_numbers":[{"id":"idn_1","backup_codes":["1"],"x":null}]}"#,
                r#"{"phone_numbers":[{"id":"idn_1","x":null}]}"#,
            ),
            (
                r#"{"organization":null,"phone_numbers":[[{"backup_codes":1}]]}"#,
                r#"{"organization":null,"phone_numbers":[null]}"#,
            ),
        ] {
            assert_eq!(kept(sent), expected, "{sent}");
        }
    }

    #[test]
    fn y21_metadata_that_others_see_stays_as_it_is() {
        let json = r#"{"public_metadata":{"private_metadata":1,"organization":{"backup_codes":[ ]}}}"#;
        assert_eq!(kept(json), json);
    }

    #[test]
    fn y21_json_of_any_depth_is_kept() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let json = format!(r#"{{"id":"user_1","unsafe_metadata":{{"a":{}}}}}"#, deep(100_000));
        assert_eq!(kept(&json), json);
        let nested = r#"{"organization":"#.repeat(10_000) + "1" + &"}".repeat(10_000);
        assert_eq!(
            kept(&nested),
            r#"{"organization":{"organization":{"organization":{"organization":null}}}}"#
        );
    }
}
