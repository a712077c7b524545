//! The client token: what tells Clerk's Frontend API which client, and so which sessions, a call is about.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::sync::lock;

/// An opaque bearer secret, sent back verbatim (rule S1). Clerk makes it a JWT; nothing here reads it.
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

/// What an answer said of the client token.
#[derive(Debug)]
pub(crate) enum TokenUpdate {
    /// Nothing: the one in use stays.
    Same,
    /// A newer one.
    New(ClientToken),
    /// An empty one: the client is gone.
    Gone,
}

/// The client token of one client, as it stands now.
///
/// Clerk rotates it, and answers can overtake each other: a newer one takes its place only if the stored one is
/// still the one that the request carried (rule S1).
pub(crate) struct ClientSlot {
    held: Mutex<Option<Arc<ClientToken>>>,
    keeper: OnceLock<Keeper>,
    ended: Ended,
}

/// The session on a client that Clerk has said last to be over.
///
/// It is named, since the answer to one end may come when another session has been opened on the client already.
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

/// Told of each change, with what was held before.
type Keeper = Box<dyn Fn(&ClientToken, Option<&Arc<ClientToken>>) + Send + Sync>;

impl ClientSlot {
    pub(crate) fn new(token: ClientToken) -> Self {
        Self::of(Arc::new(token))
    }

    /// Of a token that others hold, too.
    pub(crate) fn of(token: Arc<ClientToken>) -> Self {
        Self { held: Mutex::new(Some(token)), keeper: OnceLock::new(), ended: Ended::default() }
    }

    /// Of a session whose client nobody here knows.
    pub(crate) fn none() -> Self {
        Self { held: Mutex::default(), keeper: OnceLock::new(), ended: Ended::default() }
    }

    /// Has each change told, once and for all.
    pub(crate) fn keep(
        &self,
        keeper: impl Fn(&ClientToken, Option<&Arc<ClientToken>>) + Send + Sync + 'static,
    ) {
        _ = self.keeper.set(Box::new(keeper));
    }

    /// Which session on it is over, for those who outlive the slot.
    pub(crate) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// The token to send, or `None` where the client is gone.
    pub(crate) fn current(&self) -> Option<Arc<ClientToken>> {
        lock(&self.held).clone()
    }

    #[cfg(test)]
    pub(crate) fn rotate(&self, carried: &Arc<ClientToken>, to: &str) {
        self.update(carried, TokenUpdate::New(ClientToken::new(to)));
    }

    /// Takes over what a *successful* answer said. The token of an error answer belongs to another client.
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
        if let Some(keeper) = self.keeper.get() {
            keeper(carried, held.as_ref());
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
    fn s1_an_answer_that_was_overtaken_changes_nothing() {
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
