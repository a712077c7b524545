//! What is checked of a token before it is handed on, and how long it is good for (rules S9, K2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::MintError;
use crate::clerk_api::{ApiError, ErrorClass, Minted};
use crate::clock::{ClerkTime, Clock, unix_seconds};
use crate::jwt::{Expected, Jwks, kid, verify};
use crate::sessions::Session;
use crate::token::VerifiedToken;

/// Leeway against Clerk's own clock, as Clerk's SDKs have it (`clockSkewInMs` 5000), and against ours.
const LEEWAY_BY_DATE: u64 = 5;
const LEEWAY_BY_WALL: u64 = 60;

/// No token is held longer, whatever it says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Nor is one believed that claims to live longer than Clerk can make it: ten years
/// (`expires_in_seconds` of the Backend API, at most 315,360,000).
const ABSURD_LIFE: u64 = 315_360_000;

/// A wall clock this far from Clerk's is worth a warning: verifiers downstream will stumble over it.
const CLOCK_OFF: Duration = Duration::from_secs(30);

/// How long a verified token is good for, from the instant its request left.
#[derive(Clone, Copy)]
pub(crate) struct TokenLife {
    pub(crate) left: Instant,
    pub(crate) life: Duration,
}

/// Verifies the tokens of one instance that Clerk has sent.
pub(crate) struct Verifier {
    jwks: Arc<Jwks>,
    issuer: Box<str>,
    clock: Clock,
    time: Arc<ClerkTime>,
    warned_of_clock: AtomicBool,
}

impl Verifier {
    pub(crate) fn new(jwks: Arc<Jwks>, issuer: Box<str>, clock: Clock, time: Arc<ClerkTime>) -> Self {
        Self { jwks, issuer, clock, time, warned_of_clock: AtomicBool::new(false) }
    }

    /// Verifies a session's own token.
    pub(crate) async fn session_token(
        &self,
        minted: Minted,
        session: &Session,
    ) -> Result<(VerifiedToken, TokenLife), MintError> {
        self.verified(minted, session, true).await
    }

    /// Verifies a token of a JWT template, which need not name the session.
    pub(super) async fn template_token(
        &self,
        minted: Minted,
        session: &Session,
    ) -> Result<(VerifiedToken, TokenLife), MintError> {
        self.verified(minted, session, false).await
    }

    /// Verifies a token by Clerk's own clock where the answer told it, and finds how long it is good for.
    async fn verified(
        &self,
        minted: Minted,
        session: &Session,
        session_id_required: bool,
    ) -> Result<(VerifiedToken, TokenLife), MintError> {
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
            subject: Some(&session.user.id),
            session_id: Some(&session.id),
            session_id_required,
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
        Ok((token, TokenLife { left: timing.left, life }))
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

/// An answer came, but the token in it can't be relied on: no sign of Clerk being away.
fn untrusted(code: &str) -> MintError {
    MintError::Api(ApiError::coded(ErrorClass::Untrusted, code))
}
