//! Proving a password with the secret key: it finds the user, and verifies the password.
//!
//! Nothing of this knows a device, so Device Trust has no say; nor have Clerk's allow and block lists, its check for
//! compromised passwords, a password that must be chosen anew, or Clerk Protect: they belong to sign-ins.

use std::sync::Arc;

use super::identifier_index::IdentifierIndex;
use super::timing_equalizer::TimingEqualizer;
use super::{PAUSED, PasswordCheck, ProvenPassword};
use crate::clerk_api::bapi::{Account, Bapi};
use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass, TimeLeft};
use crate::clock::Clock;
use crate::key::KeySecret;

/// See the [module's documentation](self).
pub(crate) struct Passwords {
    pub(super) bapi: Arc<Bapi>,
    identifiers: IdentifierIndex,
    timing: TimingEqualizer,
    pub(super) secret: Arc<KeySecret>,
    pub(super) clock: Clock,
    /// Users who have a second factor are let in without it.
    ignore_second_factor: bool,
}

impl Passwords {
    pub(crate) fn new(
        bapi: Arc<Bapi>,
        timing: TimingEqualizer,
        secret: Arc<KeySecret>,
        clock: Clock,
        ignore_second_factor: bool,
    ) -> Self {
        let identifiers = IdentifierIndex::new(Arc::clone(&secret));
        Self { bapi, identifiers, timing, secret, clock, ignore_second_factor }
    }

    /// Two calls: who it is, as they are now, and whether the password is theirs.
    pub(super) async fn prove(
        &self,
        check: PasswordCheck<'_>,
        time: &mut TimeLeft,
    ) -> Result<ProvenPassword, ApiError> {
        let (identifier, key) = (check.credentials.identifier(), check.identifier);
        let password = check.credentials.password();
        let at = self.clock.now();
        let found = self.identifiers.find(&self.bapi, identifier, key, time).await?;
        // Whose it is is known now, and with it what other identifiers of that user have failed.
        let is_paused = found.as_ref().is_some_and(|account| {
            let user = self.secret.user(&account.id);
            check.attempts.is_of(key, user, self.clock.now()) && check.untrusted
        });
        let verified = match self.verified(found, is_paused, password, time).await {
            // Deleted in between: whoever goes by this identifier now is looked up once more.
            Err(error) if error.class == ErrorClass::NotFound => {
                self.identifiers.forget(key);
                let found = self.identifiers.look_up(&self.bapi, identifier, key, time).await?;
                self.verified(found, false, password, time).await
            }
            answer => answer,
        };
        let account = verified.map_err(|error| match error.class {
            ErrorClass::NotFound => refused(CredentialRefusal::Unidentified, "resource_not_found"),
            _ => error,
        })?;
        let user_id = account.id.clone();
        Ok(ProvenPassword { user_id, at, identifiers: account.into_identifiers(), session: None })
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
    ) -> Result<Account, ApiError> {
        let since = self.clock.now();
        let refusal = match &account {
            None => Some((CredentialRefusal::Unidentified, "unknown_identifier")),
            Some(_) if is_paused => Some((CredentialRefusal::Credentials, PAUSED)),
            Some(account) if account.banned => Some((CredentialRefusal::Barred, "user_banned")),
            // Not asked: whether Clerk counts such a question is written nowhere.
            Some(account) if account.locked => Some((CredentialRefusal::Locked, "user_locked")),
            Some(account) if !account.password_enabled => {
                Some((CredentialRefusal::NotByPassword, "no_password_set"))
            }
            Some(_) => None,
        };
        let account = match (account, refusal) {
            (Some(account), None) => account,
            (_, refusal) => {
                self.timing.pad(since).await;
                let (refusal, code) =
                    refusal.unwrap_or((CredentialRefusal::Unidentified, "unknown_identifier"));
                return Err(refused(refusal, code));
            }
        };
        match self.bapi.verify_password(&account.id, password, time).await {
            Ok(()) => self.timing.took(self.clock.now() - since),
            Err(error) if error.class == ErrorClass::Refused(CredentialRefusal::Credentials) => {
                self.timing.took(self.clock.now() - since);
                return Err(error);
            }
            Err(error) => {
                if matches!(error.class, ErrorClass::Refused(_)) {
                    self.timing.pad(since).await;
                }
                return Err(error);
            }
        }
        if account.two_factor_enabled && !self.ignore_second_factor {
            return Err(ApiError::coded(ErrorClass::SecondFactor, "two_factor_enabled"));
        }
        Ok(account)
    }

    pub(super) fn forget_user(&self, user_id: &str) {
        self.identifiers.forget_user(user_id);
    }

    pub(super) fn forget_all(&self) {
        self.identifiers.forget_all();
    }
}

fn refused(refusal: CredentialRefusal, code: &str) -> ApiError {
    ApiError::coded(ErrorClass::Refused(refusal), code)
}
