//! Renews tokens of idle sessions, if `keep_warm` is set (rule K3).

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::{Clerk, Inner};
use crate::access::Access;
use crate::sessions::{HeldToken, Holding};

impl Inner {
    /// Schedules the renewal of a token. The renewal is skipped if the token's last use is then longer ago than
    /// `keep_warm`.
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
            // If a request has passed the gate first, its renewal schedules the next one.
            if holding.is_in_use(now) && now.duration_since(last_use) < keep && token.renewal.pass(now) {
                Clerk(engine).renew_token(&holding, &access, last_use);
            }
        });
    }
}
