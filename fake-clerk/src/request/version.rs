//! Versions of Clerk's API, which are dates.

use crate::clock::Now;

/// The date of the API's first version.
const FIRST_VERSION: &str = "2021-02-05";

/// Whether a version is a date from the API's first version to today. Clerk's clients pin dates for which there is no
/// published description.
pub(crate) fn is_version(version: &str, now: Now) -> bool {
    let shape = version.len() == 10
        && version.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    // The later of both clocks, because a test may run in the past and still pin a current version.
    let system = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let today = date(now.unix().max(i64::try_from(system.as_secs()).unwrap_or(0)));
    shape && (1..=12).contains(&number(&version[5..7])) && (1..=31).contains(&number(&version[8..]))
        // Dates in ISO 8601 format sort as text.
        && version >= FIRST_VERSION && version <= today.as_str()
}

fn number(digits: &str) -> u32 {
    digits.parse().unwrap_or_default()
}

/// Formats the date of a Unix time, such as `2026-11-22`.
fn date(unix: i64) -> String {
    // Days since 0000-03-01, so that the leap day is the last day of a year:
    // https://howardhinnant.github.io/date_algorithms.html
    let days = unix.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_at_month_and_year_ends() {
        for (unix, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_251_200, "2024-03-01"),
            (1_767_225_599, "2025-12-31"),
            (1_767_225_600, "2026-01-01"),
        ] {
            assert_eq!(date(unix), expected);
        }
    }

    #[test]
    fn a_version_is_a_date_from_the_first_one_to_today() {
        let now = Now {
            instant: tokio::time::Instant::now(),
            ms: 1_794_700_800_000,
            fraction: std::time::Duration::ZERO,
        };
        for (version, right) in [
            ("2021-02-05", true),
            ("2025-11-10", true),
            ("2026-08-20", true),
            ("2021-02-04", false),
            ("2999-01-01", false),
            ("2025-13-10", false),
            ("2025-11-1", false),
            ("latest", false),
            ("", false),
        ] {
            assert_eq!(is_version(version, now), right, "{version}");
        }
    }
}
