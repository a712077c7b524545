//! Names in settings: a malformed one is an error, rather than an answer to each request.

use super::ConfigError;
use crate::scope::{OrganizationName, TemplateName};

impl OrganizationName {
    /// # Errors
    ///
    /// Returns an error if the name has neither the form of an id nor of a slug.
    pub(crate) fn checked(name: String) -> Result<Self, ConfigError> {
        match Self::parse(&name) {
            Self::Malformed => Err(ConfigError::Organization { organization: name }),
            organization => Ok(organization),
        }
    }
}

impl TemplateName {
    /// # Errors
    ///
    /// Returns an error if the name can't be the name of a template.
    pub(crate) fn checked(name: String) -> Result<Self, ConfigError> {
        match Self::parse(&name) {
            Self::Malformed => Err(ConfigError::Template { template: name }),
            template => Ok(template),
        }
    }
}
