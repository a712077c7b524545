//! Clerk's error responses. Codes, statuses and messages come from Clerk's published list of errors.

use std::ops::{Deref, DerefMut};

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::tokens::Unsigned;

/// A refusal with one or more errors. Boxed, since most responses aren't refusals.
pub(crate) struct ApiError(Box<Refusal>);

pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) errors: Vec<Value>,
    /// The client's current state, which Clerk includes in errors of sign-ins.
    pub(crate) client: Option<Value>,
    pub(crate) tokens: Vec<Unsigned>,
    pub(crate) retry_after: Option<u64>,
    /// The token of a new client, which replaces the invalid one.
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

    /// Adds an entry to the `meta` of the last error.
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
