//! Clerk's events as JSON. Fields that are missing or of another type than Clerk describes count as absent, and fields that
//! aren't needed are skipped without recursion, since a user can set some of them (`unsafe_metadata`) to any JSON.

use serde::Deserialize;

use crate::objects::Scalar;

/// The fields that all events have. `data` is read apart, by the event's type.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) timestamp: Scalar,
    #[serde(default)]
    pub(super) instance_id: Scalar,
}

/// The object that an event is about.
#[derive(Deserialize)]
pub(super) struct WithData<T> {
    pub(super) data: T,
}

#[derive(Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    #[serde(default)]
    pub(super) user_id: Scalar,
    #[serde(default)]
    pub(super) status: Scalar,
    #[serde(default)]
    pub(super) updated_at: Scalar,
}
