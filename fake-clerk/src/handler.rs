//! Carries a request out: finds its endpoint and its client, and holds what every endpoint shares.

use std::time::Duration;

use serde_json::{Value, json};

use super::FakeClerkBuilder;
use super::endpoint::Endpoint;
use super::errors::ApiError;
use super::render::Page;
use super::request::Call;
use super::state::{Client, Now, State};
use super::tokens::{self, Unsigned};
use super::{backend, client, environment, first_factor, second_factor, sessions, sign_in};

/// What an endpoint answers when it says yes.
pub(super) struct Reply {
    pub(super) body: Value,
    pub(super) tokens: Vec<Unsigned>,
    pub(super) client_token: ClientToken,
}

/// What the answer says about the client token.
pub(super) enum ClientToken {
    Unchanged,
    New(Unsigned),
    /// The client is no more.
    Gone,
}

pub(super) type Handled = Result<Reply, ApiError>;

impl Reply {
    pub(super) fn plain(body: Value) -> Self {
        Self { body, tokens: Vec::new(), client_token: ClientToken::Unchanged }
    }

    /// `{response, client}`, as most endpoints wrap what they say.
    pub(super) fn wrapped(response: Value, client: Value, page: Page<'_>) -> Self {
        // Moved in, where `json!` would copy all of it.
        let body = [("response".to_owned(), response), ("client".to_owned(), client)].into_iter().collect();
        Self { body: Value::Object(body), tokens: page.tokens, client_token: ClientToken::Unchanged }
    }
}

/// One request in front of the instance.
pub(super) struct Context<'a> {
    pub(super) state: &'a mut State,
    pub(super) settings: &'a FakeClerkBuilder,
    pub(super) call: &'a Call,
    pub(super) now: Now,
    /// Identifiers and codes that were "mailed".
    pub(super) mailed: Vec<(String, String)>,
    /// How long Clerk works on the answer.
    pub(super) takes: Duration,
}

impl Context<'_> {
    pub(super) fn handle(&mut self) -> Handled {
        if self.call.endpoint.is_backend() {
            return backend::handle(self);
        }
        self.call.check(self.settings, self.now)?;
        match self.call.endpoint {
            Endpoint::SignIns => {
                self.limit(Window::SignIns)?;
                sign_in::create(self)
            }
            Endpoint::SignIn => sign_in::show(self),
            Endpoint::PrepareFirstFactor => first_factor::prepare(self),
            Endpoint::AttemptFirstFactor => {
                self.limit(Window::Attempts)?;
                first_factor::attempt(self)
            }
            Endpoint::PrepareSecondFactor => second_factor::prepare(self),
            Endpoint::AttemptSecondFactor => {
                self.limit(Window::Attempts)?;
                second_factor::attempt(self)
            }
            Endpoint::ResetPassword => first_factor::reset_password(self),
            Endpoint::Client => client::handle(self),
            Endpoint::Sessions => client::remove_sessions(self),
            Endpoint::Session => sessions::show(self),
            Endpoint::Touch => {
                self.limit(Window::Mints)?;
                sessions::touch(self)
            }
            Endpoint::Tokens => {
                self.limit(Window::Mints)?;
                sessions::mint(self)
            }
            Endpoint::TemplateTokens => {
                self.limit(Window::Mints)?;
                sessions::mint_from_template(self)
            }
            Endpoint::End => sessions::end(self),
            Endpoint::Remove => sessions::remove(self),
            Endpoint::Environment => Ok(Reply::plain(environment::show(self.settings))),
            Endpoint::Jwks => Ok(Reply::plain(self.state.keys.jwks())),
            Endpoint::Health => Ok(Reply::plain(json!({ "status": "healthy" }))),
            // The Backend API's are dealt with above.
            _ => Err(ApiError::of_status(404)),
        }
    }

    /// Counts the request against a limit, in a sliding window.
    pub(super) fn limit(&mut self, window: Window) -> Result<(), ApiError> {
        let limit = match window {
            Window::SignIns => self.settings.sign_in_limit,
            Window::Attempts => self.settings.attempt_limit,
            Window::Mints => self.settings.mint_limit,
            Window::Backend => self.settings.backend_window(),
        };
        let Some((count, length)) = limit else { return Ok(()) };
        // The Frontend API counts by address; the Backend API by key, of which the instance has one.
        let counted_by = if window == Window::Backend { None } else { self.call.peer };
        let earlier = self.state.windows.entry((window, counted_by)).or_default();
        let now = self.now.instant;
        while earlier.front().is_some_and(|first| now.duration_since(*first) >= length) {
            earlier.pop_front();
        }
        if earlier.len() < count {
            earlier.push_back(now);
            return Ok(());
        }
        let wait = earlier.front().map_or(length, |first| length.saturating_sub(now.duration_since(*first)));
        Err(ApiError::too_many_requests(whole_seconds(wait)))
    }

    pub(super) fn page(&self) -> Page<'_> {
        Page::new(self.state, self.settings, self.call, self.now)
    }

    /// The client that the request's token stands for; `None` without a token.
    pub(super) fn client_id(&mut self) -> Result<Option<String>, ApiError> {
        let Some(token) = self.call.client_token()? else { return Ok(None) };
        // Browser and native clients send a JWT; what isn't one at all is somebody else's header.
        if self.call.is_native() && token.split('.').count() != 3 {
            return Err(ApiError::authorization_format());
        }
        let found = tokens::read_client_token(token).filter(|(id, rotating)| {
            self.state.clients.get(id).is_some_and(|client| client.rotating == *rotating)
        });
        match found {
            Some((id, _)) => Ok(Some(id)),
            None => Err(self.signed_out()),
        }
    }

    /// The client that the request must have.
    pub(super) fn require_client(&mut self) -> Result<String, ApiError> {
        self.client_id()?.ok_or_else(ApiError::signed_out)
    }

    /// The refusal of a client token that is worth nothing any more. It brings the token of a new, empty client.
    fn signed_out(&mut self) -> ApiError {
        let client = Client::new(self.now);
        let token = tokens::client_token(&self.state.keys, &client.id, &client.rotating);
        self.state.clients.insert(client.id.clone(), client);
        let mut error = ApiError::signed_out();
        error.client_token = Some(token);
        error
    }

    /// The token of a client as it is now.
    pub(super) fn token_of(&self, client: &Client) -> ClientToken {
        ClientToken::New(tokens::client_token(&self.state.keys, &client.id, &client.rotating))
    }
}

/// What has a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Window {
    SignIns,
    Attempts,
    Mints,
    Backend,
}

/// Seconds, rounded up: who waits that long isn't early.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
