//! How recently the user must have verified which factor.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

const MINUTE: u64 = 60;

/// How recently the user must have verified a factor: Clerk's reverification
/// (<https://clerk.com/docs/guides/secure/reverification>).
///
/// The presets are Clerk's own. As at Clerk, a user without a second factor only needs a recent *first* factor, at
/// every level: `strict_mfa` doesn't prove that a second factor exists.
/// [`SecondFactor::Required`](crate::guard::SecondFactor::Required) does.
///
/// ```
/// use std::time::Duration;
/// use tower_clerk::guard::{Reverification, ReverificationLevel};
///
/// let hour = Duration::from_secs(3600);
/// assert_eq!(Reverification::Moderate.level(), ReverificationLevel::SecondFactor);
/// assert_eq!(Reverification::Moderate.within(), hour);
/// let custom = Reverification::Custom { level: ReverificationLevel::FirstFactor, within: 2 * hour };
/// assert_eq!(custom.within(), 2 * hour);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reverification {
    /// Both factors within the last 10 minutes (`strict_mfa`); the first alone, if there is no second.
    StrictMfa,
    /// The second factor within the last 10 minutes (`strict`); the first, if there is no second.
    Strict,
    /// The second factor within the last hour (`moderate`); the first, if there is no second.
    Moderate,
    /// The second factor within the last 24 hours (`lax`); the first, if there is no second.
    Lax,
    /// A level and a time of your own.
    Custom {
        /// The factors that count.
        level: ReverificationLevel,
        /// How long ago they may have been verified: more than zero.
        within: Duration,
    },
}

/// The factors that a [`Reverification`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReverificationLevel {
    /// The first factor, such as the password.
    FirstFactor,
    /// The second factor, or the first of a user who has no second.
    SecondFactor,
    /// Both factors, or the first of a user who has no second.
    MultiFactor,
}

impl ReverificationLevel {
    /// Returns the name that Clerk uses: `first_factor`, `second_factor` or `multi_factor`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstFactor => "first_factor",
            Self::SecondFactor => "second_factor",
            Self::MultiFactor => "multi_factor",
        }
    }
}

impl Reverification {
    /// Returns the factors that count.
    #[must_use]
    pub fn level(self) -> ReverificationLevel {
        match self {
            Self::StrictMfa => ReverificationLevel::MultiFactor,
            Self::Strict | Self::Moderate | Self::Lax => ReverificationLevel::SecondFactor,
            Self::Custom { level, .. } => level,
        }
    }

    /// Returns how long ago the factors may have been verified. An age of exactly this time is too old.
    #[must_use]
    pub fn within(self) -> Duration {
        match self {
            Self::StrictMfa | Self::Strict => Duration::from_secs(10 * MINUTE),
            Self::Moderate => Duration::from_secs(60 * MINUTE),
            Self::Lax => Duration::from_secs(24 * 60 * MINUTE),
            Self::Custom { within, .. } => within,
        }
    }

    /// Whether ages of a token's `fva` meet it, given the time since the token was issued (rule G3).
    pub(crate) fn is_met_by(self, (first, second): (i64, i64), token_age: Duration) -> bool {
        // As Clerk does, so that an age that makes no sense counts for neither factor.
        if first < NONE || second < NONE {
            return false;
        }
        let is_fresh = |age| is_fresh(age, token_age, self.within());
        match self.level() {
            ReverificationLevel::SecondFactor if second != NONE => is_fresh(second),
            ReverificationLevel::MultiFactor if second != NONE => is_fresh(first) && is_fresh(second),
            _ => is_fresh(first),
        }
    }

    /// The configuration as Clerk's `reverificationError` carries it: the name of a preset, or level and minutes.
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::StrictMfa => json!("strict_mfa"),
            Self::Strict => json!("strict"),
            Self::Moderate => json!("moderate"),
            Self::Lax => json!("lax"),
            // A browser client shows neither; a part of a minute rounds up, so that the time is never zero.
            Self::Custom { level, within } => {
                let minutes = within.as_nanos().div_ceil(Duration::from_secs(MINUTE).as_nanos());
                json!({ "level": level.name(), "afterMinutes": u64::try_from(minutes).unwrap_or(u64::MAX) })
            }
        }
    }
}

/// The `fva` of a factor that was not verified.
const NONE: i64 = -1;

