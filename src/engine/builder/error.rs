//! Errors in the settings of an engine or a layer.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::authorization::RequirementError;
use crate::clerk_api::bapi::SecretKeyError;
#[cfg(feature = "federation")]
use crate::federation::ProviderError;
use crate::instance::InstanceError;
use crate::store::StoreError;

/// A setting of an engine or a layer that is unusable.
///
/// Its message names the setting and says what to do. It never shows a key. `Debug` shows the message, too, since that is
/// what a program prints whose `main` returns the error.
#[non_exhaustive]
pub enum ConfigError {
    /// The instance is neither a publishable key nor the address of a Frontend API.
    Instance(InstanceError),
    /// A duration is out of its bounds.
    #[non_exhaustive]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The least it can be.
        least: Duration,
        /// The most it can be.
        most: Duration,
        /// The value that was given.
        value: Duration,
    },
    /// A setting that must be at least 1 is 0.
    #[non_exhaustive]
    Zero {
        /// The setting's name.
        name: &'static str,
    },
    /// A count is larger than any instance or machine allows.
    #[non_exhaustive]
    TooMany {
        /// The setting's name.
        name: &'static str,
        /// The most it can be.
        most: u64,
    },
    /// The realm is not printable ASCII, so it cannot be sent in `WWW-Authenticate`.
    #[non_exhaustive]
    Realm {
        /// The realm that was asked for.
        realm: String,
    },
    /// An organization is neither an id (`org_…`) nor a slug.
    #[non_exhaustive]
    Organization {
        /// The organization that was asked for.
        organization: String,
    },
    /// The name of a JWT template is malformed: it must be `[A-Za-z0-9_-]{1,128}`.
    #[non_exhaustive]
    Template {
        /// The template that was asked for.
        template: String,
    },
    /// An address that clients are told is not an absolute one of http or https.
    #[non_exhaustive]
    Url {
        /// The setting's name.
        name: &'static str,
        /// The address that was given.
        url: String,
    },
    /// A [selector](crate::OrganizationSelector) of organizations is unusable.
    #[non_exhaustive]
    Selector {
        /// The fault, and its remedy.
        problem: String,
    },
    /// The requirement of a [guard](crate::guard) is malformed or asks for nothing.
    Requirement(RequirementError),
    /// The list of authorized parties is empty, so no Bearer token would be accepted.
    NoAuthorizedParty,
    /// An authorized party is not an origin, so no token can name it.
    #[non_exhaustive]
    AuthorizedParty {
        /// The party that was asked for.
        party: String,
    },
    /// The audience of a JWT template is empty, or that of another template.
    #[non_exhaustive]
    Audience {
        /// The template.
        template: String,
    },
    /// The layer hands on tokens of a JWT template, and accepts Bearer tokens, but none of this template.
    #[non_exhaustive]
    TemplateNotAccepted {
        /// The template that the layer hands on.
        template: String,
    },
    /// The user name for API keys can't be one of Basic, is too long, or is an id.
    #[non_exhaustive]
    ApiKeyUserName {
        /// The user name that was asked for.
        name: String,
    },
    /// The layer accepts API keys, and replaces the `Authorization` field by the token of a session, which a key doesn't
    /// have.
    ApiKeysHaveNoToken,
    /// The secret key is malformed.
    SecretKey(SecretKeyError),
    /// The secret key and the publishable key are of different instances: one of production, one of development.
    InstanceMismatch,
    /// The address of the Backend API is not a usable URL.
    BackendUrl(InstanceError),
    /// A setting of the Backend API has no effect, because there is no secret key.
    #[non_exhaustive]
    NeedsSecretKey {
        /// The setting's name.
        name: &'static str,
    },
    /// The store can't be opened with its keys.
    Store(StoreError),
    /// Both an SQLite file and a Redis server were given.
    #[cfg(feature = "redis")]
    TwoStores,
    /// A setting of the Redis server is missing or unusable.
    #[cfg(feature = "redis")]
    #[non_exhaustive]
    Redis {
        /// The setting's name.
        setting: &'static str,
        /// The fault, and its remedy.
        problem: &'static str,
    },
    /// An identity provider's settings are unusable or too wide.
    #[cfg(feature = "federation")]
    Provider(ProviderError),
    /// Clerk is to be reached by https, but the crate's `rustls` feature is off and no transport was given.
    NoTls,
    /// The HTTP client could not be made.
    HttpClient(Box<dyn StdError + Send + Sync>),
    /// An environment variable is missing or unusable. The message is one line that begins with its name.
    #[non_exhaustive]
    Variable {
        /// The variable's name, such as `CLERK_SECRET_KEY`.
        name: &'static str,
        /// The reason: another [`ConfigError`], an [`io::Error`](std::io::Error) or a message. It shows no key.
        cause: Box<dyn StdError + Send + Sync>,
    },
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
            Self::Url { name, url } => write!(f, "{name} must be an absolute http or https URL, not {url:?}"),
            Self::Selector { problem } => write!(f, "the selector of organizations is unusable: {problem}"),
            Self::Requirement(error) => error.fmt(f),
            Self::NoAuthorizedParty => f.write_str(
                "the list of authorized parties is empty, so no token would be accepted: name the origins, or leave it out",
            ),
            Self::AuthorizedParty { party } => write!(
                f,
                "{party:?} is no origin like https://app.example.com: in lower case, with a scheme and without a path"
            ),
            Self::Audience { template } => write!(
                f,
                "the audience of the JWT template {template:?} must be a value that no other template sets"
            ),
            Self::TemplateNotAccepted { template } => write!(
                f,
                "the layer hands on tokens of the JWT template {template:?}: name it to `BearerTokens::template` as well, \
                 with its audience"
            ),
            Self::ApiKeyUserName { .. } | Self::ApiKeysHaveNoToken | Self::Store(_) => self.fmt_of_keys(f),
            Self::SecretKey(error) => error.fmt(f),
            Self::InstanceMismatch => f.write_str(
                "the secret key and the publishable key are of two instances: one is for production (live), the other \
                 for development (test)",
            ),
            Self::BackendUrl(error) => fmt_of_backend_url(error, f),
            Self::NeedsSecretKey { name } => {
                write!(f, "{name} is about the Backend API: give the secret key too, or leave it out")
            }
            #[cfg(feature = "redis")]
            Self::TwoStores | Self::Redis { .. } => self.fmt_of_redis(f),
            #[cfg(feature = "federation")]
            Self::Provider(error) => error.fmt(f),
            Self::NoTls => f.write_str(
                "the instance is reached by https: turn on the crate's feature `rustls`, or give a transport",
            ),
            Self::HttpClient(_) => f.write_str("the HTTP client could not be made"),
            Self::Variable { name, cause } => write!(f, "{name}: {cause}"),
        }
    }
}

