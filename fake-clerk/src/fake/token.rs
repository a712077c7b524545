//! Tokens that a test makes without a request.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::claims::{self, Wanted};
use crate::fake::FakeClerk;
use crate::tokens::{TokenFlaw, Unsigned};

/// A token of a session, to be changed and signed. [`FakeClerk::token`] returns one.
///
/// Without changes it is what Clerk would mint now. With them it can be any token that the instance's key signs: of another
/// class, for another origin, of another life.
#[must_use = "it is a token only when it is signed"]
#[derive(Clone)]
pub struct FakeToken {
    clerk: FakeClerk,
    session: String,
    organization: Option<String>,
    origin: Option<String>,
    life: Option<Duration>,
    template: Option<String>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    flaw: Option<TokenFlaw>,
}

impl FakeToken {
    pub(crate) fn new(clerk: FakeClerk, session: &str) -> Self {
        Self {
            clerk,
            session: session.to_owned(),
            organization: None,
            origin: None,
            life: None,
            template: None,
            header: Map::new(),
            claims: Map::new(),
            flaw: None,
        }
    }

    /// Makes it a token for an organization of the user's, by id or slug.
    pub fn organization(mut self, id_or_slug: impl Into<String>) -> Self {
        self.organization = Some(id_or_slug.into());
        self
    }

    /// Makes it a token that was requested from this `Origin`, which becomes `azp`.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sets how long the token lives: by default as long as the instance's tokens, or those of the template.
    pub fn life(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }

    /// Makes it a token of a JWT template.
    pub fn template(mut self, name: impl Into<String>) -> Self {
        self.template = Some(name.into());
        self
    }

    /// Sets a member of the header; null removes it.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a claim; null removes it.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Gives it a flaw.
    pub fn flaw(mut self, flaw: TokenFlaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// Signs the token with the instance's current key, and returns it in its compact form.
    ///
    /// # Panics
    ///
    /// Panics if there is no such session, organization or template, since that is a mistake in the test.
    #[must_use]
    pub fn sign(&self) -> String {
        let issuer = self.clerk.issuer();
        let mut token = self.clerk.change(|state, settings, now| {
            let session = state.sessions.get(&self.session);
            let session = session.unwrap_or_else(|| panic!("no session {:?}", self.session));
            let organization = self.organization.as_ref().map(|name| {
                let id = state.organizations.id_of(name);
                id.unwrap_or_else(|| panic!("no organization {name:?}"))
            });
            let wanted = Wanted {
                issuer: &issuer,
                origin: self.origin.as_deref(),
                organization: organization.as_deref(),
                life: self.life,
            };
            match &self.template {
                None => claims::session_token(state, settings, session, &wanted, now),
                Some(name) => {
                    let template = state.templates.get(name);
                    let template = template.unwrap_or_else(|| panic!("no template {name:?}"));
                    claims::template_token(state, session, template, &wanted, now)
                }
            }
        });
        let Unsigned { header, claims, .. } = &mut token;
        for (part, changes) in [(header, &self.header), (claims, &self.claims)] {
            part.extend(changes.clone());
            part.retain(|_, value| !value.is_null());
        }
        // Outside of the instance's lock, since it is slow.
        match self.flaw {
            Some(flaw) => token.sign_with(flaw),
            None => token.sign(),
        }
    }
}

impl fmt::Debug for FakeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeToken").field("session", &self.session).finish_non_exhaustive()
    }
}
