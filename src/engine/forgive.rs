//! Lifting the refusals of an identifier (rule K11).

use super::Clerk;
use crate::key::normalize_identifier;

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
    /// With the user name of [API keys](crate::ApiKeys::user_name), it lifts the remembered refusals of all keys.
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
        let sign_ins = &self.0.sign_ins;
        sign_ins.failures.lift(sign_ins.secret.identifier(&normalize_identifier(identifier)));
    }
}
