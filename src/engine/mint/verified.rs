//! What is checked of a token before it is handed on, and how long it is good for (rules S9, K2).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{MintFault, Minter};
use crate::access::Access;
use crate::clerk_api::{Fault, Meaning, Minted};
use crate::clock::unix_seconds;
use crate::jwt::{Expected, kid, verify};
use crate::organization::Organization;
use crate::scope::Scope;
use crate::session::ClerkSession;
use crate::sessions::{Generation, HeldToken, Session};
use crate::token::VerifiedToken;

/// Leeway against Clerk's own clock, as Clerk's SDKs have it (`clockSkewInMs` 5000), and against ours.
const LEEWAY_BY_DATE: u64 = 5;
const LEEWAY_BY_WALL: u64 = 60;

/// No token is held longer, whatever it says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Nor is one believed that claims to live longer than Clerk can make it: ten years
/// (`expires_in_seconds` of the Backend API, at most 315,360,000).
const ABSURD_LIFE: u64 = 315_360_000;

/// Renewals begin up to this part of the time until then early.
const RENEWAL_JITTER: f64 = 0.1;

/// A wall clock this far from Clerk's is worth a warning: verifiers downstream will stumble over it.
const CLOCK_OFF: Duration = Duration::from_secs(30);

/// Who a token must be about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    user_id: &'a str,
    session_id: &'a str,
}

impl Minter {
    /// Verifies the token that a sign-in brought along, and says what it is good for: no organization, or the one that
    /// the session was opened for.
    pub(crate) async fn brought_along(
        &self,
        session: &Session,
        minted: Minted,
        since: Generation,
    ) -> Result<Option<(Access, Arc<HeldToken>)>, MintFault> {
        let (token, life) = self.verified(minted, Subject::of(session), true).await?;
        let organization = match (token.claims().organization(), session.opened_for()) {
            (None, _) => Some(None),
            (Some(named), Some(asked))
                if [Some(named.id()), named.slug()].contains(&Some(asked.as_str())) =>
            {
                Some(Some(asked.clone()))
            }
            (Some(_), _) => None,
        };
        Ok(organization.map(|organization| {
            let scope = Scope { organization, template: None };
            let access = Access { scope, ..Access::default() };
            let held = self.held(session, token, life, None, &access, since);
            (access, Arc::new(held))
        }))
    }

    pub(super) fn held(
        &self,
        session: &Session,
        token: VerifiedToken,
        Life { left, life }: Life,
        organization: Option<Organization>,
        access: &Access,
        since: Generation,
    ) -> HeldToken {
        // Three quarters of its life, and before it would be too old to hand on.
        let usable = life.saturating_sub(HeldToken::least_life(life, access));
        let renew = life.mul_f64(0.75).min(usable.mul_f64(0.9));
        let renew_at = left + self.jitter.earlier(renew, RENEWAL_JITTER);
        let session = ClerkSession::new(&session.id, self.road.name(), token, organization);
        HeldToken::new(session, left + life, life, renew_at, since)
    }

    /// Verifies a token by Clerk's own clock where the answer told it, and finds how long it is good for.
    pub(super) async fn verified(
        &self,
        minted: Minted,
        subject: Subject<'_>,
        session_token: bool,
    ) -> Result<(VerifiedToken, Life), MintFault> {
        let Minted { jwt, timing } = minted;
        let unverified = |_| untrusted("token_not_verified");
        let kid = kid(&jwt).map_err(unverified)?;
        let keys = self.jwks.keys_for(&kid).await?;
        let (now, leeway) = match timing.date {
            Some(date) => {
                self.compare(date, self.clock.wall_at(timing.left));
                (unix_seconds(date), LEEWAY_BY_DATE)
            }
            None => (unix_seconds(self.time.at(timing.left)), LEEWAY_BY_WALL),
        };
        let expected = Expected {
            issuer: &self.issuer,
            subject: Some(subject.user_id),
            session_id: Some(subject.session_id),
            session_id_required: session_token,
            allow_pending: false,
            now,
            leeway,
        };
        let token = verify(&jwt, &keys, &expected).map_err(|error| {
            tracing::warn!(kind = ?error.kind(), %error, "Clerk sent a token that doesn't verify");
            untrusted("token_not_verified")
        })?;
        let claims = token.claims();
        let by_itself = claims.expires_at().saturating_sub(claims.issued_at());
        let by_date = match timing.date {
            Some(_) => claims.expires_at().saturating_sub(now),
            None => by_itself,
        };
        let seconds = by_itself.min(by_date);
        if seconds == 0 || by_itself > ABSURD_LIFE {
            return Err(untrusted("absurd_token_life"));
        }
        // All these times are whole seconds, cut off: up to one of them has passed already.
        let life = Duration::from_secs(seconds).min(LONGEST_LIFE);
        let life = life.saturating_sub(Duration::from_secs(1)).max(life / 2);
        Ok((token, Life { left: timing.left, life }))
    }

    fn compare(&self, date: SystemTime, wall: SystemTime) {
        let off = date.duration_since(wall).unwrap_or_else(|before| before.duration());
        if off > CLOCK_OFF && !self.warned_of_clock.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                off_by_secs = off.as_secs(),
                "this machine's clock differs from Clerk's: sessions are unaffected here, but services that verify \
                 the tokens by their own clock may refuse them; set the clock (NTP)"
            );
        }
    }
}

impl<'a> Subject<'a> {
    pub(super) fn of(session: &'a Session) -> Self {
        Self { user_id: &session.user.id, session_id: &session.id }
    }
}

/// How long a verified token is good for, from the instant its request left.
pub(super) struct Life {
    left: Instant,
    life: Duration,
}

/// A verified token, its life, and the organization where the token doesn't say it.
pub(super) type Verified = (VerifiedToken, Life, Option<Organization>);

/// An answer came, but the token in it can't be relied on: no sign of Clerk being away.
fn untrusted(code: &str) -> MintFault {
    MintFault::Fault(Fault::coded(Meaning::Untrusted, code))
}
