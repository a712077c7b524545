//! The way of a request with a Bearer token: the cache of verified tokens, or a verification, and then the layer's own
//! conditions (rules B1-B5).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::exchange::Counted;
use super::rejections::{from_api_error, unavailable};
use super::{Clerk, Inner};
use crate::access::Access;
use crate::bearer::{
    BearerTokens, CutoffTarget, Cutoffs, LEEWAY, TokenClass, Unacceptable, VerifiedBearer, VerifiedTokens,
    slots,
};
use crate::clock::{ClerkTime, unix_seconds};
use crate::counters::Outcome;
use crate::credentials::BearerToken;
use crate::jwt::{
    CLERK_ALGORITHMS, Category, Expected, ExpectedSession, Jwks, JwtErrorKind, TokenSource, header, verify,
};
use crate::key::BearerKey;
use crate::rejection::{BearerRefusal, Rejection, RejectionKind};
use crate::session::ClerkSession;
use crate::sessions::SessionState;
use crate::token::VerifiedToken;

/// The longest life that a token may claim, unless the engine itself is set to issue longer ones. Clerk's session tokens
/// live for a minute.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 60);

/// The parts of an engine that are about Bearer tokens.
pub(super) struct Bearer {
    jwks: Arc<Jwks>,
    pub(super) issuer: Box<str>,
    time: Arc<ClerkTime>,
    longest_life: Duration,
    pub(super) verified: VerifiedTokens,
    cutoffs: Cutoffs,
}

impl Bearer {
    /// How long a token from before a revocation can live after it.
    #[cfg(feature = "redis")]
    pub(super) fn longest_exposure(&self) -> Duration {
        self.cutoffs.life()
    }

    /// `token_lifetime` is how long the tokens live that the engine itself has minted, if that is set.
    pub(super) fn new(
        jwks: Arc<Jwks>,
        issuer: &str,
        time: Arc<ClerkTime>,
        token_lifetime: Option<Duration>,
        most: u64,
    ) -> Self {
        let longest_life = token_lifetime.unwrap_or_default().max(LONGEST_LIFE);
        let cutoffs = Cutoffs::new(Arc::clone(&time), longest_life);
        let verified = VerifiedTokens::new(most);
        Self { jwks, issuer: issuer.into(), time, longest_life, verified, cutoffs }
    }

    /// Verifies a token, whatever layer it was presented to.
    async fn verify(&self, jwt: &str, now: Instant) -> Result<VerifiedBearer, Rejection> {
        let refused = |kind: JwtErrorKind| match kind {
            JwtErrorKind::Expired => Rejection::of_bearer(BearerRefusal::Expired, kind.as_str()),
            kind => Rejection::of_bearer(BearerRefusal::Other, kind.as_str()),
        };
        let header = header(jwt).map_err(|error| refused(error.kind()))?;
        if header.category == Category::Other {
            return Err(refused(JwtErrorKind::WrongCategory));
        }
        let keys = self.jwks.keys_for(&header.kid, TokenSource::Client).await;
        let keys = keys.map_err(|error| from_api_error(&error))?;
        let time = unix_seconds(self.time.at(now));
        let expected = ExpectedSession {
            token: Expected {
                issuer: &self.issuer,
                audience: None,
                algorithms: CLERK_ALGORITHMS,
                now: time,
                leeway: LEEWAY,
                longest_life: Some(self.longest_life.as_secs()),
            },
            subject: None,
            session_id: None,
            session_id_required: header.category == Category::Session,
            allow_pending: false,
        };
        let token = verify(jwt, &keys, &expected).map_err(|error| refused(error.kind()))?;
        let class = class_of(header.category, &token);
        let left = Duration::from_secs(token.claims().expires_at().saturating_sub(time));
        let session_id = token.claims().session_id().unwrap_or_default().to_owned();
        let good_until = now + left.min(self.longest_life);
        let session = ClerkSession::new(&session_id, None, token, good_until, None);
        let slots = slots(session.claims());
        Ok(VerifiedBearer::new(session, class, slots))
    }
}

/// The class of a verified token. A token without a telling `cat` is a session token if it names a session.
fn class_of(category: Category, token: &VerifiedToken) -> TokenClass {
    let is_session = match category {
        Category::Session => true,
        Category::Template | Category::Other => false,
        Category::Unstated => token.claims().session_id().is_some(),
    };
    if is_session { TokenClass::Session } else { TokenClass::Template { audiences: audiences(token) } }
}

/// The `aud` of a token: a string or a list of them (RFC 7519 section 4.1.3).
fn audiences(token: &VerifiedToken) -> Box<[Box<str>]> {
    #[derive(Deserialize)]
    struct Payload {
        aud: Option<Audience>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(Box<str>),
        Several(Box<[Box<str>]>),
    }
    match token.deserialize::<Payload>().ok().and_then(|payload| payload.aud) {
        Some(Audience::One(audience)) => Box::new([audience]),
        Some(Audience::Several(audiences)) => audiences,
        None => Box::default(),
    }
}

