//! What can be wrong with how an engine or a layer is set up.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::clerk_api::bapi::SecretKeyError;
use crate::instance::InstanceError;

/// An engine or a layer that cannot be built as asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The instance is neither a publishable key nor the address of a Frontend API.
    Instance(InstanceError),
    /// A setting is out of its bounds.
    #[non_exhaustive]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The least it can be.
        least: Duration,
        /// The most it can be.
        most: Duration,
        /// What it was.
        value: Duration,
    },
    /// A setting that must be at least 1 is 0.
    #[non_exhaustive]
    Zero {
        /// The setting's name.
        name: &'static str,
    },
    /// A setting is over what makes sense.
    #[non_exhaustive]
    TooMany {
        /// The setting's name.
        name: &'static str,
        /// The most it can be.
        most: u64,
    },
    /// The realm can't stand in a `WWW-Authenticate` field.
    #[non_exhaustive]
    Realm {
        /// The realm that was asked for.
        realm: String,
    },
    /// An organization has the shape of neither an id nor a slug.
    #[non_exhaustive]
    Organization {
        /// The organization that was asked for.
        organization: String,
    },
    /// A JWT template's name can be no template's.
    #[non_exhaustive]
    Template {
        /// The template that was asked for.
        template: String,
    },
    /// The secret key is none.
    SecretKey(SecretKeyError),
    /// The secret key is for a production instance and the publishable key for a development instance, or the other
    /// way round.
    OtherInstance,
    /// The address of the Backend API is none.
    BackendUrl(InstanceError),
    /// A setting of the Backend API without a secret key, which would have no effect.
    #[non_exhaustive]
    NoSecretKey {
        /// The setting's name.
        name: &'static str,
    },
    /// Clerk is to be reached by https, but the crate's `rustls` feature is off and no transport was given.
    NoTls,
    /// The HTTP client could not be made.
    HttpClient(Box<dyn StdError + Send + Sync>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(error) => error.fmt(f),
            Self::Setting { name, least, most, value } => {
                write!(f, "{name} must be between {least:?} and {most:?}, not {value:?}")
            }
            Self::Zero { name } => write!(f, "{name} must be at least 1"),
            Self::TooMany { name, most } => write!(f, "{name} must be at most {most}"),
            Self::Realm { realm } => {
                write!(f, "the realm must be printable ASCII, which {realm:?} is not")
            }
            Self::Organization { organization } => write!(
                f,
                "{organization:?} is neither the id of an organization (org_…) nor a slug ([a-z0-9_-]{{1,256}})"
            ),
            Self::Template { template } => {
                write!(f, "{template:?} can't be the name of a JWT template ([A-Za-z0-9_-]{{1,128}})")
            }
            Self::SecretKey(error) => error.fmt(f),
            Self::OtherInstance => f.write_str(
                "the secret key and the publishable key are of two instances: one is for production (live), the other \
                 for development (test)",
            ),
            Self::BackendUrl(InstanceError::PlainHttp { host }) => write!(
                f,
                "the secret key would travel in clear to {host}: use https, as http is for this machine's own addresses"
            ),
            Self::BackendUrl(_) => f.write_str(
                "the Backend API's address must be like https://api.clerk.com: scheme, host, port and plain path",
            ),
            Self::NoSecretKey { name } => {
                write!(f, "{name} is about the Backend API: give the secret key too, or leave it out")
            }
            Self::NoTls => f.write_str(
                "the instance is reached by https: turn on the crate's feature `rustls`, or give a transport",
            ),
            Self::HttpClient(_) => f.write_str("the HTTP client could not be made"),
        }
    }
}

impl StdError for ConfigError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::HttpClient(error) => Some(&**error),
            _ => None,
        }
    }
}
