//! Which verified tokens a layer accepts (rules B1, B2, B4).

use super::verified::{TokenClass, VerifiedBearer};
use crate::scope::{OrganizationName, Scope, TemplateName};
use crate::session::ClerkSession;

/// The tokens that a layer accepts as `Bearer`, for [`accept_bearer`](crate::ClerkBasicAuthLayer::accept_bearer).
///
/// By default these are the session tokens of the instance: what a browser or an app gets from Clerk's `getToken()`.
/// Tokens of JWT templates, of machines and of OAuth applications are refused, although Clerk signs them with the same
/// key.
///
/// ```
/// use tower_clerk::{BearerTokens, Clerk, ClerkBasicAuthLayer};
///
/// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
/// let tokens = BearerTokens::new().authorized_parties(["https://app.example.com"]);
/// let layer = ClerkBasicAuthLayer::new(clerk).accept_bearer(tokens)?;
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it has no effect until a layer accepts it"]
pub struct BearerTokens {
    parties: Option<Box<[Box<str>]>>,
    templates: Vec<AcceptedTemplate>,
    #[cfg(feature = "federation")]
    providers: Vec<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AcceptedTemplate {
    pub(crate) name: Box<str>,
    pub(crate) audience: Box<str>,
}

/// Why a layer doesn't accept a verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// The token is not one for this layer, with the reason.
    Token(&'static str),
    /// The token is for another organization than the request, or for none.
    Organization,
}

impl BearerTokens {
    /// Creates a setting that accepts session tokens of any authorized party.
    ///
    /// Set [`authorized_parties`](Self::authorized_parties) as well if the instance serves several applications.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts a token only if it was issued for one of these origins (`azp`), such as `https://app.example.com`.
    ///
    /// Without it, a token that another application of the same instance has obtained is accepted here too, and with a
    /// sibling domain that an attacker controls that is a way in
    /// (<https://clerk.com/docs/guides/sessions/manual-jwt-verification>).
    ///
    /// A native app and a server send no `Origin` when they sign in, so their tokens name no party. Such a token passes
    /// only if this engine holds its session now, for the same user: then the engine has opened the session itself.
    pub fn authorized_parties<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.parties = Some(origins.into_iter().map(|origin| origin.into().into()).collect());
        self
    }

