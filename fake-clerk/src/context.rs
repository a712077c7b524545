//! The context that every endpoint works in: the state, the request, its client, its limits, and constructors of
//! responses.

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

/// A successful response of an endpoint.
pub(crate) struct Reply {
    pub(crate) body: Value,
    pub(crate) tokens: Vec<Unsigned>,
    pub(crate) client_token: ClientToken,
}

/// The client token in the response's header.
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

    /// Builds `{response, client}`, the envelope that most endpoints use.
    pub(crate) fn wrapped(response: Value, client: Value, page: Page<'_>) -> Self {
        // Moves the values; `json!` would clone them.
        let body = [("response".to_owned(), response), ("client".to_owned(), client)].into_iter().collect();
        Self { body: Value::Object(body), tokens: page.tokens, client_token: ClientToken::Unchanged }
    }
}

/// A request being handled by the instance.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) settings: &'a FakeClerkBuilder,
    pub(crate) call: &'a Call,
    pub(crate) now: Now,
    /// Identifiers and codes of the mails that the request "sent".
    pub(crate) mailed: Vec<(String, String)>,
    /// How long Clerk takes to answer.
    pub(crate) takes: Duration,
}

impl Context<'_> {
    /// Counts the request against a rate limit.
    pub(crate) fn limit(&mut self, window: Window) -> Result<(), ApiError> {
        let limit = match window {
            Window::SignIns => self.settings.sign_in_limit,
            Window::Attempts => self.settings.attempt_limit,
            Window::Mints => self.settings.mint_limit,
            Window::Backend => self.settings.backend_window(),
        };
        let Some(limit) = limit else { return Ok(()) };
        // The Frontend API counts by address; the Backend API by secret key, of which the instance has one.
        let counted_by = if window == Window::Backend { None } else { self.call.peer };
        let counted = self.state.limits.count(window, counted_by, limit, self.now.instant);
        counted.map_err(|wait| ApiError::too_many_requests(whole_seconds(wait)))
    }

    pub(crate) fn page(&self) -> Page<'_> {
        let (issuer, origin) = (&self.call.issuer, self.call.origin());
        Page::new(self.state, self.settings, issuer, origin, self.now)
    }

    /// Returns the client that the request's token identifies; `None` without a token.
    pub(crate) fn client_id(&mut self) -> Result<Option<String>, ApiError> {
        let Some(token) = self.call.client_token()? else { return Ok(None) };
        // Native clients and browsers send a JWT; any other value belongs to another authorization scheme.
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

    /// Like [`client_id`](Self::client_id), but refuses a request without a client.
    pub(crate) fn require_client(&mut self) -> Result<String, ApiError> {
        self.client_id()?.ok_or_else(ApiError::signed_out)
    }

    /// Refuses an invalid client token. Like Clerk, the refusal carries the token of a new, empty client.
    fn signed_out(&mut self) -> ApiError {
        let client = Client::new(self.now);
        let token = claims::client_token(&self.state.keys, &client.id, &client.rotating);
        self.state.clients.insert(client.id.clone(), client);
        let mut error = ApiError::signed_out();
        error.client_token = Some(token);
        error
    }

    pub(crate) fn token_of(&self, client: &Client) -> ClientToken {
        ClientToken::New(claims::client_token(&self.state.keys, &client.id, &client.rotating))
    }

    /// Builds a response that is only a token: the endpoints that mint have no envelope.
    pub(crate) fn token_alone(&self, token: Unsigned) -> Reply {
        let mut page = self.page();
        let body = page.token(token);
        Reply { tokens: page.tokens, ..Reply::plain(body) }
    }
}

/// Rounds up to whole seconds, so that a client that waits this long is never early.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
