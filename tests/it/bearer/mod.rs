//! Session tokens as `Bearer` (rules B1-B7).

mod answers;
mod classes;
mod conditions;
mod keys;
#[cfg(feature = "federation")]
mod providers;
mod revocations;

use std::time::Duration;

use http::header::WWW_AUTHENTICATE;
use http::{Request, Response};
use tower_clerk::layer::RejectionResponse;
use tower_clerk::testing::FakeToken;
use tower_clerk::{BearerRefusal, BearerTokens, ClerkBasicAuthLayer};

use crate::common::{World, ask, rejection, with_authorization};

const JANE_ID: &str = "jane@example.com";
const SECOND: Duration = Duration::from_secs(1);

fn bearer(jwt: &str) -> Request<()> {
    with_authorization(&format!("Bearer {jwt}"))
}

/// A layer that accepts all session tokens.
fn accepting(world: &World) -> ClerkBasicAuthLayer {
    world.layer().accept_bearer(BearerTokens::new()).unwrap()
}

/// A token of a session that Jane has opened in her browser.
fn jane(world: &World) -> FakeToken {
    world.fake.token(&world.fake.open_session(JANE_ID))
}

/// Why a layer refuses a token, with its detail.
#[track_caller]
fn refusal(response: &Response<String>) -> (u16, Option<BearerRefusal>, &str) {
    let rejection = rejection(response).unwrap_or_else(|| panic!("{}", response.status()));
    (response.status().as_u16(), rejection.bearer_refusal(), rejection.detail().unwrap_or_default())
}

/// The status of a request with this token, and why it was refused.
async fn status<R>(layer: &ClerkBasicAuthLayer<R>, jwt: &str) -> (u16, Option<BearerRefusal>)
where
    R: RejectionResponse<String>,
{
    let response = ask(layer, bearer(jwt)).await;
    (response.status().as_u16(), rejection(&response).and_then(|it| it.bearer_refusal()))
}

const ACCEPTED: (u16, Option<BearerRefusal>) = (200, None);
const REVOKED: (u16, Option<BearerRefusal>) = (401, Some(BearerRefusal::Revoked));
const EXPIRED: (u16, Option<BearerRefusal>) = (401, Some(BearerRefusal::Expired));
const REFUSED: (u16, Option<BearerRefusal>) = (401, Some(BearerRefusal::Other));
const FORBIDDEN: (u16, Option<BearerRefusal>) = (403, None);

fn challenges(response: &Response<String>) -> Vec<&str> {
    response.headers().get_all(WWW_AUTHENTICATE).iter().map(|field| field.to_str().unwrap()).collect()
}
