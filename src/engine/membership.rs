//! Changes of a user's membership in an organization, and of organizations themselves (rules K9, W5).

use super::Clerk;
use crate::bearer::CutoffTarget;
use crate::cluster::Change;
use crate::key::normalize_identifier;
use crate::limits::Ground;
use crate::sessions::Target;

impl Clerk {
    /// Drops a user's tokens for an organization, by the ids of both (`user_…`, `org_…`).
    ///
    /// Call it when a member was removed from the organization or has got another role, which Clerk's webhooks
    /// `organizationMembership.deleted` and `organizationMembership.updated` tell. The user's next request for the
    /// organization mints a new token, so Clerk decides again; a refusal that was remembered for the user is forgotten.
    ///
    /// It takes effect at once, also on a mint that is under way, and on Bearer tokens like
    /// [`revoke_user`](Self::revoke_user). Other members' tokens, the user's tokens for other organizations and the
    /// sessions are not affected. For a membership that nothing is held of, it is a few look-ups.
    ///
    /// ```no_run
    /// # fn example(clerk: tower_clerk::Clerk) {
    /// clerk.revoke_membership("user_2pqaQ9F4o9MNRSlx8VeMRn5hZug", "org_2pqaQ9F4o9MNRSlx8VeMRn5hZug");
    /// # }
    /// ```
    pub fn revoke_membership(&self, user_id: &str, organization_id: &str) {
        self.change(Change::Membership(user_id.into(), organization_id.into()));
    }

    pub(super) fn revoke_membership_here(&self, user_id: &str, organization_id: &str) {
        let target = Target::Membership(user_id.into(), organization_id.into());
        self.0.sign_ins.revocations.revoke(target, self.0.clock.now());
        self.0.revoke_bearer(CutoffTarget::Membership(user_id.into(), organization_id.into()));
        // The user's memberships are known of the user's own keys, and of those that the user has created.
        self.0.revoke_api_keys_of(user_id);
        self.forgive_organizations_here(user_id);
    }

    /// Forgets which organizations were refused to a user, by the user's id (`user_…`).
    ///
    /// Call it when the user has become a member of one, which Clerk's webhook `organizationMembership.created` tells.
    /// Without it, an organization that a request has asked for in vain is refused for up to
    /// [`negative_ttl`](crate::ClerkBuilder::negative_ttl), 10 s by default. A refusal by a mint that is under way is not
    /// remembered. Nothing is revoked.
    ///
    /// The organizations' [API keys](crate::ApiKeys) that the user has created are asked about again, too.
    ///
    /// All organizations of the user are meant, since a request may have named one by a slug that only Clerk can
    /// resolve. Each of them costs one call when it is asked for again, within the limits of a user.
    pub fn forgive_organizations(&self, user_id: &str) {
        self.change(Change::Organizations(user_id.into()));
    }

    pub(super) fn forgive_organizations_here(&self, user_id: &str) {
        let sign_ins = &self.0.sign_ins;
        self.0.revoke_api_keys_of(user_id);
        // An organization's keys are refused while their creator is no member.
        let creator = sign_ins.secret.identifier(&normalize_identifier(user_id));
        sign_ins.forgiven.lift(creator, Ground::CreatorLeft, self.0.clock.now());
        // A refusal is remembered in a holding, which has a user.
        let Some(user) = sign_ins.users.get(user_id) else { return };
        sign_ins.revocations.revoke(Target::Refusals(user_id.into()), self.0.clock.now());
        user.holdings().iter().for_each(|holding| holding.forget_refused_organizations());
    }

    /// Drops all tokens for an organization, by its id (`org_…`).
    ///
    /// Call it when an organization was deleted. The next request for the organization mints a new token, so Clerk
    /// decides again about the membership and its permissions. Sessions, and tokens for other organizations, are not
    /// affected. For a change of one member, [`revoke_membership`](Self::revoke_membership) costs the others nothing.
    pub fn revoke_organization(&self, organization_id: &str) {
        self.change(Change::Organization(organization_id.into()));
    }

    pub(super) fn revoke_organization_here(&self, organization_id: &str) {
        let target = Target::Organization(organization_id.into());
        self.0.sign_ins.revocations.revoke(target, self.0.clock.now());
        self.0.revoke_bearer(CutoffTarget::Organization(organization_id.into()));
        self.0.revoke_api_keys_of(organization_id);
    }

    /// Drops all tokens for an organization if any of them names it by another slug than this one.
    ///
    /// Call it with the organization's id (`org_…`) and its present slug when Clerk's webhook `organization.updated`
    /// tells of any change: if a token is held with another slug, it has the effect of
    /// [`revoke_organization`](Self::revoke_organization), and otherwise none. Until such a token expires, by default
    /// within 60 s, a request that names the old slug would be let in, though another organization may have it by now.
    ///
    /// A mint under way that is the first for its organization isn't noticed, nor are Bearer tokens of an organization
    /// that the engine itself holds no token of.
    ///
    /// API keys that are held for the organization are verified anew in any case.
    pub fn revoke_renamed_organization(&self, organization_id: &str, slug: Option<&str>) {
        self.change(Change::RenamedOrganization(organization_id.into(), slug.map(Into::into)));
    }

    pub(super) fn revoke_renamed_organization_here(&self, organization_id: &str, slug: Option<&str>) {
        self.0.revoke_api_keys_of(organization_id);
        if self.0.sign_ins.revocations.knows_another_slug(organization_id, slug) {
            self.revoke_organization_here(organization_id);
        }
    }

    /// Drops the tokens for an organization or of a JWT template that live longer than a minute.
    ///
    /// Call it when the roles or permissions of the instance have changed, which Clerk's webhooks `role.updated`,
    /// `role.deleted`, `permission.updated` and `permission.deleted` tell. Tokens of Clerk's default life expire by
    /// themselves as soon as that. Bearer tokens of such a life are refused if they were issued before.
    pub fn drop_long_lived_tokens(&self) {
        self.change(Change::LongLived);
    }

    pub(super) fn drop_long_lived_tokens_here(&self) {
        self.0.sign_ins.revocations.revoke(Target::LongLived, self.0.clock.now());
        self.0.revoke_bearer(CutoffTarget::LongLived);
    }
}
