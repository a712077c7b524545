//! The organization and the JWT template that a token is requested for.
//!
//! Names are parsed at the boundary, so that later code can rely on their shape.

/// The scope of a token. The default is Clerk's own session token for the user's personal account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) organization: Option<OrganizationName>,
    pub(crate) template: Option<TemplateName>,
}

impl Scope {
    /// Whether a sign-in returns a token of this scope: no organization and no template.
    pub(crate) fn is_plain(&self) -> bool {
        self.organization.is_none() && self.template.is_none()
    }
}

/// An organization, by id or by slug (rule S7). The id and the slug of one organization are different names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OrganizationName {
    /// `org_` and 1 to 64 ASCII letters and digits.
    Id(Box<str>),
    /// `[a-z0-9_-]{1,256}`.
    Slug(Box<str>),
    /// A name that no organization can have. It is never sent to Clerk.
    Malformed,
    /// A name that the layer's allow-list lacks (rule A8). It is never sent to Clerk, and the password is verified all
    /// the same: otherwise the answer would tell a client without one which organizations are on the list.
    Unlisted,
}

impl OrganizationName {
    pub(crate) fn parse(name: &str) -> Self {
        if let Some(rest) = name.strip_prefix("org_")
            && (1..=64).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Self::Id(name.into());
        }
        let is_of_slug =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        let is_slug = (1..=256).contains(&name.len()) && name.bytes().all(is_of_slug);
        if is_slug { Self::Slug(name.into()) } else { Self::Malformed }
    }

    /// The name as requested, or an empty string for a name that is never sent to Clerk.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Id(name) | Self::Slug(name) => name,
            Self::Malformed | Self::Unlisted => "",
        }
    }
}

/// A JWT template, by the name in the path of its mint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TemplateName {
    /// `[A-Za-z0-9_-]{1,128}`.
    Usable(Box<str>),
    /// A name that cannot be part of a path. It is never sent to Clerk.
    Malformed,
}

impl TemplateName {
    pub(crate) fn parse(name: &str) -> Self {
        let is_usable = (1..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_usable { Self::Usable(name.into()) } else { Self::Malformed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s7_an_organization_is_checked_for_shape() {
        let parse = OrganizationName::parse;
        assert_eq!(parse("org_2abC"), OrganizationName::Id("org_2abC".into()));
        assert_eq!(parse("acme-inc_2"), OrganizationName::Slug("acme-inc_2".into()));
        // A slug may start like an id.
        for slug in ["org_a-b", "org_"] {
            assert_eq!(parse(slug), OrganizationName::Slug(slug.into()));
        }
        for bad in ["", "Acme", "acme inc", "../acme", "acme/x", "org_\u{c4}", "a%2fb", "acme?x=1"] {
            assert_eq!(parse(bad), OrganizationName::Malformed, "{bad}");
        }
        assert_eq!(parse(&"a".repeat(257)), OrganizationName::Malformed);
    }

    #[test]
    fn s8_a_template_is_checked_for_shape() {
        assert_eq!(TemplateName::parse("partner_2-A"), TemplateName::Usable("partner_2-A".into()));
        for bad in ["", "no such/template", "a.b", "\u{e4}", &"a".repeat(129)] {
            assert_eq!(TemplateName::parse(bad), TemplateName::Malformed, "{bad}");
        }
    }
}
