//! How a person's assertion is linked to a user.

use super::claims::AssertionClaims;
use super::presets::Preset;

/// A way to find the user of a person's assertion. In the order of the variants the first hit wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Link {
    /// A linked external account of this provider, by Clerk's name for it (`oauth_…`).
    External(Box<str>),
    /// An account of this enterprise connection.
    Enterprise(Box<str>),
    /// A verified e-mail address of one of these domains.
    VerifiedEmail(Vec<Box<str>>),
}

/// An e-mail address that its provider vouches for.
pub(crate) struct VerifiedEmail<'a>(pub(crate) &'a str);

impl Preset {
    /// The e-mail address of a person, if the provider says that it is verified and in charge of its domain.
    ///
    /// An address alone says nothing: at many providers anyone can enter one, and with Entra every tenant can
    /// (<https://www.descope.com/blog/post/noauth>).
    pub(super) fn verified_email<'a>(
        &self,
        claims: &'a AssertionClaims,
        domains: &[Box<str>],
    ) -> Option<VerifiedEmail<'a>> {
        let email = claims.text("email")?;
        let (name, domain) = email.rsplit_once('@')?;
        let is_listed = domains.iter().any(|listed| listed.eq_ignore_ascii_case(domain));
        let is_verified = match self {
            // `hd` says that Google's customer owns the domain. Consumer accounts with an address elsewhere have none.
            Self::Google => {
                claims.is_true("email_verified")
                    && claims.text("hd").is_some_and(|owner| owner.eq_ignore_ascii_case(domain))
            }
            // Entra has no `email_verified`: `xms_edov` says that the tenant owns the domain.
            Self::Entra { .. } => claims.is_true("xms_edov"),
            _ => claims.is_true("email_verified"),
        };
        // Users are compared in lower case and without white space around, by which other characters become a user's own: the
        // sign for kelvin (U+212A) becomes a `k`.
        let is_plain = email.bytes().all(|byte| byte.is_ascii_graphic());
        (is_listed && is_verified && is_plain && !name.is_empty() && !name.contains('@'))
            .then_some(VerifiedEmail(email))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn x2_an_address_counts_only_if_its_provider_is_in_charge_of_its_domain() {
        let domains: Vec<Box<str>> = vec!["acme.com".into()];
        let entra = || Preset::Entra { tenant: "t".into() };
        for (preset, claims, counts) in [
            (Preset::Oidc, json!({"email": "a@acme.com", "email_verified": true}), true),
            (Preset::Oidc, json!({"email": "a@ACME.com", "email_verified": true}), true),
            (Preset::Oidc, json!({"email": "a@acme.com", "email_verified": "true"}), false),
            (Preset::Oidc, json!({"email": "a@acme.com", "email_verified": 1}), false),
            (Preset::Oidc, json!({"email": "a@acme.com"}), false),
            (Preset::Oidc, json!({"email": "a@evil.com", "email_verified": true}), false),
            (Preset::Oidc, json!({"email": "a@evil.com@acme.com", "email_verified": true}), false),
            (Preset::Oidc, json!({"email": "@acme.com", "email_verified": true}), false),
            (Preset::Oidc, json!({"email": "mi\u{212a}e@acme.com", "email_verified": true}), false),
            (Preset::Oidc, json!({"email": " a@acme.com", "email_verified": true}), false),
            (Preset::Oidc, json!({"email": "a@x.acme.com", "email_verified": true}), false),
            (Preset::Google, json!({"email": "a@acme.com", "email_verified": true}), false),
            (Preset::Google, json!({"email": "a@acme.com", "email_verified": true, "hd": "evil.com"}), false),
            (Preset::Google, json!({"email": "a@acme.com", "email_verified": true, "hd": "acme.com"}), true),
            (Preset::Google, json!({"email": "a@acme.com", "hd": "acme.com"}), false),
            (entra(), json!({"email": "a@acme.com", "email_verified": true}), false),
            (entra(), json!({"email": "a@acme.com", "xms_edov": true}), true),
            (entra(), json!({"email": "a@acme.com", "xms_edov": "1"}), false),
        ] {
            let read = AssertionClaims::of(&claims);
            let email = preset.verified_email(&read, &domains);
            assert_eq!(email.is_some(), counts, "{preset:?} {claims}");
        }
    }
}
