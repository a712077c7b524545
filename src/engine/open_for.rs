//! A session for another organization, beside those at hand: by the Backend API each session is for one.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Clerk;
use crate::access::Access;
use crate::engine::sign_in::SignInFault;
use crate::engine::verdict::unavailable;
use crate::flight::{Join, Purpose};
use crate::rejection::{Rejection, RejectionKind};
use crate::sessions::{Holding, HoldingKey, Refused};

impl Clerk {
    /// Opens a session of the same user for the organization that is asked for, one at a time per user and organization
    /// (rule K8). Returns the end of the request's time: the wait for a turn is not counted.
    pub(super) async fn open_for(
        &self,
        holding: &Arc<Holding>,
        access: &Access,
        deadline: Instant,
    ) -> Result<Instant, Rejection> {
        let inner = &self.0;
        let timeout = inner.settings.upstream_timeout;
        let left = deadline.saturating_duration_since(inner.clock.now());
        let key = (HoldingKey(Arc::clone(holding)), access.scope.organization.clone());
        let join = inner.openings.join(
            key,
            Purpose::Request,
            || None,
            |_| {
                let (sign_ins, holding) = (Arc::clone(&inner.sign_ins), Arc::clone(holding));
                let organization = access.scope.organization.clone();
                let road = sign_ins.road.name().name();
                let span = tracing::debug_span!("open_session", user_id = &*holding.user.id, road);
                async move { sign_ins.open_for(&holding, organization.as_ref(), left).await }.instrument(span)
            },
        );
        let seat = match join {
            Join::Seat(seat, _) => seat,
            Join::Ready(_) | Join::Full => return Err(unavailable("sign_ins_full")),
        };
        let patience = inner.settings.sign_in_wait + 2 * timeout;
        let outcome = match tokio::time::timeout(patience, seat.outcome()).await {
            Ok(outcome) => outcome.map_err(|_| unavailable("sign_in_lost"))?,
            Err(_) => return Err(unavailable("timeout")),
        };
        match outcome.result {
            Ok(()) => Ok(outcome.deadline),
            Err(SignInFault::Rejected(rejection)) => {
                if rejection.kind() == RejectionKind::OrganizationForbidden {
                    let (now, ttl) = (inner.clock.now(), inner.settings.negative_ttl);
                    holding.refuse(access.scope.clone(), Refused::Forbidden, now, ttl);
                }
                Err(rejection)
            }
            Err(SignInFault::Superseded) => Err(unavailable("revoked_meanwhile")),
        }
    }
}
