//! Lifting the refusals of an identifier (rule K11).

use super::Clerk;
use crate::cluster::Change;
use crate::key::{IdentifierKey, normalize_identifier};
use crate::limits::Ground;

/// Identifiers of one user that are forgiven by one call. More are ignored.
const MAX_IDENTIFIERS: usize = 64;

impl Clerk {
    /// Lifts the remembered refusals of an identifier (an email address, a phone number or a user name) and the pause
    /// that failed attempts have begun, so that Clerk is asked about its credentials again at once.
    ///
    /// Call it when the cause of the refusals is gone: a ban or a lock was lifted at Clerk, or a password was set anew.
    /// Without it, a credential that was refused again and again waits for up to an hour, and an identifier with many
    /// failed attempts for up to 24 hours. Case, white space around an identifier and the separators of a phone number
    /// don't matter.
    ///
    /// The number of failed attempts stays until a sign-in succeeds: the next failure begins a pause again, twice as long
    /// as the lifted one. Clients are answered as before, 401 for each refusal and 429 during a pause, so no answer tells
    /// whether the account exists. A refusal by a sign-in that was under way is answered and counted, but neither
    /// remembered nor followed by a pause.
    ///
    /// **Each call lets at least one more attempt reach Clerk**, which locks an account after ten failures by default.
    /// Don't call it on behalf of a client that isn't signed in.
    ///
    /// With the user name of [API keys](crate::ApiKeys::user_name), it lifts the remembered refusals of all keys but those
    /// of banned users, which it lifts with the user's id (`user_…`).
    ///
    /// It is cheap, and may be called for each of a burst of webhooks: nothing is searched for. It ends no session and
    /// affects no one who is signed in.
    ///
    /// ```no_run
    /// # fn example(clerk: tower_clerk::Clerk) {
    /// // The operator has lifted a ban in Clerk's dashboard.
    /// clerk.forgive("jane@example.com");
    /// # }
    /// ```
    pub fn forgive(&self, identifier: &str) {
        self.change(Change::Forgive(identifier.into()));
    }

    pub(super) fn forgive_here(&self, identifier: &str) {
        let sign_ins = &self.0.sign_ins;
        sign_ins.failures.lift(sign_ins.secret.identifier(&normalize_identifier(identifier)));
    }

    /// Lifts the refusals that were remembered since the user is banned, and the pauses that they have begun.
    ///
    /// Call it with the identifiers that are certainly the user's when Clerk's webhook `user.updated` tells that the user
    /// is neither banned nor deprovisioned: the verified email addresses and phone numbers, and the user name unless it
    /// reads as one of those, since it may be another person's then. The user's id (`user_…`) among them is for the user's
    /// [API keys](crate::ApiKeys). It may be called for any user, also for one that was never banned: a refusal of a wrong
    /// password stays, and so do the counts of failed attempts and the pauses that wrong passwords have begun. So a client
    /// that makes such webhooks fly gains no guess. Without it, a lifted ban is refused for up to an hour, and for up to a
    /// day to a client that has gone on asking.
    ///
    /// A refusal by a sign-in that is under way is answered and counted, but not remembered. At most 64 identifiers
    /// are taken. Nothing is searched for.
    ///
    /// ```no_run
    /// # fn example(clerk: tower_clerk::Clerk) {
    /// clerk.forgive_ban(["user_2pqaQ9F4o9MNRSlx8VeMRn5hZug", "jane@example.com", "+4917012345", "jane"]);
    /// # }
    /// ```
    pub fn forgive_ban(&self, identifiers: impl IntoIterator<Item = impl AsRef<str>>) {
        self.change(Change::ForgiveBan(taken(identifiers)));
    }

    pub(super) fn forgive_ban_here(&self, identifiers: &[Box<str>]) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        sign_ins.failures.lift_ban(&self.identifiers(identifiers).collect::<Vec<_>>(), now);
    }

    /// Lifts the refusals that were remembered since the account is locked, and the pause for the lock.
    ///
    /// Call it with the user's id (`user_…`) and the identifiers that [`forgive_ban`](Self::forgive_ban) takes when
    /// Clerk's webhook `user.updated` tells that the account is not locked. Everything that [`forgive_ban`](Self::forgive_ban) leaves alone stays here as well.
    /// Without it, the account is refused for Clerk's lock, an hour by default.
    pub fn forgive_lock(&self, user_id: &str, identifiers: impl IntoIterator<Item = impl AsRef<str>>) {
        self.change(Change::ForgiveLock(user_id.into(), taken(identifiers)));
    }

    pub(super) fn forgive_lock_here(&self, user_id: &str, identifiers: &[Box<str>]) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        let keys = std::iter::once(sign_ins.secret.user(user_id)).chain(self.identifiers(identifiers));
        sign_ins.failures.lift_lock(keys, now);
    }

    /// Lifts the refusals that were remembered since Clerk knew no such user.
    ///
    /// Call it when Clerk's webhook `user.created` arrives, with the identifiers of the new user that
    /// [`forgive_ban`](Self::forgive_ban) takes. Where an instance doesn't tell wrong passwords
    /// from unknown users (enumeration protection), refusals of wrong passwords go as well; of a new user there are
    /// none. The counts of failed attempts and the pauses that they have begun stay, so that no guess is gained.
    pub fn forgive_unknown_user(&self, identifiers: impl IntoIterator<Item = impl AsRef<str>>) {
        self.change(Change::ForgiveUnknown(taken(identifiers)));
    }

    pub(super) fn forgive_unknown_user_here(&self, identifiers: &[Box<str>]) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        self.identifiers(identifiers)
            .for_each(|identifier| sign_ins.forgiven.lift(identifier, Ground::Unknown, now));
    }

    fn identifiers(&self, identifiers: &[Box<str>]) -> impl Iterator<Item = IdentifierKey> {
        let secret = &self.0.sign_ins.secret;
        identifiers.iter().map(|identifier| secret.identifier(&normalize_identifier(identifier)))
    }
}

fn taken(identifiers: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Box<str>> {
    identifiers.into_iter().take(MAX_IDENTIFIERS).map(|identifier| identifier.as_ref().into()).collect()
}
