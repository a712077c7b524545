//! The organizations that a layer serves.

use std::collections::HashSet;

use super::RequestOrganization;
use crate::engine::builder::ConfigError;
use crate::scope::OrganizationName;

/// The names that a selector lets pass, or all names. An id and a slug of the same organization are different names.
#[derive(Debug)]
pub(super) struct AllowList(Option<HashSet<Box<str>>>);

impl AllowList {
    /// # Errors
    ///
    /// Returns an error if the list is empty, or if an entry is neither an id nor a slug.
    pub(super) fn new(names: Option<Vec<String>>) -> Result<Self, ConfigError> {
        let Some(names) = names else { return Ok(Self(None)) };
        if names.is_empty() {
            // Such a layer would let no user in. The list may come from a variable that is unset by mistake.
            let problem = "its allow-list is empty: name the organizations that the layer serves".to_owned();
            return Err(ConfigError::Selector { problem });
        }
        let malformed = |name: &&String| OrganizationName::parse(name) == OrganizationName::Malformed;
        match names.iter().find(malformed) {
            Some(name) => Err(ConfigError::Organization { organization: name.clone() }),
            None => Ok(Self(Some(names.into_iter().map(String::into_boxed_str).collect()))),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(|name| &**name)
    }

    /// The answer of a selector that has found this name.
    ///
    /// A malformed name stays as it is: the request is refused before the proof, which tells a client nothing about
    /// the list.
    pub(super) fn answer(&self, name: String) -> RequestOrganization {
        let passes = self.0.as_ref().is_none_or(|names| names.contains(&*name));
        if passes || OrganizationName::parse(&name) == OrganizationName::Malformed {
            RequestOrganization::Named(name)
        } else {
            RequestOrganization::Unlisted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a8_only_listed_spellings_pass() {
        let list = AllowList::new(Some(vec!["acme".into(), "org_2abC".into()])).unwrap();
        for name in ["acme", "org_2abC"] {
            assert_eq!(list.answer(name.into()), RequestOrganization::named(name));
        }
        for name in ["globex", "org_2abc", "org_2abCd", "acme-", "acm"] {
            assert_eq!(list.answer(name.into()), RequestOrganization::Unlisted, "{name}");
        }
        for malformed in ["", "Acme", "acme ", "a/b", "acme\0"] {
            assert_eq!(list.answer(malformed.into()), RequestOrganization::named(malformed));
        }
        let all = AllowList::new(None).unwrap();
        assert_eq!(all.answer("globex".into()), RequestOrganization::named("globex"));
    }

    #[test]
    fn a8_an_allow_list_is_checked_when_the_layer_is_built() {
        let error = AllowList::new(Some(vec!["acme".into(), "Acme".into()])).unwrap_err();
        assert!(error.to_string().contains(r#""Acme""#), "{error}");
        let error = AllowList::new(Some(Vec::new())).unwrap_err();
        assert!(error.to_string().contains("allow-list is empty"), "{error}");
    }
}
