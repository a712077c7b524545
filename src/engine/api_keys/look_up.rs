//! The other facts that have to be known of a verified API key: that its user or organization is there, that its creator is
//! still a member, and which organizations it may act for (rules T4, T6).

use std::sync::Arc;

use super::KeyVerifier;
use super::flight::refused;
use crate::api_keys::{ClerkApiKey, Needs, VerifiedKey};
use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass, TimeLeft};
use crate::limits::Urgency;
use crate::membership::Membership;

/// The code of a refusal since the creator of an organization's key is no member of it.
pub(super) const CREATOR_LEFT: &str = "creator_left_the_organization";

impl KeyVerifier {
    /// The same key with everything that is needed.
    pub(super) async fn look_up(
        &self,
        verified: &Arc<VerifiedKey>,
        needs: Needs,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Arc<VerifiedKey>, ApiError> {
        if verified.covers(needs) {
            return Ok(Arc::clone(verified));
        }
        let (mut key, mut known) = (verified.key.clone(), verified.known);
        // An own setting of the layer decides each: another layer's look-up counts as well.
        let missing = Needs {
            subject: needs.subject && !known.subject,
            creator: needs.creator && !known.creator,
            memberships: needs.memberships && !known.memberships,
        };
        if key.is_of_organization() {
            if missing.subject || missing.memberships {
                let organization = self.bapi.organization(key.subject(), urgency, time).await;
                let organization = organization.map_err(|error| gone(error, "organization_gone"))?;
                key = key.with_memberships(Arc::new([organization]));
                (known.subject, known.memberships) = (true, true);
            }
            if missing.creator {
                self.check_creator(&key, urgency, time).await?;
            }
        } else {
            if missing.subject {
                let user = self.bapi.user(key.subject(), urgency, time).await;
                // A lock comes of wrong passwords, so anyone could stop a user's keys by it.
                if user.map_err(|error| gone(error, "user_gone"))?.banned {
                    return Err(ApiError::coded(
                        ErrorClass::Refused(CredentialRefusal::Barred),
                        "user_banned",
                    ));
                }
                known.subject = true;
            }
            if missing.memberships {
                let memberships = self.bapi.memberships(key.subject(), urgency, time).await;
                let memberships = memberships.map_err(|error| gone(error, "user_gone"))?;
                key = key.with_memberships(memberships.into());
                known.memberships = true;
            }
        }
        known.creator |= needs.creator;
        let VerifiedKey { at, end, since, .. } = **verified;
        Ok(Arc::new(VerifiedKey::new(key, known, at, end, since)))
    }

    /// Refuses an organization's key whose creator is no member any more.
    async fn check_creator(
        &self,
        key: &ClerkApiKey,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<(), ApiError> {
        let Some(creator) = key.created_by() else { return Ok(()) };
        let memberships = match self.bapi.memberships(creator, urgency, time).await {
            Ok(memberships) => memberships,
            Err(error) if error.class == ErrorClass::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let is_member = |membership: &Membership| *membership.id == *key.subject();
        if memberships.iter().any(is_member) { Ok(()) } else { Err(refused(CREATOR_LEFT)) }
    }
}

/// A refusal if the subject is gone, and the error itself otherwise.
fn gone(error: ApiError, code: &str) -> ApiError {
    if error.class == ErrorClass::NotFound { refused(code) } else { error }
}
