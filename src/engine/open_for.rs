//! Opens one more session of a signed-in user, for another organization: a session of the Backend API is bound to one
//! organization.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Clerk;
use crate::access::Access;
use crate::engine::rejections::unavailable;
use crate::engine::sign_in::SignInError;
use crate::flight::{Join, Priority};
use crate::rejection::{Rejection, RejectionKind};
use crate::sessions::{Holding, HoldingKey, TokenRefusal};

impl Clerk {
    /// Opens a session of the holding's user for the organization in `access`, in one flight per holding and
    /// organization (rule K8). Returns the new deadline of the request, since its wait for a permit is not counted.
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
            Priority::Request,
            || None,
            |_| {
                let (sign_ins, holding) = (Arc::clone(&inner.sign_ins), Arc::clone(holding));
                let organization = access.scope.organization.clone();
                let api = sign_ins.provider.api().name();
                let span = tracing::debug_span!("open_session", user_id = &*holding.user.id, api);
                async move { sign_ins.open_for(&holding, organization.as_ref(), left).await }.instrument(span)
            },
        );
        let waiter = match join {
            Join::Waiter(waiter, _) => waiter,
            Join::Ready(_) | Join::Full => return Err(unavailable("sign_ins_full")),
        };
        let longest_wait = inner.settings.sign_in_wait + 2 * timeout;
        let outcome = match tokio::time::timeout(longest_wait, waiter.outcome()).await {
            Ok(outcome) => outcome.map_err(|_| unavailable("sign_in_lost"))?,
            Err(_) => return Err(unavailable("timeout")),
        };
        match outcome.result {
            Ok(()) => Ok(outcome.deadline),
            Err(SignInError::Rejected(rejection)) => {
                if rejection.kind() == RejectionKind::OrganizationForbidden {
                    inner.refuse(holding, access, TokenRefusal::Forbidden, outcome.since);
                }
                Err(rejection)
            }
            Err(SignInError::Superseded) => Err(unavailable("revoked_meanwhile")),
        }
    }
}
