//! A secret from an environment variable, or from a file that another variable names.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};

use zeroize::Zeroizing;

use super::ConfigError;

/// The most that is read of a file with a secret. A secret key has at most 256 bytes, eight webhook secrets 800.
const MAX_FILE: usize = 4096;

/// The variables that a secret may be in.
pub(crate) struct SecretNames {
    /// The variable that holds the secret.
    pub(crate) value: &'static str,
    /// The variable that holds the path of a file, whose first line is the secret.
    pub(crate) file: &'static str,
    /// The secret's beginning, which no path has.
    pub(crate) prefix: &'static str,
}

/// A secret, and the variable that it is from.
pub(crate) struct GivenSecret {
    pub(crate) name: &'static str,
    pub(crate) value: Zeroizing<String>,
}

/// Reads a secret from one of its two variables.
pub(crate) fn secret_variable(
    look_up: impl Fn(&str) -> Option<OsString>,
    names: &SecretNames,
) -> Result<Option<GivenSecret>, ConfigError> {
    match (value(&look_up, names.value)?, value(&look_up, names.file)?) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(unusable(names.file, format!("{} is set as well: unset one of them", names.value)))
        }
        (Some(value), None) => Ok(Some(GivenSecret { name: names.value, value })),
        // Checked first, because the secret must not be shown as the name of a file.
        (None, Some(path)) if path.starts_with(names.prefix) => {
            Err(unusable(names.file, format!("must be a path; the secret itself belongs in {}", names.value)))
        }
        (None, Some(path)) => match first_line(&path) {
            Ok(value) => Ok(Some(GivenSecret { name: names.file, value })),
            Err(error) => {
                let kind = error.kind();
                Err(unusable(names.file, io::Error::new(kind, format!("the file can't be read: {error}"))))
            }
        },
    }
}

/// A variable's value. An empty one counts as unset.
pub(crate) fn value(
    look_up: impl Fn(&str) -> Option<OsString>,
    name: &'static str,
) -> Result<Option<Zeroizing<String>>, ConfigError> {
    let Some(value) = look_up(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.into_string() {
        Ok(value) => Ok(Some(Zeroizing::new(value))),
        Err(_) => Err(unusable(name, "must be Unicode")),
    }
}

/// The first line of a file, without white space around it.
fn first_line(path: &str) -> io::Result<Zeroizing<String>> {
    let mut file = File::open(path)?;
    // Allocated at its full size, because a growing buffer leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; MAX_FILE]);
    let mut len = 0;
    while len < MAX_FILE && !bytes[..len].contains(&b'\n') {
        match file.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let line = bytes[..len].split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = str::from_utf8(line.trim_ascii())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it isn't UTF-8"))?;
    Ok(Zeroizing::new(line.to_owned()))
}

pub(crate) fn unusable(name: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> ConfigError {
    ConfigError::Variable { name, cause: cause.into() }
}
