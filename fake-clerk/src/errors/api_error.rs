//! Clerk's refusals. Codes, statuses and texts are those of Clerk's published list of errors.

use std::ops::{Deref, DerefMut};

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::tokens::Unsigned;

/// One refusal, of one or more errors. In a box, because most answers aren't refusals.
pub(crate) struct ApiError(Box<Refusal>);

pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) errors: Vec<Value>,
    /// The client as it is now, which Clerk sends along with errors of sign-ins.
    pub(crate) client: Option<Value>,
    pub(crate) tokens: Vec<Unsigned>,
    pub(crate) retry_after: Option<u64>,
    /// A new client's token, in place of the one that is worth nothing any more.
    pub(crate) client_token: Option<Unsigned>,
}

impl Deref for ApiError {
    type Target = Refusal;

    fn deref(&self) -> &Refusal {
        &self.0
    }
}

impl DerefMut for ApiError {
    fn deref_mut(&mut self) -> &mut Refusal {
        &mut self.0
    }
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: &str, long_message: &str) -> Self {
        Self(Box::new(Refusal {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            errors: vec![json!({ "code": code, "message": message, "long_message": long_message })],
            client: None,
            tokens: Vec::new(),
            retry_after: None,
            client_token: None,
        }))
    }

    /// Adds to the last error's `meta`.
    pub(crate) fn meta(mut self, key: &str, value: &str) -> Self {
        if let Some(error) = self.errors.last_mut() {
            error["meta"][key] = json!(value);
        }
        self
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("errors".to_owned(), Value::Array(self.errors.clone()));
        if let Some(client) = &self.client {
            body.insert("meta".to_owned(), json!({ "client": client }));
        }
        body.insert("clerk_trace_id".to_owned(), json!(ids::trace()));
        Value::Object(body)
    }
}
