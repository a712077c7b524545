//! The claims of an assertion.

use serde_json::{Map, Value};

use crate::jwt::RegisteredClaims;

/// The claims of an assertion whose signature was verified.
pub(crate) struct AssertionClaims {
    issuer: Box<str>,
    audiences: Box<[Box<str>]>,
    issued_at: u64,
    expires_at: u64,
    not_before: Option<u64>,
    all: Map<String, Value>,
}

impl AssertionClaims {
    /// Reads a payload. `None` if it is no JSON object, or if a claim that is always needed is missing or malformed.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let Value::Object(all) = serde_json::from_slice(payload).ok()? else { return None };
        let not_before = match all.get("nbf") {
            Some(value) => Some(seconds(value)?),
            None => None,
        };
        Some(Self {
            issuer: all.get("iss")?.as_str()?.into(),
            audiences: audiences(all.get("aud")?)?,
            issued_at: seconds(all.get("iat")?)?,
            expires_at: seconds(all.get("exp")?)?,
            not_before,
            all,
        })
    }

    /// A claim that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.as_str()
    }

    /// Whether a claim is `true`, and not merely the word.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.all.get(name) == Some(&Value::Bool(true))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Whether a claim is this text, or a number that is written like it.
    pub(super) fn equals(&self, name: &str, expected: &str) -> bool {
        match self.all.get(name) {
            Some(Value::String(text)) => text == expected,
            Some(Value::Number(number)) => number.to_string() == expected,
            _ => false,
        }
    }

    pub(crate) fn amr(&self) -> impl Iterator<Item = &str> {
        let methods = self.all.get("amr").and_then(Value::as_array);
        methods.into_iter().flatten().filter_map(Value::as_str)
    }

    pub(crate) fn acr(&self) -> Option<&str> {
        self.text("acr")
    }

    pub(crate) fn auth_time(&self) -> Option<u64> {
        seconds(self.all.get("auth_time")?)
    }

    /// Claims for a test, of whatever token.
    #[cfg(test)]
    pub(super) fn of(claims: &Value) -> Self {
        let mut all = serde_json::json!({"iss": "https://idp.example.com", "aud": "us", "iat": 1, "exp": 2});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        Self::read(all.to_string().as_bytes()).unwrap()
    }
}

impl RegisteredClaims for AssertionClaims {
    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn audiences(&self) -> &[Box<str>] {
        &self.audiences
    }

    fn issued_at(&self) -> u64 {
        self.issued_at
    }

    fn expires_at(&self) -> u64 {
        self.expires_at
    }

    fn not_before(&self) -> Option<u64> {
        self.not_before
    }
}

/// A string or a list of them (RFC 7519, section 4.1.3).
fn audiences(value: &Value) -> Option<Box<[Box<str>]>> {
    match value {
        Value::String(one) => Some(Box::new([one.as_str().into()])),
        Value::Array(several) => several.iter().map(|one| one.as_str().map(Into::into)).collect(),
        _ => None,
    }
}

/// A time in seconds since the Unix epoch, which may have a fraction (RFC 7519, section 2).
fn seconds(value: &Value) -> Option<u64> {
    let whole = |seconds: f64| (0.0..=9e15).contains(&seconds).then_some(seconds as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(whole))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};
    use serde_json::json;

    use super::*;

    #[test]
    fn x1_a_payload_without_the_claims_that_are_always_needed_is_malformed() {
        let good = json!({"iss": "i", "aud": ["a", "b"], "iat": 1.5, "exp": 2, "nbf": 1});
        let read = |value: &Value| AssertionClaims::read(value.to_string().as_bytes());
        assert_eq!(read(&good).unwrap().audiences().len(), 2);
        for (name, value) in [
            ("iss", json!(7)),
            ("aud", json!(7)),
            ("aud", json!(["a", 7])),
            ("iat", json!("1")),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
            ("nbf", json!(null)),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(read(&bad).is_none(), "{bad}");
            bad.as_object_mut().unwrap().remove(name);
            assert_eq!(read(&bad).is_some(), name == "nbf", "{bad}");
        }
        assert!(read(&json!([])).is_none());
    }

    #[test]
    fn x2_true_is_a_boolean_and_a_number_equals_its_digits() {
        let claims = AssertionClaims::of(
            &json!({"a": true, "b": "true", "c": 1, "id": 123, "text": "123", "list": ["123"]}),
        );
        assert!(claims.is_true("a"));
        assert!(!claims.is_true("b") && !claims.is_true("c") && !claims.is_true("d"));
        assert!(claims.equals("id", "123") && claims.equals("text", "123"));
        assert!(!claims.equals("list", "123") && !claims.equals("none", ""));
    }

    proptest! {
        #[test]
        fn x1_no_payload_panics(payload in prop::collection::vec(any::<u8>(), 0..60)) {
            _ = AssertionClaims::read(&payload);
        }
    }
}
