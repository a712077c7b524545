//! From an assertion's subject to its user, who is there already: nothing here makes or changes one (rules X2, X3).

use super::flight::{NOT_ATTESTED, refused};
use super::{AssertionAttempt, Federation};
use crate::clerk_api::bapi::{Account, Bapi};
use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass, TimeLeft};
use crate::engine::sign_in::SignIns;
use crate::federation::{Link, Mapping, VerifiedEmail};
use crate::limits::Urgency;

/// A failure, and the id of the user if one was found.
type Failure = (ApiError, Option<Box<str>>);

impl Federation {
    /// The user of an assertion, as the user is now, who may sign in by it.
    pub(super) async fn user_of(
        &self,
        sign_ins: &SignIns,
        attempt: &AssertionAttempt,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Account, Failure> {
        let unfound = |error: ApiError| (error, None);
        let bapi = sign_ins.provider.bapi().ok_or_else(|| unfound(ApiError::unavailable("no_secret_key")))?;
        let account = find(bapi, attempt, urgency, time).await.map_err(unfound)?;
        match barred(attempt, &account) {
            Some(error) => Err((error, Some(account.id))),
            None => Ok(account),
        }
    }
}

/// Why a user who was found may not sign in by this assertion.
fn barred(attempt: &AssertionAttempt, account: &Account) -> Option<ApiError> {
    if account.banned {
        return Some(refused(CredentialRefusal::Barred, "user_banned"));
    }
    if account.locked {
        return Some(refused(CredentialRefusal::Locked, "user_locked"));
    }
    // Workloads can't use a second factor, and their rules name users of their own.
    let Mapping::People { second_factor, .. } = &attempt.provider.mapping else { return None };
    let is_met = second_factor.is_met(account.two_factor_enabled, &attempt.accepted.claims, attempt.time);
    (!is_met).then(|| ApiError::coded(ErrorClass::SecondFactor, NOT_ATTESTED))
}

async fn find(
    bapi: &Bapi,
    attempt: &AssertionAttempt,
    urgency: Urgency,
    time: &mut TimeLeft,
) -> Result<Account, ApiError> {
    let unknown = |code| refused(CredentialRefusal::Unidentified, code);
    let links = match &attempt.provider.mapping {
        Mapping::Workloads(_) => {
            let user_id = attempt.accepted.user_id.as_deref().ok_or_else(|| unknown("no_rule"))?;
            let found = bapi.user(user_id, urgency, time).await;
            return found.map_err(|error| match error.class {
                ErrorClass::NotFound => unknown("user_of_rule_gone"),
                _ => error,
            });
        }
        Mapping::People { links, .. } => links,
    };
    for link in links {
        let mut found = linked(bapi, attempt, link, urgency, time).await?;
        match found.len() {
            0 => {}
            1 => return found.pop().ok_or_else(|| unknown("no_linked_user")),
            // Another link must not decide between them.
            _ => return Err(unknown("several_linked_users")),
        }
    }
    Err(unknown("no_linked_user"))
}

/// The users who are linked in this way.
async fn linked(
    bapi: &Bapi,
    attempt: &AssertionAttempt,
    link: &Link,
    urgency: Urgency,
    time: &mut TimeLeft,
) -> Result<Vec<Account>, ApiError> {
    let (subject, claims) = (&*attempt.accepted.subject, &attempt.accepted.claims);
    match link {
        Link::External(provider) => bapi.find_by_external(provider, subject, urgency, time).await,
        Link::Enterprise(connection) => {
            // The address only says whom to look at, so it needn't be verified.
            let Some(email) = claims.text("email").filter(|email| email.contains('@')) else {
                return Ok(Vec::new());
            };
            let found = bapi.find(email, urgency, time).await?;
            Ok(found.into_iter().filter(|account| account.has_enterprise(connection, subject)).collect())
        }
        Link::VerifiedEmail(domains) => match attempt.provider.verified_email(claims, domains) {
            Some(VerifiedEmail(email)) => bapi.find(email, urgency, time).await,
            None => Ok(Vec::new()),
        },
    }
}
