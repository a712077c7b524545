//! API keys: their verification, and the look-up of an organization that owns one.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;

use super::client::{Bapi, id};
use super::wire;
use crate::clerk_api::{ApiError, Body, TimeLeft, parse};
use crate::counters::Operation;
use crate::limits::Urgency;
use crate::membership::Membership;

/// An `expiration` below this is in seconds: as milliseconds it would be of 2001. Clerk's description says milliseconds,
/// and other times of its API are in seconds.
const LEAST_MILLISECONDS: f64 = 1e12;

/// A key that Clerk knows, which may be revoked or expired.
pub(crate) struct FoundApiKey {
    pub(crate) id: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) subject: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) scopes: Vec<Box<str>>,
    /// The claims as JSON.
    pub(crate) claims: Box<str>,
    pub(crate) created_by: Option<Box<str>>,
    pub(crate) revoked: bool,
    pub(crate) expired: bool,
    pub(crate) expires_at: Option<SystemTime>,
    /// When the request left.
    pub(crate) left: Instant,
}

impl Bapi {
    /// `POST /v1/api_keys/verify`.
    pub(crate) async fn verify_api_key(
        &self,
        secret: &str,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<FoundApiKey, ApiError> {
        #[derive(Serialize)]
        struct Payload<'a> {
            secret: &'a str,
        }
        let body = Body::json(&Payload { secret }, secret.len())?;
        let raw = self.post(Operation::VerifyApiKey, urgency, "/v1/api_keys/verify", body, time).await?;
        let key: wire::ApiKey = parse(&raw.body)?;
        let expires_at = key.expiration.map(time_of).transpose()?;
        Ok(FoundApiKey {
            id: key.id.into(),
            kind: key.kind.into(),
            subject: key.subject.into(),
            name: key.name.unwrap_or_default().into(),
            scopes: key.scopes.into_iter().map(Into::into).collect(),
            claims: key.claims.unwrap_or_default().to_string().into(),
            created_by: key.created_by.map(Into::into),
            revoked: key.revoked,
            expired: key.expired,
            expires_at,
            left: raw.timing.left,
        })
    }

    /// `GET /v1/organizations/{id}`. Fails with [`NotFound`](crate::clerk_api::ErrorClass::NotFound) if there is no such
    /// organization.
    pub(crate) async fn organization(
        &self,
        organization_id: &str,
        urgency: Urgency,
        time: &mut TimeLeft,
    ) -> Result<Membership, ApiError> {
        let path = format!("/v1/organizations/{}", id(organization_id)?);
        let raw = self.get(Operation::Organization, urgency, &path, time).await?;
        let found = Membership::from(parse::<wire::Organization>(&raw.body)?);
        if *found.id == *organization_id {
            Ok(found)
        } else {
            Err(ApiError::unavailable("another_organization"))
        }
    }
}

impl From<wire::Organization> for Membership {
    fn from(organization: wire::Organization) -> Self {
        Self { id: organization.id.into(), slug: organization.slug.map(Into::into) }
    }
}

fn time_of(expiration: f64) -> Result<SystemTime, ApiError> {
    let seconds = if expiration < LEAST_MILLISECONDS { expiration } else { expiration / 1000.0 };
    let since = Duration::try_from_secs_f64(seconds).ok();
    let time = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    time.ok_or_else(|| ApiError::unavailable("absurd_expiration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t5_an_expiration_is_in_milliseconds_or_in_seconds() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (expiration, seconds) in [
            (1_900_000_000_000.0, 1_900_000_000),
            (1_900_000_000.0, 1_900_000_000),
            (1e12, 1_000_000_000),
            (0.0, 0),
        ] {
            assert_eq!(time_of(expiration).unwrap(), at(seconds), "{expiration}");
        }
        for absurd in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(time_of(absurd).is_err(), "{absurd}");
        }
    }
}
