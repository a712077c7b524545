//! The request of one attempt.

use http::Request;
use http::header::{CONTENT_TYPE, USER_AGENT};

use crate::webhooks::answer::Answer;
use crate::webhooks::endpoint::Target;
use crate::webhooks::mailbox::Order;

/// Sends a delivery, and returns the answer; `None` if there is none.
pub(crate) async fn send(order: Order, timestamp: i64) -> Option<Answer> {
    let Order { id, body, endpoint } = order;
    let signatures: Vec<String> =
        endpoint.secrets.iter().map(|secret| secret.sign(&id, timestamp, &body)).collect();
    let [id_name, timestamp_name, signature_name] = endpoint.headers.names();
    let request = Request::post(endpoint.url.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "Svix-Webhooks/1.0 (fake-clerk)")
        .header(id_name, id)
        .header(timestamp_name, timestamp)
        .header(signature_name, signatures.join(" "))
        .body(body)
        .ok()?;
    match &endpoint.target {
        Target::InProcess(answer) => Some(Answer { status: answer(request).await, control: None }),
        #[cfg(feature = "server")]
        Target::Socket(address) => address.send(request).await,
    }
}
