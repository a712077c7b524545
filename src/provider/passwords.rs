//! Proving a password with the secret key, which finds the user and verifies the password.
//!
//! This is not a sign-in, so Clerk applies none of a sign-in's checks: Device Trust, allow and block lists, compromised
//! passwords, required password resets, and Clerk Protect.

use std::sync::Arc;

use super::identifier_index::IdentifierIndex;
use super::timing_equalizer::TimingEqualizer;
use super::{PAUSED, PasswordCheck, ProvenPassword};
use crate::clerk_api::bapi::{Account, Bapi};
use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass, TimeLeft};
use crate::clock::Clock;
use crate::key::KeySecret;

/// See the [module docs](self).
pub(crate) struct Passwords {
    pub(super) bapi: Arc<Bapi>,
    identifiers: IdentifierIndex,
    timing: TimingEqualizer,
    pub(super) secret: Arc<KeySecret>,
    pub(super) clock: Clock,
    /// Accept users who have a second factor without asking for it.
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

    /// Proves a password in two calls: one fetches the user as they are now, the other verifies the password.
    pub(super) async fn prove(
        &self,
        check: PasswordCheck<'_>,
        time: &mut TimeLeft,
    ) -> Result<ProvenPassword, ApiError> {
        let (identifier, key) = (check.credentials.identifier(), check.identifier);
        let password = check.credentials.password();
        let at = self.clock.now();
        let found = self.identifiers.find(&self.bapi, identifier, key, time).await?;
        // The same call for a user who isn't there, so that the time tells nothing.
        let subject = found.as_ref().map_or(key, |account| self.secret.user(&account.id));
        check.failures.learn(subject, self.clock).await;
        // Only now the user is known, and with it the failures of the user's other identifiers.
        let is_paused = found.as_ref().is_some_and(|account| {
            let user = self.secret.user(&account.id);
            check.failures.is_of(key, user, self.clock.now()) && check.untrusted
        });
        let verified = match self.verified(found, is_paused, password, time).await {
            // The user was deleted between the two calls. Another user may have the identifier now.
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

    /// Checks that the account may sign in, and verifies the password.
    ///
    /// A refusal without a comparison of the password is delayed to the duration of one. Otherwise its timing would
    /// tell that the account is unknown, locked or without a password.
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
            // Clerk does not document whether `verify_password` counts against a locked account, so it is not called.
            Some(account) if account.locked => Some((CredentialRefusal::Locked, "user_locked")),
            Some(account) if !account.password_enabled => {
                Some((CredentialRefusal::NotByPassword, "no_password_set"))
            }
            Some(_) => None,
        };
        let account = match (account, refusal) {
            (Some(account), None) => account,
            (_, refusal) => {
                self.timing.equalize(since).await;
                let (refusal, code) =
                    refusal.unwrap_or((CredentialRefusal::Unidentified, "unknown_identifier"));
                return Err(refused(refusal, code));
            }
        };
        match self.bapi.verify_password(&account.id, password, time).await {
            Ok(()) => self.timing.record(self.clock.now() - since),
            Err(error) if error.class == ErrorClass::Refused(CredentialRefusal::Credentials) => {
                self.timing.record(self.clock.now() - since);
                return Err(error);
            }
            Err(error) => {
                if matches!(error.class, ErrorClass::Refused(_)) {
                    self.timing.equalize(since).await;
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