impl Clerk {
    /// The hit path of Bearer: the session of a token that was verified before, or the rejection. `None` if the token has
    /// to be verified.
    pub(crate) fn held_bearer(
        &self,
        token: BearerToken<'_>,
        tokens: &BearerTokens,
        access: &Access,
    ) -> Option<Result<ClerkSession, Rejection>> {
        let key = self.bearer_key(token.as_bytes())?;
        let verified = self.0.bearer.verified.get(&key, token.as_bytes(), self.0.clock.now())?;
        let accepted = self.0.accept(&verified, &key, tokens, access);
        if accepted.is_ok() {
            self.count(Outcome::Hit);
        }
        Some(accepted)
    }

    /// Verifies a Bearer token for a request, and counts the outcome.
    pub(crate) async fn verify_bearer(
        &self,
        jwt: Zeroizing<Box<str>>,
        tokens: Arc<BearerTokens>,
        access: Access,
    ) -> Result<ClerkSession, Rejection> {
        let mut counted = Counted { clerk: self, outcome: Outcome::Cancelled };
        let span = tracing::debug_span!("verify_bearer");
        let result = self.verify_bearer_for(&jwt, &tokens, &access).instrument(span).await;
        counted.outcome = match &result {
            Ok(_) => Outcome::Verified,
            Err(rejection) => Outcome::of(rejection.kind()),
        };
        result
    }

    async fn verify_bearer_for(
        &self,
        jwt: &str,
        tokens: &BearerTokens,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        let inner = &self.0;
        if inner.sign_ins.closed.load(Ordering::Acquire) {
            return Err(unavailable("shut_down"));
        }
        let now = inner.clock.now();
        let verified = Arc::new(inner.bearer.verify(jwt, now).await?);
        let Some(key) = self.bearer_key(jwt.as_bytes()) else {
            return Err(Rejection::new(RejectionKind::Internal));
        };
        // After the verification, which may have waited for keys: a revocation may have come meanwhile. Into the cache
        // before that, so that `shutdown` finds it.
        inner.bearer.verified.insert(key, Arc::clone(&verified), inner.clock.now());
        inner.accept(&verified, &key, tokens, access)
    }

    /// The key of a token, unless it is too short to have a signature.
    fn bearer_key(&self, token: &[u8]) -> Option<BearerKey> {
        token.last_chunk().map(|end| self.0.sign_ins.secret.bearer(end))
    }
}

impl Inner {
    /// Decides about a verified token for one request: revocations, then the conditions of the layer.
    fn accept(
        &self,
        verified: &VerifiedBearer,
        key: &BearerKey,
        tokens: &BearerTokens,
        access: &Access,
    ) -> Result<ClerkSession, Rejection> {
        if verified.is_revoked(&self.bearer.cutoffs) {
            self.bearer.verified.remove(key);
            if self.sign_ins.closed.load(Ordering::Acquire) {
                return Err(unavailable("shut_down"));
            }
            return Err(Rejection::of_bearer(BearerRefusal::Revoked, "the token has been revoked"));
        }
        match tokens.check(verified, &access.scope, |session| self.holds(session)) {
            Ok(()) => Ok(verified.session.clone()),
            Err(Unacceptable::Token(reason)) => Err(Rejection::of_bearer(BearerRefusal::Other, reason)),
            Err(Unacceptable::Organization) => {
                let rejection = Rejection::new(RejectionKind::OrganizationForbidden).for_bearer_session();
                Err(rejection.detail_of("the token is not for the organization that this request asks for"))
            }
        }
    }

    /// Whether the engine holds the session of a token, for the same user.
    fn holds(&self, session: &ClerkSession) -> bool {
        self.sign_ins
            .sessions
            .by_id(session.session_id())
            .is_some_and(|held| held.state() == SessionState::Live && *held.user.id == *session.user_id())
    }

    /// Refuses the Bearer tokens that another replica has revoked before this process started. It holds nothing else that is
    /// as old.
    #[cfg(feature = "redis")]
    pub(super) fn refuse_bearers_from_before(
        &self,
        change: &crate::cluster::Change,
        at: std::time::SystemTime,
    ) {
        use crate::cluster::Change;
        let target = match change {
            Change::User(user) => CutoffTarget::User(user.clone()),
            Change::Session(session) | Change::EndedSession(session) => {
                CutoffTarget::Session(session.clone())
            }
            Change::Organization(organization) => CutoffTarget::Organization(organization.clone()),
            Change::Membership(user, organization) => {
                CutoffTarget::Membership(user.clone(), organization.clone())
            }
            Change::LongLived => CutoffTarget::LongLived,
            Change::All | Change::Everything => CutoffTarget::All,
            _ => return,
        };
        let now = self.clock.now();
        self.bearer.cutoffs.revoke(target, self.sign_ins.time.instant_of(at).unwrap_or(now));
    }

    /// Refuses the Bearer tokens of a target that were issued by now.
    pub(super) fn revoke_bearer(&self, target: CutoffTarget) {
        self.bearer.cutoffs.revoke(target, self.clock.now());
    }
}
