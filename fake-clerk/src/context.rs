//! The context that every endpoint works in: the state, the request, its client, its limits, and the forms of an
//! answer.

use std::time::Duration;

use serde_json::Value;

use crate::claims;
use crate::clock::Now;
use crate::errors::ApiError;
use crate::request::Call;
use crate::settings::FakeClerkBuilder;
use crate::state::{Client, State, Window};
use crate::tokens::Unsigned;
use crate::views::Page;

/// A good answer of an endpoint.
pub(crate) struct Reply {
    pub(crate) body: Value,
    pub(crate) tokens: Vec<Unsigned>,
    pub(crate) client_token: ClientToken,
}

/// The answer's client token.
pub(crate) enum ClientToken {
    Unchanged,
    New(Unsigned),
    /// The client was deleted.
    Gone,
}

pub(crate) type Handled = Result<Reply, ApiError>;

impl Reply {
    pub(crate) fn plain(body: Value) -> Self {
        Self { body, tokens: Vec::new(), client_token: ClientToken::Unchanged }
    }

    /// `{response, client}`, as most endpoints wrap what they say.
    pub(crate) fn wrapped(response: Value, client: Value, page: Page<'_>) -> Self {
        // Moved in, where `json!` would copy all of it.
        let body = [("response".to_owned(), response), ("client".to_owned(), client)].into_iter().collect();
        Self { body: Value::Object(body), tokens: page.tokens, client_token: ClientToken::Unchanged }
    }
}

/// One request in front of the instance.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) settings: &'a FakeClerkBuilder,
    pub(crate) call: &'a Call,
    pub(crate) now: Now,
    /// Identifiers and codes that were "mailed".
    pub(crate) mailed: Vec<(String, String)>,
    /// How long Clerk works on the answer.
    pub(crate) takes: Duration,
}

impl Context<'_> {
    /// Counts the request against a limit.
    pub(crate) fn limit(&mut self, window: Window) -> Result<(), ApiError> {
        let limit = match window {
            Window::SignIns => self.settings.sign_in_limit,
            Window::Attempts => self.settings.attempt_limit,
            Window::Mints => self.settings.mint_limit,
            Window::Backend => self.settings.backend_window(),
        };
        let Some(limit) = limit else { return Ok(()) };
        // The Frontend API counts by address; the Backend API by key, of which the instance has one.
        let counted_by = if window == Window::Backend { None } else { self.call.peer };
        let counted = self.state.limits.count(window, counted_by, limit, self.now.instant);
        counted.map_err(|wait| ApiError::too_many_requests(whole_seconds(wait)))
    }

    pub(crate) fn page(&self) -> Page<'_> {
        Page::new(self.state, self.settings, self.call, self.now)
    }

    /// The client that the request's token stands for; `None` without a token.
    pub(crate) fn client_id(&mut self) -> Result<Option<String>, ApiError> {
        let Some(token) = self.call.client_token()? else { return Ok(None) };
        // Browser and native clients send a JWT; a value that isn't one belongs to another scheme.
        if self.call.is_native() && token.split('.').count() != 3 {
            return Err(ApiError::authorization_format());
        }
        let found = claims::read_client_token(token).filter(|(id, rotating)| {
            self.state.clients.get(id).is_some_and(|client| client.rotating == *rotating)
        });
        match found {
            Some((id, _)) => Ok(Some(id)),
            None => Err(self.signed_out()),
        }
    }

    /// The client that the request must have.
    pub(crate) fn require_client(&mut self) -> Result<String, ApiError> {
        self.client_id()?.ok_or_else(ApiError::signed_out)
    }

    /// The refusal of a client token that is worth nothing any more. It brings the token of a new, empty client.
    fn signed_out(&mut self) -> ApiError {
        let client = Client::new(self.now);
        let token = claims::client_token(&self.state.keys, &client.id, &client.rotating);
        self.state.clients.insert(client.id.clone(), client);
        let mut error = ApiError::signed_out();
        error.client_token = Some(token);
        error
    }

    /// The token of a client as it is now.
    pub(crate) fn token_of(&self, client: &Client) -> ClientToken {
        ClientToken::New(claims::client_token(&self.state.keys, &client.id, &client.rotating))
    }

    /// A token as the whole answer: the endpoints that mint wrap nothing.
    pub(crate) fn token_alone(&self, token: Unsigned) -> Reply {
        let mut page = self.page();
        let body = page.token(token);
        Reply { tokens: page.tokens, ..Reply::plain(body) }
    }
}

/// Seconds, rounded up: a client that waits so long isn't early.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
