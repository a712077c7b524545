//! Keeping tokens fresh that nobody uses right now, where that was asked for (rule K3).

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::{Clerk, Inner};
use crate::access::Access;
use crate::sessions::{HeldToken, Holding};

impl Inner {
    /// Sees to it that this token is followed by another when it is due, though no request asks for it, for as long as
    /// `keep_warm` says after its last use.
    pub(super) fn keep_warm(
        self: &Arc<Self>,
        holding: &Arc<Holding>,
        access: &Access,
        token: &Arc<HeldToken>,
        last_use: Instant,
    ) {
        let Some(keep) = self.settings.keep_warm else { return };
        let (engine, holding) = (Arc::downgrade(self), Arc::downgrade(holding));
        let (access, due, token) = (access.clone(), token.renew_at(), Arc::downgrade(token));
        tokio::spawn(async move {
            tokio::time::sleep_until(due).await;
            let (Some(engine), Some(holding), Some(token)) =
                (engine.upgrade(), holding.upgrade(), Weak::upgrade(&token))
            else {
                return;
            };
            let now = engine.clock.now();
            let last_use = if token.take_use() { now } else { last_use };
            // A request that came first has begun the next one, and what follows from it.
            if holding.is_in_use(now) && now.duration_since(last_use) < keep && token.renewal.pass(now) {
                Clerk(engine).renew_token(&holding, &access, last_use);
            }
        });
    }
}
