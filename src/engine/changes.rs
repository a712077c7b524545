//! Changes that concern all replicas: carried out here, and told to the others.

use super::Clerk;
use crate::cluster::Change;

impl Clerk {
    /// Carries a change out, and tells the other replicas of it.
    pub(super) fn change(&self, change: Change) {
        self.carry_out(&change);
        self.publish(|| change);
    }

    /// Tells the other replicas of a change that was carried out here.
    #[cfg_attr(not(feature = "redis"), allow(clippy::unused_self, reason = "there are no others"))]
    pub(super) fn publish(&self, change: impl FnOnce() -> Change) {
        #[cfg(feature = "redis")]
        if let Some(cluster) = &self.0.sign_ins.cluster {
            cluster.publish(change());
        }
        #[cfg(not(feature = "redis"))]
        drop(change);
    }

    /// Carries out a change of this replica's or of another one's.
    pub(super) fn carry_out(&self, change: &Change) {
        match change {
            Change::User(user) => self.revoke_user_here(user),
            Change::Session(session) => self.revoke_session_here(session),
            Change::EndedSession(session) => self.drop_session_here(session),
            Change::SessionTokens(session) => self.drop_session_tokens_here(session),
            Change::Proofs(user, before) => self.expire_proofs_here(user, *before),
            Change::All => self.revoke_all_here(),
            Change::Organization(id) => self.revoke_organization_here(id),
            Change::RenamedOrganization(id, slug) => {
                self.revoke_renamed_organization_here(id, slug.as_deref());
            }
            Change::Membership(user, organization) => self.revoke_membership_here(user, organization),
            Change::Organizations(user) => self.forgive_organizations_here(user),
            Change::LongLived => self.drop_long_lived_tokens_here(),
            Change::ApiKey(id) => self.0.revoke_api_keys_of(id),
            Change::Forgive(identifier) => self.forgive_here(identifier),
            Change::ForgiveBan(identifiers) => self.forgive_ban_here(identifiers),
            Change::ForgiveLock(user, identifiers) => self.forgive_lock_here(user, identifiers),
            Change::ForgiveUnknown(identifiers) => self.forgive_unknown_user_here(identifiers),
            #[cfg(feature = "redis")]
            Change::Everything => {
                self.revoke_all_here();
                self.0.sign_ins.forgiven.forgive_all();
            }
        }
    }

    /// Waits until the other replicas can read of all changes so far: an event that comes again may add none to those that it
    /// made at first, which still wait. Returns false if they can't for now.
    #[cfg(feature = "webhook")]
    #[cfg_attr(not(feature = "redis"), allow(clippy::unused_async, reason = "there are no others"))]
    pub(crate) async fn has_delivered_changes(&self) -> bool {
        #[cfg(feature = "redis")]
        if let Some(cluster) = &self.0.sign_ins.cluster {
            return cluster.has_delivered().await;
        }
        true
    }
}
