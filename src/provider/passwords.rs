//! Proving a password with the secret key: it finds the user, and verifies the password.
//!
//! Nothing of this knows a device, so Device Trust has no say; nor have Clerk's allow and block lists, its check for
//! compromised passwords, a password that must be chosen anew, or Clerk Protect: they belong to sign-ins.

use std::sync::Arc;

use super::padding::Padding;
use super::people::People;
use super::{Asking, PAUSED, Proved};
use crate::clerk_api::bapi::{Account, Bapi};
use crate::clerk_api::{Fault, Meaning, Refusal, TimeLeft};
use crate::clock::Clock;
use crate::key::KeySecret;

/// See the [module's documentation](self).
pub(crate) struct Passwords {
    pub(super) bapi: Arc<Bapi>,
    people: People,
    padding: Padding,
    pub(super) secret: Arc<KeySecret>,
    pub(super) clock: Clock,
    /// Users who have a second factor are let in without it.
    ignore_second_factor: bool,
}

impl Passwords {
    pub(crate) fn new(
        bapi: Arc<Bapi>,
        padding: Padding,
        secret: Arc<KeySecret>,
        clock: Clock,
        ignore_second_factor: bool,
    ) -> Self {
        let people = People::new(Arc::clone(&secret));
        Self { bapi, people, padding, secret, clock, ignore_second_factor }
    }

    /// Two calls: who it is, as they are now, and whether the password is theirs.
    pub(super) async fn prove(&self, asking: Asking<'_>, time: &mut TimeLeft) -> Result<Proved, Fault> {
        let (identifier, key) = (asking.credentials.identifier(), asking.identifier);
        let password = asking.credentials.password();
        let at = self.clock.now();
        let found = self.people.find(&self.bapi, identifier, key, time).await?;
        // Whose it is is known now, and with it what other identifiers of that user have failed.
        let is_paused = found.as_ref().is_some_and(|account| {
            let user = self.secret.user(&account.id);
            asking.attempts.is_of(key, user, self.clock.now()) && asking.unproven
        });
        let verified = match self.verified(found, is_paused, password, time).await {
            // Deleted in between: whoever goes by this identifier now is looked up once more.
            Err(fault) if fault.meaning == Meaning::NotFound => {
                self.people.forget(key);
                let found = self.people.look_up(&self.bapi, identifier, key, time).await?;
                self.verified(found, false, password, time).await
            }
            answer => answer,
        };
        let account = verified.map_err(|fault| match fault.meaning {
            Meaning::NotFound => refused(Refusal::Unidentified, "resource_not_found"),
            _ => fault,
        })?;
        let user_id = account.id.clone();
        Ok(Proved { user_id, at, identifiers: account.into_identifiers(), session: None })
    }

    /// Whether this password is that of this account, and enough. Whoever is refused without a look at the password
    /// waits for as long as the look would have taken: nobody, somebody without a password, and somebody who is locked
    /// out must not come back sooner than somebody who mistyped.
    async fn verified(
        &self,
        account: Option<Account>,
        is_paused: bool,
        password: &str,
        time: &mut TimeLeft,
    ) -> Result<Account, Fault> {
        let since = self.clock.now();
        let refusal = match &account {
            None => Some((Refusal::Unidentified, "unknown_identifier")),
            Some(_) if is_paused => Some((Refusal::Credentials, PAUSED)),
            Some(account) if account.banned => Some((Refusal::Barred, "user_banned")),
            // Not asked: whether Clerk counts such a question is written nowhere.
            Some(account) if account.locked => Some((Refusal::Locked, "user_locked")),
            Some(account) if !account.password_enabled => Some((Refusal::NotByPassword, "no_password_set")),
            Some(_) => None,
        };
        let account = match (account, refusal) {
            (Some(account), None) => account,
            (_, refusal) => {
                self.padding.pad(since).await;
                let (refusal, code) = refusal.unwrap_or((Refusal::Unidentified, "unknown_identifier"));
                return Err(refused(refusal, code));
            }
        };
        match self.bapi.verify_password(&account.id, password, time).await {
            Ok(()) => self.padding.took(self.clock.now() - since),
            Err(fault) if fault.meaning == Meaning::Refused(Refusal::Credentials) => {
                self.padding.took(self.clock.now() - since);
                return Err(fault);
            }
            Err(fault) => {
                if matches!(fault.meaning, Meaning::Refused(_)) {
                    self.padding.pad(since).await;
                }
                return Err(fault);
            }
        }
        if account.two_factor_enabled && !self.ignore_second_factor {
            return Err(Fault::coded(Meaning::SecondFactor, "two_factor_enabled"));
        }
        Ok(account)
    }

    pub(super) fn forget_user(&self, user_id: &str) {
        self.people.forget_user(user_id);
    }

    pub(super) fn forget_all(&self) {
        self.people.forget_all();
    }
}

fn refused(refusal: Refusal, code: &str) -> Fault {
    Fault::coded(Meaning::Refused(refusal), code)
}
