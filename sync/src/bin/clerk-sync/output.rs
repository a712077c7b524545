//! The output of the program, and its exit status.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;
use tower_clerk_sync::MirrorError;

/// Why a command failed, and the exit code that says so.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// An unusable setting. The message begins with the name of its variable.
    pub(crate) fn setting(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// Prints the message in one line, and with `--json` as an object on the standard output, too.
    pub(crate) fn end(&self, is_json: bool) -> ExitCode {
        if is_json {
            print(&json!({ "outcome": "failed", "reason": self.message }).to_string());
        }
        let line = self.message.replace(['\n', '\r'], " ");
        _ = writeln!(io::stderr(), "{line}");
        ExitCode::from(self.code)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::setting(message)
    }
}

impl From<MirrorError> for Failure {
    fn from(error: MirrorError) -> Self {
        Self::new(error.to_string())
    }
}

/// Prints a result: a text, or an object with `--json`.
pub(crate) fn show(is_json: bool, object: &impl Serialize, text: &str) -> Result<(), Failure> {
    if is_json {
        let json =
            serde_json::to_string(object).map_err(|_| Failure::new("the result can't be written as JSON"))?;
        print(&json);
    } else {
        print(text);
    }
    Ok(())
}

/// Prints a line. The reader may be gone, which is no reason to end otherwise.
pub(crate) fn print(line: &str) {
    _ = writeln!(io::stdout(), "{line}");
}
