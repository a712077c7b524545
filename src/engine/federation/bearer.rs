//! A provider's assertion as `Bearer`: a credential that a client sends with each request until it expires (rule X4).

use crate::access::Access;
use crate::engine::Clerk;
use crate::federation::{Assertion, AssertionRefusal, Presented};
use crate::jwt::claimed_issuer;
use crate::rejection::{BearerRefusal, Rejection, RejectionKind};
use crate::session::ClerkSession;

impl Clerk {
    /// Whether this is the issuer of a provider that the engine trusts.
    pub(crate) fn has_provider(&self, issuer: &str) -> bool {
        self.0.federation.as_ref().is_some_and(|federation| federation.provider(issuer).is_some())
    }

    /// Whether the engine trusts any provider.
    #[cfg(feature = "token-endpoint")]
    pub(crate) fn has_providers(&self) -> bool {
        self.0.federation.is_some()
    }

    /// The hit path: the session of an assertion that was accepted before, of one of these issuers.
    pub(crate) fn held_assertion(
        &self,
        jwt: &[u8],
        issuers: &[Box<str>],
        access: &Access,
    ) -> Option<ClerkSession> {
        let key = self.0.sign_ins.secret.assertion(jwt);
        let proof = self.0.sign_ins.sessions.get(&key, self.0.clock.now())?;
        let provider = proof.assurance()?.provider();
        if !issuers.iter().any(|issuer| **issuer == *provider) {
            return None;
        }
        self.held(&key, access).map(|hit| hit.session)
    }

    /// The session of an assertion of one of these issuers, for a request from this source.
    pub(crate) async fn exchange_bearer(
        &self,
        source: Option<u64>,
        assertion: &Assertion,
        issuers: &[Box<str>],
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let issuer = claimed_issuer(assertion.jwt());
        if !issuer.is_some_and(|issuer| issuers.iter().any(|listed| **listed == *issuer)) {
            let rejection = Rejection::of_bearer(BearerRefusal::Other, AssertionRefusal::UNTRUSTED.reason);
            self.count_rejection(&rejection);
            return Err(rejection);
        }
        let exchanged = self.exchange_presented(source, assertion, Presented::Bearer, access).await;
        exchanged.map_err(|rejection| match (rejection.kind(), rejection.bearer_refusal()) {
            (RejectionKind::CredentialsRejected, None) => {
                let code = rejection.upstream_code().map(Into::into);
                Rejection::of_bearer(BearerRefusal::Other, "the token is of no user of this service")
                    .upstream(code)
            }
            (kind, None) if kind.status() == http::StatusCode::FORBIDDEN => rejection.for_bearer_session(),
            _ => rejection,
        })
    }
}
