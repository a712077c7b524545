//! Answers with data: `{"data":…}`, without nulls, and the link to the next page.

use axum::Json;
use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::errors::{Code, PactError};
use crate::source::Listed;

/// The answer with one entry.
pub(crate) fn entry<T: Serialize>(entry: &T) -> Result<Response, PactError> {
    data(entry).map(IntoResponse::into_response)
}

/// The answer with a page of a list, and with the link to the next one, if there is more.
pub(crate) fn list<T: Serialize>(
    listed: &Listed<T>,
    next: Option<HeaderValue>,
) -> Result<Response, PactError> {
    let next = next.filter(|_| listed.has_more).map(|next| [(LINK, next)]);
    Ok((next, data(&listed.entries)?).into_response())
}

fn data<T: Serialize>(data: &T) -> Result<Json<Value>, PactError> {
    let mut data = serde_json::to_value(data).map_err(|error| {
        tracing::error!(%error, "the data can't be written as JSON");
        PactError::new(Code::InternalError, "the data can't be sent")
    })?;
    drop_nulls(&mut data);
    Ok(Json(json!({ "data": data })))
}

/// Leaves out what has no value. Here, in one place, so that no field of a provider's can forget it.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
