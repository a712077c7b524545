//! The client token, which tells Clerk's Frontend API which client, and so which sessions, a call is about.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::sync::lock;

/// An opaque bearer secret, sent back verbatim (rule S1). It is a JWT, but this crate never parses it.
pub(crate) struct ClientToken(Zeroizing<Box<str>>);

impl ClientToken {
    pub(crate) fn new(value: &str) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.0).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientToken(..)")
    }
}

/// The change of the client token that an answer brings.
#[derive(Debug)]
pub(crate) enum TokenUpdate {
    /// No change.
    Same,
    /// A new token.
    New(ClientToken),
    /// An empty token: the client is gone.
    Gone,
}

/// The current client token of one client.
///
/// Clerk rotates the token, and answers can overtake each other. A new token is taken only if the current one is still
/// the one that the request carried (rule S1).
pub(crate) struct ClientSlot {
    held: Mutex<Option<Arc<ClientToken>>>,
    on_change: OnceLock<OnChange>,
    ended: Ended,
}

/// The session of a client that Clerk last reported as ended.
///
/// Stored by id, because the answer to an end may arrive after another session was opened on the client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended(Arc<Mutex<Option<Box<str>>>>);

impl Ended {
    pub(crate) fn set(&self, session_id: &str) {
        *lock(&self.0) = Some(session_id.into());
    }

    pub(crate) fn is(&self, session_id: &str) -> bool {
        lock(&self.0).as_deref() == Some(session_id)
    }
}

/// Called on each change, under the lock of the slot.
type OnChange = Box<dyn Fn() + Send + Sync>;

impl ClientSlot {
    pub(crate) fn new(token: ClientToken) -> Self {
        Self::of(Arc::new(token))
    }

    /// A slot for a token that is shared with other slots.
    pub(crate) fn of(token: Arc<ClientToken>) -> Self {
        Self { held: Mutex::new(Some(token)), on_change: OnceLock::new(), ended: Ended::default() }
    }

    /// A slot without a token, for a session whose client is unknown.
    pub(crate) fn none() -> Self {
        Self { held: Mutex::default(), on_change: OnceLock::new(), ended: Ended::default() }
    }

    /// Sets the callback for changes. Only the first call has an effect.
    pub(crate) fn keep(&self, on_change: impl Fn() + Send + Sync + 'static) {
        _ = self.on_change.set(Box::new(on_change));
    }

    /// The session that ended last. The handle outlives the slot.
    pub(crate) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// The token to send, or `None` if the client is gone.
    pub(crate) fn current(&self) -> Option<Arc<ClientToken>> {
        lock(&self.held).clone()
    }

    #[cfg(test)]
    pub(crate) fn rotate(&self, carried: &Arc<ClientToken>, to: &str) {
        self.update(carried, TokenUpdate::New(ClientToken::new(to)));
    }

    /// Applies the change of a *successful* answer. The token of an error answer belongs to another client.
    pub(crate) fn update(&self, carried: &Arc<ClientToken>, update: TokenUpdate) {
        let mut held = lock(&self.held);
        if !held.as_ref().is_some_and(|held| Arc::ptr_eq(held, carried)) {
            return;
        }
        match update {
            TokenUpdate::Same => return,
            TokenUpdate::New(token) => *held = Some(Arc::new(token)),
            TokenUpdate::Gone => *held = None,
        }
        if let Some(on_change) = self.on_change.get() {
            on_change();
        }
    }
}

impl fmt::Debug for ClientSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSlot(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_an_overtaken_answer_changes_nothing() {
        let slot = ClientSlot::new(ClientToken::new("first"));
        let first = slot.current().unwrap();
        slot.update(&first, TokenUpdate::New(ClientToken::new("second")));
        let second = slot.current().unwrap();
        assert_eq!(&**second.0, "second");

        slot.update(&first, TokenUpdate::New(ClientToken::new("late")));
        slot.update(&first, TokenUpdate::Gone);
        assert!(Arc::ptr_eq(&second, &slot.current().unwrap()));

        slot.update(&second, TokenUpdate::Gone);
        assert!(slot.current().is_none());
    }

    #[test]
    fn c6_a_client_token_is_masked() {
        let token = ClientToken::new("very-secret");
        assert!(
            !format!(
                "{token:?} {:?} {:?}",
                token.header(),
                TokenUpdate::New(ClientToken::new("very-secret"))
            )
            .contains("secret")
        );
    }
}
