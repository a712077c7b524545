//! The command line.

use std::fmt;
use std::path::PathBuf;

use clap::{ArgGroup, Args as Arguments, Parser, Subcommand};
use zeroize::Zeroizing;

/// Keeps a database in step with the users, organizations and memberships of a Clerk instance.
///
/// Each option can be given by the environment as well. An empty variable counts as unset.
#[derive(Debug, Parser)]
#[command(name = "clerk-sync", version, about, long_about)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Arguments)]
pub(crate) struct Options {
    /// The database: sqlite://FILE or postgres://USER@HOST/DATABASE. Where it has a password, prefer the variable or a file: other
    /// users of the machine see the list of processes
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<Secret>,
    /// A file with the database's URL, instead
    #[arg(long, global = true, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub(crate) database_url_file: Option<PathBuf>,
    /// The instance's secret key. Prefer the variable or a file, as above
    #[arg(long, global = true, env = "CLERK_SECRET_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) secret_key: Option<Secret>,
    /// A file with the secret key, instead
    #[arg(long, global = true, env = "CLERK_SECRET_KEY_FILE", value_name = "FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// The instance's publishable key. If it is given, it must be of the same kind of instance as the secret key
    #[arg(long, global = true, env = "CLERK_PUBLISHABLE_KEY", value_name = "KEY")]
    pub(crate) publishable_key: Option<String>,
    /// The address of the instance's Frontend API, instead of the publishable key
    #[arg(long, global = true, env = "CLERK_FAPI_URL", value_name = "URL")]
    pub(crate) fapi_url: Option<String>,
    /// The address of the Backend API [default: https://api.clerk.com]
    #[arg(long, global = true, env = "CLERK_API_URL", value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// Calls to the Backend API, such as 80/10s [default: a tenth of the instance's limit]
    #[arg(long, global = true, env = "LIST_RATE", value_name = "CALLS/SECONDS")]
    pub(crate) list_rate: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create or update the mirror's tables
    Migrate,
    /// Fill the mirror from Clerk. A run that was stopped goes on where it was
    Backfill,
    /// Compare the mirror with Clerk, and repair it
    ///
    /// Exit codes: 0 equal or repaired, 1 failed or aborted, 2 unusable setting, 3 differences remain.
    Reconcile(Reconcile),
    /// Show what the mirror holds, how old it is, and how the last runs ended
    Status,
    /// Events and entries that could not be applied
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Receive Clerk's webhooks at POST /webhooks/clerk until SIGTERM
    Watch(Watch),
}

#[derive(Debug, Arguments)]
#[command(group(ArgGroup::new("mode").required(true).args(["report", "repair"])))]
pub(crate) struct Reconcile {
    /// Change nothing
    #[arg(long)]
    pub(crate) report: bool,
    /// Make the mirror Clerk's state
    #[arg(long)]
    pub(crate) repair: bool,
    /// Believe an empty or a short list, and many deletions
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List them
    List,
    /// Read the objects of these messages from Clerk, and apply them
    ///
    /// Exit codes: 0 all were applied, 1 one could not be, 2 unusable setting.
    Replay {
        /// The ids of the messages, as `list` shows them
        #[arg(required_unless_present = "all", value_name = "MESSAGE")]
        messages: Vec<String>,
        /// Replay all
        #[arg(long, conflicts_with = "messages")]
        all: bool,
    },
    /// Forget these messages, which can't be replayed
    ///
    /// Exit codes: 0 all were there, 1 one was not, 2 unusable setting.
    Discard {
        /// The ids of the messages, as `list` shows them
        #[arg(required = true, value_name = "MESSAGE")]
        messages: Vec<String>,
    },
}

#[derive(Debug, Arguments)]
pub(crate) struct Watch {
    /// Where to listen
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:3000", value_name = "IP:PORT")]
    pub(crate) listen_addr: String,
    /// The endpoint's signing secret; several, separated by spaces, while it is rotated. Prefer the variable or a file, as above
    #[arg(long, env = "CLERK_WEBHOOK_SIGNING_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) webhook_signing_secret: Option<Secret>,
    /// A file with the signing secret, instead
    #[arg(long, env = "CLERK_WEBHOOK_SIGNING_SECRET_FILE", value_name = "FILE")]
    pub(crate) webhook_signing_secret_file: Option<PathBuf>,
}

/// A secret setting, which shows itself to nobody.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn secrets_are_not_shown() {
        let arguments =
            ["clerk-sync", "--database-url", "postgres://u:geheim@h/d", "--secret-key", "sk_test_geheim"];
        let watch = ["watch", "--webhook-signing-secret", "whsec_geheim"];
        let args = Args::try_parse_from(arguments.into_iter().chain(watch)).unwrap();
        let shown = format!("{args:?}");
        assert!(shown.contains("Secret(…)") && !shown.contains("geheim"), "{shown}");
    }
}
