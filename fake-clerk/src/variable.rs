//! Environment variables.

use std::env::{self, VarError};

/// Returns a variable's value. An empty one counts as unset. An error begins with its name.
pub(crate) fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name}: must be UTF-8")),
    }
}
