//! A field of one of Clerk's objects, read leniently.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value that is expected to be no array and no object. One that is counts as absent, as `null` does.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Scalar {
    #[default]
    Absent,
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Scalar {
    pub(crate) fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }

    pub(crate) fn text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A count or another whole number that isn't negative.
    pub(crate) fn count(&self) -> Option<u64> {
        if let Self::Number(number) = self { u64::try_from(*number).ok() } else { None }
    }

    /// The time that a number means.
    ///
    /// Objects of Clerk's have milliseconds. Its description says the same of the envelope, but its examples have seconds
    /// there. Milliseconds below 10^12 would be before September 2001, and Clerk's first year is 2019.
    pub(crate) fn time(&self) -> Option<SystemTime> {
        let Self::Number(number) = self else { return None };
        let number = u64::try_from(*number).ok()?;
        let since_epoch = match number {
            ..1_000_000_000_000 => Duration::from_secs(number),
            _ => Duration::from_millis(number),
        };
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(number).map_or(Scalar::Absent, Scalar::Number))
    }

    // A JSON number such as 1.7168832e12 is whole, too. The conversion saturates, and neither end is a time.
    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as i64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(json: &str) -> Option<SystemTime> {
        serde_json::from_str::<Scalar>(json).unwrap().time()
    }

    #[test]
    fn w3_a_time_below_a_trillion_is_in_seconds_and_others_are_in_milliseconds() {
        let at = |millis| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(time("1716883200"), at(1_716_883_200_000));
        assert_eq!(time("1716883200000"), at(1_716_883_200_000));
        assert_eq!(time("999999999999"), at(999_999_999_999_000));
        assert_eq!(time("1000000000000"), at(1_000_000_000_000));
        assert_eq!(time("1.7168832e12"), at(1_716_883_200_000));
        assert_eq!(time("0"), at(0));
        for none in [
            "-1",
            "-9223372036854775808",
            "18446744073709551615",
            "null",
            "\"1716883200\"",
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(time(none), None, "{none}");
        }
        // No panic, whatever the machine's range of times is.
        for huge in ["9223372036854775807", "1e300", "-1e300", "99999999999999999999999999999999"] {
            time(huge);
        }
    }

    #[test]
    fn w3_a_value_of_another_type_counts_as_absent() {
        let user = r#"{"id":"user_1","banned":"yes","locked":[[1],{"a":[]}],"updated_at":{"a":{"b":1}},"password_enabled":null}"#;
        #[derive(Deserialize)]
        struct User {
            #[serde(default)]
            banned: Scalar,
            #[serde(default)]
            locked: Scalar,
            #[serde(default)]
            deprovisioned: Scalar,
            #[serde(default)]
            password_enabled: Scalar,
            #[serde(default)]
            updated_at: Scalar,
        }
        let user: User = serde_json::from_str(user).unwrap();
        assert_eq!(
            (user.banned.flag(), user.locked.flag(), user.password_enabled.flag()),
            (None, None, None)
        );
        assert_eq!((user.updated_at.time(), user.deprovisioned), (None, Scalar::Absent));
    }
}
