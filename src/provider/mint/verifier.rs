//! The verification of a token before it is used, and its life (rules S9, K2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::MintError;
use crate::clerk_api::{ApiError, ErrorClass, Minted};
use crate::clock::{ClerkTime, Clock, unix_seconds};
use crate::jwt::{CLERK_ALGORITHMS, Expected, ExpectedSession, Jwks, TokenSource, header, verify};
use crate::sessions::Session;
use crate::token::VerifiedToken;

/// The leeway in seconds if the answer has a `Date`. It is the default of Clerk's SDKs (`clockSkewInMs`, 5000).
const LEEWAY_BY_DATE: u64 = 5;

/// The leeway in seconds if the answer has no `Date`, since the time may then be this machine's.
const LEEWAY_BY_WALL: u64 = 60;

/// The longest time that a token is held, whatever its claims say.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest life in seconds that a token may claim: ten years, the maximum of `expires_in_seconds` in the Backend
/// API.
const ABSURD_LIFE: u64 = 315_360_000;

/// A larger difference between the wall clock and Clerk's is warned about once, since services that verify the tokens
/// by such a clock may refuse them.
const CLOCK_OFF: Duration = Duration::from_secs(30);

/// The life of a verified token, counted from the instant at which its request left.
#[derive(Clone, Copy)]
pub(crate) struct TokenLife {
    pub(crate) left: Instant,
    pub(crate) life: Duration,
}

/// Verifies the tokens of one instance.
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

    /// Verifies a session token, which must name the session.
    pub(crate) async fn session_token(
        &self,
        minted: Minted,
        session: &Session,
    ) -> Result<(VerifiedToken, TokenLife), MintError> {
        self.verified(minted, session, true).await
    }

    /// Verifies a template token, which need not name the session.
    pub(super) async fn template_token(
        &self,
        minted: Minted,
        session: &Session,
    ) -> Result<(VerifiedToken, TokenLife), MintError> {
        self.verified(minted, session, false).await
    }

    /// Verifies a token by Clerk's clock if the answer has a `Date`, and computes its life.
    async fn verified(
        &self,
        minted: Minted,
        session: &Session,
        session_id_required: bool,
    ) -> Result<(VerifiedToken, TokenLife), MintError> {
        let Minted { jwt, timing } = minted;
        let unverified = |_| untrusted("token_not_verified");
        let kid = header(&jwt).map_err(unverified)?.kid;
        let keys = self.jwks.keys_for(&kid, TokenSource::Clerk).await?;
        let (now, leeway) = match timing.date {
            Some(date) => {
                self.compare(date, self.clock.wall_at(timing.left));
                (unix_seconds(date), LEEWAY_BY_DATE)
            }
            None => (unix_seconds(self.time.at(timing.left)), LEEWAY_BY_WALL),
        };
        let expected = ExpectedSession {
            token: Expected {
                issuer: &self.issuer,
                audience: None,
                algorithms: CLERK_ALGORITHMS,
                now,
                leeway,
                longest_life: None,
            },
            subject: Some(&session.user.id),
            session_id: Some(&session.id),
            session_id_required,
            allow_pending: false,
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
        // All these times are truncated to seconds, so up to one second of the life has passed already.
        let life = Duration::from_secs(seconds).min(LONGEST_LIFE);
        let life = life.saturating_sub(Duration::from_secs(1)).max(life / 2);
        Ok((token, TokenLife { left: timing.left, life }))
    }

    /// Warns once if this machine's clock differs from Clerk's.
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

/// The error for a token that cannot be relied on. Since Clerk has answered, it is not an outage.
fn untrusted(code: &str) -> MintError {
    MintError::Api(ApiError::coded(ErrorClass::Untrusted, code))
}
