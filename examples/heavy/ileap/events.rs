//! `POST /2/events`: what partners notify and ask for, as CloudEvents 1.0 in structured mode.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tower_clerk::ClerkSession;
use uuid::Uuid;

use crate::errors::PactError;
use crate::host::Host;
use crate::source::Source;

/// The longest event, in bytes: 1 MiB.
const LONGEST: usize = 1024 * 1024;
/// The longest `id`, `source` and `type`, in bytes. Logs and indexes take them.
const LONGEST_ATTRIBUTE: usize = 1024;
/// How long a partner may take to send it.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// An event of a partner's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Unique for its source. The partner chooses it.
    pub(crate) id: String,
    /// The host that has sent it, as it says itself. An answer goes there, so check the address before you call it.
    #[allow(dead_code, reason = "the data set sends no answers")]
    pub(crate) source: String,
    pub(crate) kind: EventKind,
}

#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code, reason = "the data set only counts them")]
pub(crate) enum EventKind {
    /// Footprints of the partner's are new, or have changed.
    Published { ids: Vec<Uuid> },
    /// The partner asks for footprints that are like this fragment.
    Requested { fragment: Map<String, Value>, comment: Option<String> },
    /// The answer to a request: footprints.
    Fulfilled { request: String, footprints: Vec<Value> },
    /// The answer to a request: none.
    Rejected { request: String, code: String, message: String },
}

/// The envelope. Extension attributes of CloudEvents are ignored.
#[derive(Deserialize)]
struct Envelope {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[allow(dead_code, reason = "it is read only to check it")]
    time: Option<Timestamp>,
    /// Absent and null are the same.
    data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    pf_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Requested {
    pf: Map<String, Value>,
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fulfilled {
    request_event_id: String,
    pfs: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rejected {
    request_event_id: String,
    error: RejectedError,
}

#[derive(Deserialize)]
struct RejectedError {
    code: String,
    message: String,
}

impl Event {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, PactError> {
        let envelope: Envelope = serde_json::from_slice(body)
            .map_err(|error| PactError::bad_request(format!("the body is no CloudEvent in JSON: {error}")))?;
        if envelope.specversion != "1.0" {
            return Err(PactError::bad_request("`specversion` must be \"1.0\""));
        }
        let is_usable = |attribute: &str| (1..=LONGEST_ATTRIBUTE).contains(&attribute.len());
        if ![&envelope.id, &envelope.source, &envelope.kind].into_iter().all(|it| is_usable(it)) {
            return Err(PactError::bad_request("`id`, `source` and `type` must have 1 to 1,024 bytes"));
        }
        let data = envelope.data.ok_or_else(|| PactError::bad_request("`data` is missing or null"))?;
        let kind = EventKind::of(&envelope.kind, data)?;
        Ok(Self { id: envelope.id, source: envelope.source, kind })
    }
}

impl EventKind {
    fn of(kind: &str, data: Value) -> Result<Self, PactError> {
        let known = kind.strip_prefix("org.wbcsd.pathfinder.");
        match known {
            Some("ProductFootprint.Published.v1") => {
                let published: Published = read(data)?;
                let ids: Option<Vec<Uuid>> = published.pf_ids.iter().map(|id| uuid(id)).collect();
                let ids = ids.filter(|ids| !ids.is_empty());
                let ids =
                    ids.ok_or_else(|| PactError::bad_request("`data.pfIds` must be UUIDs, at least one"))?;
                Ok(Self::Published { ids })
            }
            Some("ProductFootprintRequest.Created.v1") => {
                let Requested { pf, comment } = read(data)?;
                Ok(Self::Requested { fragment: pf, comment })
            }
            Some("ProductFootprintRequest.Fulfilled.v1") => {
                let Fulfilled { request_event_id, pfs } = read(data)?;
                Ok(Self::Fulfilled { request: request_event_id, footprints: pfs })
            }
            Some("ProductFootprintRequest.Rejected.v1") => {
                let Rejected { request_event_id, error } = read(data)?;
                Ok(Self::Rejected { request: request_event_id, code: error.code, message: error.message })
            }
            _ => Err(PactError::not_implemented(format!("events of the type {kind:?} aren't implemented"))),
        }
    }

    /// The kind in one word, for a log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Published { .. } => "published",
            Self::Requested { .. } => "requested",
            Self::Fulfilled { .. } => "fulfilled",
            Self::Rejected { .. } => "rejected",
        }
    }
}

fn read<T: DeserializeOwned>(data: Value) -> Result<T, PactError> {
    serde_json::from_value(data).map_err(|error| PactError::bad_request(format!("`data`: {error}")))
}

/// A UUID in its usual form, which is the only one that the data model has: neither a URN nor one in braces.
pub(crate) fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
}

pub(crate) async fn post_event<S: Source>(
    State(host): State<Arc<Host<S>>>,
    partner: ClerkSession,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, PactError> {
    if !is_cloud_event(&headers) {
        return Err(PactError::bad_request("send `Content-Type: application/cloudevents+json`"));
    }
    let body = tokio::time::timeout(READ_WITHIN, to_bytes(body, LONGEST));
    let body = body.await.map_err(|_| PactError::bad_request("the event didn't arrive within 10 s"))?;
    let body = body.map_err(|_| PactError::bad_request("the event is longer than 1 MiB, or broke off"))?;
    host.source.receive(&partner, Event::parse(&body)?).await?;
    Ok(StatusCode::OK)
}

/// Whether the type of the body is that of one event in JSON, with whatever parameters.
fn is_cloud_event(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/cloudevents+json")
}
