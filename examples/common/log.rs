//! The log of the programs that serve: to stderr, as text or JSON.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// The variables of Clerk's and of this crate that the programs read.
const KNOWN: [&str; 9] = [
    "CLERK_PUBLISHABLE_KEY",
    "CLERK_FAPI_URL",
    "CLERK_SECRET_KEY",
    "CLERK_SECRET_KEY_FILE",
    "CLERK_API_URL",
    "CLERK_ORGANIZATION",
    "CLERK_JWT_TEMPLATE",
    "CLERK_WEBHOOK_SIGNING_SECRET",
    "CLERK_WEBHOOK_SIGNING_SECRET_FILE",
];

/// Starts the log, from info on unless `RUST_LOG` has a filter. An error begins with the name of its variable.
pub(crate) fn start() -> Result<(), String> {
    let filter = variable("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("RUST_LOG: {error}"))?;
    // Escape sequences are for terminals: https://no-color.org. In a file or a journal they are in the way.
    let has_colours = io::stderr().is_terminal() && variable("NO_COLOR").is_none();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(has_colours);
    match variable("LOG_FORMAT").as_deref() {
        None | Some("text") => log.init(),
        Some("json") => log.json().flatten_event(true).init(),
        Some(_) => return Err("LOG_FORMAT: must be text or json".to_owned()),
    }
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value.map(|value| value.to_string_lossy().into_owned())
}

/// Warns of variables that look like settings and have no effect, such as misspelt ones.
pub(crate) fn warn_of_unknown_variables() {
    for name in unknown(env::vars_os()) {
        tracing::warn!("{name} is set, but this program reads no variable of that name");
    }
}

/// The names that begin like Clerk's and aren't known. An empty variable counts as unset.
fn unknown(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let set = variables.filter(|(_, value)| !value.is_empty());
    let names = set.map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown: Vec<_> =
        names.filter(|name| name.starts_with("CLERK_") && !KNOWN.contains(&&**name)).collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_variables_are_found_and_those_of_other_programs_are_not() {
        let set = [
            ("CLERK_PUBLISHABLE_KEY", "pk_test_a"),
            ("CLERK_SECRET_KEYS", "sk_test_a"),
            ("CLERK_JWT_KEY", ""),
            ("NEXT_PUBLIC_CLERK_SIGN_IN_URL", "/sign-in"),
            ("CLERK_ORGANISATION", "acme"),
            ("PATH", "/bin"),
        ];
        let set = set.into_iter().map(|(name, value)| (name.into(), value.into()));
        assert_eq!(unknown(set), ["CLERK_ORGANISATION", "CLERK_SECRET_KEYS"]);
    }
}