/// Whether a factor of this age in minutes, as of the issue of a token of this age, was verified within a time.
pub(crate) fn is_fresh(minutes: i64, token_age: Duration, within: Duration) -> bool {
    u64::try_from(minutes).is_ok_and(|minutes| {
        Duration::from_secs(minutes.saturating_mul(MINUTE)).saturating_add(token_age) < within
    })
}

impl fmt::Display for Reverification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} within {:?}", self.level().name(), self.within())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Reverification::{Custom, Lax, Moderate, Strict, StrictMfa};

    fn first_factor(minutes: u64) -> Reverification {
        Custom { level: ReverificationLevel::FirstFactor, within: Duration::from_secs(minutes * MINUTE) }
    }

    fn is_met(reverification: Reverification, ages: (i64, i64), seconds: u64) -> bool {
        reverification.is_met_by(ages, Duration::from_secs(seconds))
    }

    #[test]
    fn g3_each_preset_holds_to_the_second_before_its_border() {
        for (preset, minutes) in [(StrictMfa, 10), (Strict, 10), (Moderate, 60), (Lax, 1_440)] {
            for last in [(minutes - 1, minutes - 1), (minutes - 1, -1)] {
                assert!(is_met(preset, last, 0) && is_met(preset, last, 59), "{preset:?} {last:?}");
                assert!(!is_met(preset, last, 60), "{preset:?} {last:?}: the token is a minute old");
            }
            for late in [(minutes, minutes), (minutes, -1), (0, minutes)] {
                assert!(!is_met(preset, late, 0), "{preset:?} {late:?}");
            }
            assert_eq!(
                is_met(preset, (minutes, 0), 0),
                preset != StrictMfa,
                "{preset:?}: the first is too old"
            );
            assert!(!is_met(preset, (-1, -1), 0), "{preset:?}: neither factor was verified");
        }
    }

    #[test]
    fn g3_a_second_factor_counts_alone_where_there_is_no_first() {
        for (reverification, expected) in [(Strict, true), (StrictMfa, false), (first_factor(10), false)] {
            assert_eq!(is_met(reverification, (-1, 3), 0), expected, "{reverification:?}");
        }
    }

    #[test]
    fn g3_the_level_of_the_first_factor_ignores_the_second() {
        for second in [-1, 0, 1_000_000] {
            assert!(is_met(first_factor(10), (9, second), 59) && !is_met(first_factor(10), (10, second), 0));
        }
    }

    #[test]
    fn g3_ages_that_make_no_sense_meet_nothing() {
        for ages in
            [(-2, -1), (-2, 3), (3, -2), (i64::MIN, -1), (i64::MAX, -1), (0, i64::MAX), (i64::MAX, i64::MAX)]
        {
            for preset in [StrictMfa, Strict, Moderate, Lax] {
                assert!(!is_met(preset, ages, 0), "{preset:?} {ages:?}");
            }
        }
        assert!(!is_met(first_factor(10), (3, -2), 0) && !is_met(Lax, (0, 0), u64::MAX));
    }

    #[test]
    fn g6_a_configuration_is_named_as_clerk_names_it() {
        let presets = [StrictMfa, Strict, Moderate, Lax].map(|preset| preset.to_json().to_string());
        assert_eq!(presets, [r#""strict_mfa""#, r#""strict""#, r#""moderate""#, r#""lax""#]);
        assert_eq!(first_factor(90).to_json(), json!({ "level": "first_factor", "afterMinutes": 90 }));
        for (seconds, minutes) in [(1, 1), (60, 1), (61, 2), (120, 2)] {
            let custom =
                Custom { level: ReverificationLevel::MultiFactor, within: Duration::from_secs(seconds) };
            assert_eq!(custom.to_json(), json!({ "level": "multi_factor", "afterMinutes": minutes }));
        }
    }

    proptest! {
        #[test]
        fn g3_an_older_token_or_factor_never_meets_more(
            first in -1i64..2_000, second in -1i64..2_000, age in 0u64..200_000, older in 0u64..200_000,
        ) {
            for preset in [StrictMfa, Strict, Moderate, Lax] {
                let is_met_later = is_met(preset, (first, second), age + older);
                prop_assert!(!is_met_later || is_met(preset, (first, second), age));
            }
            // The presets from the strictest to the laxest.
            let met = [StrictMfa, Strict, Moderate, Lax].map(|preset| is_met(preset, (first, second), age));
            prop_assert!(met.is_sorted(), "{met:?}");
        }
    }
}
