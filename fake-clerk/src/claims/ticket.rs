//! The signed text of sign-in tokens.

use serde_json::{Value, json};

use crate::ids;
use crate::state::{State, Ticket};
use crate::tokens::Unsigned;
use crate::tokens::unsigned::read_by_the_first_key;

impl Ticket {
    /// Builds the ticket that a client redeems.
    pub(crate) fn text(&self, state: &State, instance: &str, expires: i64) -> Unsigned {
        let claims = json!({
            "exp": expires,
            "iid": ids::derived("ins", instance),
            "sid": self.id,
            "st": "sign_in_token",
        });
        let Value::Object(claims) = claims else { unreachable!("an object was written") };
        Unsigned::by_the_first_key(&state.keys, claims)
    }
}

/// Returns the id of the sign-in token, if this process signed the ticket.
pub(crate) fn read_ticket(text: &str) -> Option<String> {
    read_by_the_first_key(text)?.get("sid")?.as_str().map(str::to_owned)
}
