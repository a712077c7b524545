//! A verified event (rule W3).

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use super::data::EventData;
use super::error::WebhookError;
use super::wire;

/// A verified event of a Clerk instance.
///
/// A clone is cheap. `Debug` shows ids and the type, and nothing else of the body, which holds personal data.
#[derive(Clone)]
pub struct Event(Arc<Inner>);

struct Inner {
    id: Box<str>,
    event_type: Box<str>,
    time: Option<SystemTime>,
    instance_id: Option<Box<str>>,
    data: EventData,
    json: String,
}

impl Event {
    /// Reads the body of a delivery whose signature is right.
    pub(super) fn read(id: &str, body: Vec<u8>) -> Result<Self, WebhookError> {
        let json = String::from_utf8(body).map_err(|_| WebhookError::body("the signed body is not UTF-8"))?;
        let envelope: wire::Envelope = serde_json::from_str(&json)
            .map_err(|_| WebhookError::body("the signed body is no event: a JSON object with a type"))?;
        let data = EventData::read(&envelope.r#type, &json);
        Ok(Self(Arc::new(Inner {
            id: id.into(),
            time: envelope.timestamp.time(),
            instance_id: envelope.instance_id.text().map(Into::into),
            event_type: envelope.r#type.into(),
            data,
            json,
        })))
    }

    /// The id of the message (`msg_…`). All attempts to deliver it have the same one.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The type, such as `user.updated`.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// When the event occurred, by Clerk's clock.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        self.0.time
    }

    /// The id of the instance that the event is from (`ins_…`).
    ///
    /// The engine doesn't know the id of its own instance. A secret belongs to an endpoint of one instance, and ids of users,
    /// sessions and organizations are unique across instances, so an event of another one does nothing. An application that
    /// gives the secrets of several instances can tell their events apart by this id.
    #[must_use]
    pub fn instance_id(&self) -> Option<&str> {
        self.0.instance_id.as_deref()
    }

    /// The object that the event is about.
    #[must_use]
    pub fn data(&self) -> &EventData {
        &self.0.data
    }

    /// The whole body, as Clerk has signed it.
    ///
    /// **Don't log or store it as it is.** It holds personal data, and where Clerk sends them `private_metadata` and backup
    /// codes too, which the types of [`data`](Self::data) leave out: what is signed can be checked only as a whole. An
    /// application that keeps objects takes the JSON of [`data`](Self::data), or the columns that it needs.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.json
    }

    /// Deserializes the object that the event is about into a type of the application. It is given all of [`json`](Self::json).
    ///
    /// # Errors
    ///
    /// Returns an error if the object doesn't fit the type. JSON that is nested more than 128 levels deep doesn't fit
    /// `serde_json::Value`, and a user can set `unsafe_metadata` to such: name the fields that are needed instead.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Domain {
    ///     name: String,
    /// }
    ///
    /// fn name(event: &tower_clerk::webhook::Event) -> Option<String> {
    ///     (event.event_type() == "organizationDomain.created").then(|| event.data_as::<Domain>().ok())?.map(|it| it.name)
    /// }
    /// ```
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T, WebhookError> {
        let event = serde_json::from_str::<wire::WithData<T>>(&self.0.json);
        event.map(|event| event.data).map_err(|_| {
            WebhookError::body(
                "the event's object does not fit the type: compare its fields with Clerk's description",
            )
        })
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id())
            .field("event_type", &self.event_type())
            .finish_non_exhaustive()
    }
}