fn fmt_of_backend_url(error: &InstanceError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        InstanceError::PlainHttp { host } => write!(
            f,
            "the secret key would travel in clear to {host}: use https, as http is for this machine's own addresses"
        ),
        _ => f.write_str(
            "the Backend API's address must be like https://api.clerk.com: scheme, host, port and plain path",
        ),
    }
}

impl ConfigError {
    #[cfg(feature = "redis")]
    fn fmt_of_redis(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis { setting, problem } => write!(f, "the {setting} of the Redis store {problem}"),
            _ => f.write_str(
                "an engine has one store: a SqliteStore for what outlives the process, or a RedisStore for what replicas \
                 share",
            ),
        }
    }

    fn fmt_of_keys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKeyUserName { name } => write!(
                f,
                "{name:?} can't be the user name for API keys: it must have 1 to 64 bytes, no colon and no control \
                 character, and be no id of a user or an organization"
            ),
            Self::ApiKeysHaveNoToken => f.write_str(
                "an API key has no session and so no token for `AuthorizationHeader::Bearer`: strip the field, and send the \
                 key's identity in header fields (`identity_headers`)",
            ),
            Self::Store(error) => fmt::Display::fmt(error, f),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match self.source() {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for ConfigError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::HttpClient(error) => Some(&**error),
            Self::Store(error) => error.source(),
            // The message shows the cause itself.
            Self::Variable { cause, .. } => cause.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Clerk;

    #[test]
    fn o5_a_main_that_returns_a_configuration_error_prints_its_message() {
        let wrong_key = Clerk::builder("pk_live_xx").build().unwrap_err();
        let realm = ConfigError::Realm { realm: "ä".to_owned() };
        let variable = ConfigError::Variable { name: "CLERK_API_URL", cause: "must be Unicode".into() };
        for error in [wrong_key, realm, variable] {
            // `main` prints the error that it returns by `Debug`.
            assert_eq!(format!("{error:?}"), error.to_string());
        }
        let client = ConfigError::HttpClient(Box::from("no certificates"));
        assert_eq!(format!("{client:?}"), "the HTTP client could not be made: no certificates");
    }
}