    /// Accepts tokens of a JWT template as well, by the audience (`aud`) that this template sets.
    ///
    /// A template's token doesn't say which template it is of, so the layer goes by its `aud`. Choose a value that no
    /// other template of the instance sets, and don't make it of anything that a user may edit. It can be called several
    /// times, with different audiences.
    ///
    /// A layer that hands on tokens of a template ([`template`](crate::ClerkBasicAuthLayer::template)) accepts the tokens
    /// of that template only, and no session tokens, so that its handlers always find the same claims.
    ///
    /// A template's token names no session. [`ClerkSession::session_id`](crate::ClerkSession::session_id) is empty then,
    /// revocations of a session don't reach it (those of its user, and of the organization that it names, do), and with
    /// [`authorized_parties`](Self::authorized_parties) it must name a party.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::{BearerTokens, ClerkBasicAuthLayer};
    ///
    /// // The template `reports` of Clerk's dashboard has the claim `"aud": "https://reports.example.com"`.
    /// let tokens = BearerTokens::new().template("reports", "https://reports.example.com");
    /// let layer = ClerkBasicAuthLayer::new(clerk).accept_bearer(tokens)?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn template(mut self, name: impl Into<String>, audience: impl Into<String>) -> Self {
        let (name, audience) = (name.into().into(), audience.into().into());
        self.templates.push(AcceptedTemplate { name, audience });
        self
    }

    /// Accepts the assertions of one of the engine's [providers](crate::ClerkBuilder::provider) as well, by the provider's
    /// issuer.
    ///
    /// A job of a build server or a workload in a cluster then sends what it has, `Authorization: Bearer <assertion>`, and
    /// needs no token endpoint. The engine exchanges the assertion for a session at Clerk, and keeps that for as long as the
    /// assertion is valid: the inner service gets an ordinary [`ClerkSession`](crate::ClerkSession) with Clerk's token,
    /// whose [`assurance`](crate::ClerkSession::assurance) says what the provider has said. Everything else in this type is
    /// about Clerk's own tokens.
    ///
    /// Presented like this, the assertion is a credential: it is accepted again and again until it expires, with a person as
    /// its subject, too, and without a nonce. Accept a provider only where its assertions are made for this API, by an
    /// audience of its own, and prefer [token exchange](crate::token_endpoint::TokenEndpoint::accept_token_exchange) for
    /// people.
    ///
    /// ```
    /// # fn layer(clerk: tower_clerk::Clerk) -> Result<(), tower_clerk::ConfigError> {
    /// use tower_clerk::{BearerTokens, ClerkBasicAuthLayer};
    ///
    /// let tokens = BearerTokens::new().provider("https://token.actions.githubusercontent.com");
    /// let layer = ClerkBasicAuthLayer::new(clerk).accept_bearer(tokens)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "federation")]
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    pub fn provider(mut self, issuer: impl Into<String>) -> Self {
        self.providers.push(issuer.into().into());
        self
    }

    /// The issuers of the providers whose assertions are accepted.
    #[cfg(feature = "federation")]
    pub(crate) fn providers(&self) -> &[Box<str>] {
        &self.providers
    }

    /// The authorized parties, if they are set.
    pub(crate) fn parties(&self) -> Option<&[Box<str>]> {
        self.parties.as_deref()
    }

    pub(crate) fn templates(&self) -> &[AcceptedTemplate] {
        &self.templates
    }

    /// Whether tokens of this template are accepted.
    pub(crate) fn accepts_template(&self, template: &TemplateName) -> bool {
        matches!(template, TemplateName::Usable(name) if self.templates.iter().any(|it| it.name == *name))
    }

    /// Decides whether a layer accepts a verified token for a request of this scope. `is_held` tells whether the engine
    /// holds the token's session.
    pub(crate) fn check(
        &self,
        verified: &VerifiedBearer,
        scope: &Scope,
        is_held: impl FnOnce(&ClerkSession) -> bool,
    ) -> Result<(), Unacceptable> {
        let session = &verified.session;
        self.check_class(&verified.class, scope.template.as_ref())?;
        if let Some(parties) = &self.parties {
            match session.claims().authorized_party() {
                Some(party) if parties.iter().any(|authorized| **authorized == *party) => {}
                Some(_) => return Err(Unacceptable::Token("the token is for another authorized party")),
                None if is_held(session) => {}
                None => return Err(Unacceptable::Token("the token names no authorized party")),
            }
        }
        let is_right = match (&scope.organization, session.organization()) {
            (None, organization) => organization.is_none(),
            (Some(OrganizationName::Id(id)), Some(organization)) => organization.id() == &**id,
            (Some(OrganizationName::Slug(slug)), Some(organization)) => organization.slug() == Some(&**slug),
            (Some(OrganizationName::Malformed | OrganizationName::Unlisted), _) | (Some(_), None) => false,
        };
        if is_right { Ok(()) } else { Err(Unacceptable::Organization) }
    }

    fn check_class(&self, class: &TokenClass, template: Option<&TemplateName>) -> Result<(), Unacceptable> {
        let audiences = match (class, template) {
            (TokenClass::Session, None) => return Ok(()),
            (TokenClass::Session, Some(_)) => {
                return Err(Unacceptable::Token("a token of a JWT template is required"));
            }
            (TokenClass::Template { audiences }, _) => audiences,
        };
        let is_asked_for = |accepted: &AcceptedTemplate| match template {
            None => true,
            Some(TemplateName::Usable(name)) => accepted.name == *name,
            Some(TemplateName::Malformed) => false,
        };
        let accepted = self.templates.iter().filter(|accepted| is_asked_for(accepted));
        match accepted.into_iter().any(|accepted| audiences.contains(&accepted.audience)) {
            true => Ok(()),
            false => Err(Unacceptable::Token("tokens of this JWT template are not accepted")),
        }
    }
}
