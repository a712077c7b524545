//! Features and plans, with the scope that they are asked in.

use std::fmt;

use super::error::{Kind, RequirementError};

/// A feature or a plan, asked of the organization, of the user, or of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entitlement {
    scope: Scope,
    slug: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Organization,
    User,
    Either,
}

impl Entitlement {
    /// Parses `slug` or `scope:slug`. `what` is "feature" or "plan", for the error.
    pub(crate) fn parse(what: &'static str, name: &str) -> Result<Self, RequirementError> {
        let (scope, slug) = match name.split_once(':') {
            None => (Scope::Either, name),
            Some(("o" | "org" | "organization", slug)) => (Scope::Organization, slug),
            Some(("u" | "user", slug)) => (Scope::User, slug),
            Some(_) => return Err(Kind::Scope { what, name: name.to_owned() }.into()),
        };
        let is_of_slug = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if slug.is_empty() || !slug.bytes().all(is_of_slug) {
            return Err(Kind::Entitlement { what, name: name.to_owned() }.into());
        }
        Ok(Self { scope, slug: slug.into() })
    }

    /// Whether it is among those that a token lists, such as `o:reports`, `u:gold` or `ou:teams`.
    ///
    /// A list with an element without a scope has none, since Clerk's own check (`splitByScope`) fails for it.
    pub(crate) fn is_among<'a>(&self, mut listed: impl Iterator<Item = &'a str>) -> bool {
        let mut found = false;
        let is_well_formed = listed.all(|element| {
            let Some((scope, slug)) = element.split_once(':') else { return false };
            let is_in_scope = match self.scope {
                Scope::Organization => matches!(scope, "o" | "ou" | "uo"),
                Scope::User => matches!(scope, "u" | "ou" | "uo"),
                Scope::Either => matches!(scope, "o" | "u" | "ou" | "uo"),
            };
            found |= is_in_scope && *slug == *self.slug;
            true
        });
        found && is_well_formed
    }
}

impl fmt::Display for Entitlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Scope::Organization => "o:",
            Scope::User => "u:",
            Scope::Either => "",
        };
        write!(f, "{scope}{}", self.slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_among(name: &str, listed: &str) -> bool {
        Entitlement::parse("feature", name).unwrap().is_among(listed.split(',').map(str::trim))
    }

    #[test]
    fn g4_a_feature_is_sought_in_its_scope_and_in_either_without_one() {
        let listed = "o:reports, u:gold,ou:teams,uo:chat,x:other,o:a:b";
        for (names, expected) in [
            (&["reports", "o:reports", "org:reports", "organization:reports"][..], true),
            (&["u:reports", "user:reports", "report", "reports2"], false),
            (&["gold", "u:gold", "user:gold"], true),
            (&["o:gold", "org:gold"], false),
            (&["teams", "o:teams", "u:teams", "chat", "o:chat", "u:chat"], true),
            (&["other", "o:other", "u:other", "a", "b", "o:b", "o", "u"], false),
        ] {
            for name in names {
                assert_eq!(is_among(name, listed), expected, "{name}");
            }
        }
    }

    #[test]
    fn g4_a_list_that_clerks_own_check_fails_for_has_no_features() {
        for listed in ["", "reports", "o:reports,", "reports,o:reports", "o:reports,x"] {
            assert!(!is_among("reports", listed), "{listed}");
        }
    }

    #[test]
    fn g4_an_unknown_scope_and_a_malformed_slug_are_refused_and_named() {
        for name in ["x:reports", "ou:reports", "O:reports", ":reports", " o:reports"] {
            let error = Entitlement::parse("feature", name).unwrap_err().to_string();
            assert!(error.contains("scope") && error.contains(&format!("{name:?}")), "{error}");
        }
        for name in ["", "o:", "user:", "o:a:b", "a b", "a,b", "ä"] {
            let error = Entitlement::parse("plan", name).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name:?} is no plan")), "{error}");
        }
    }
}
