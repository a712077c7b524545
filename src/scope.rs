//! What a session or a token is for: an organization and a JWT template, as they were asked for.
//!
//! Names are parsed where they come in, so that everything behind knows what it has.

/// What a token is for. The default is the user's personal account and Clerk's own session token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) organization: Option<OrganizationName>,
    pub(crate) template: Option<TemplateName>,
}

impl Scope {
    /// Whether it is for what a sign-in brings along anyway: no organization, no template.
    pub(crate) fn is_plain(&self) -> bool {
        self.organization.is_none() && self.template.is_none()
    }
}

/// How an organization was named (rule S7). The id and the slug of one organization are two names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OrganizationName {
    /// `org_` and 1-64 alphanumerics.
    Id(Box<str>),
    /// `[a-z0-9_-]{1,256}`.
    Slug(Box<str>),
    /// No organization can be called that. It never reaches Clerk.
    Malformed,
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

    /// As it was asked for; empty where it is malformed.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Id(name) | Self::Slug(name) => name,
            Self::Malformed => "",
        }
    }
}

/// A JWT template, by the name that stands in the path of its mint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TemplateName {
    /// `[A-Za-z0-9_-]{1,128}`.
    Usable(Box<str>),
    /// It can't stand in a path, so it never reaches Clerk.
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
        // Not an id, but a slug may begin like one.
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
