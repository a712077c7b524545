//! Client tokens, by which a device is known again.

use serde_json::{Map, json};

use crate::tokens::unsigned::read_by_the_first_key;
use crate::tokens::{KeyRing, Unsigned};

/// The token that a client sends along: its id and the secret that rotates.
pub(crate) fn client_token(keys: &KeyRing, id: &str, rotating: &str) -> Unsigned {
    let mut claims = Map::new();
    claims.insert("id".to_owned(), json!(id));
    claims.insert("rotating_token".to_owned(), json!(rotating));
    Unsigned::by_the_first_key(keys, claims)
}

/// The client's id and rotating token, if this is a client token of this process.
pub(crate) fn read_client_token(token: &str) -> Option<(String, String)> {
    let claims = read_by_the_first_key(token)?;
    let text = |claim: &str| claims.get(claim)?.as_str().map(str::to_owned);
    Some((text("id")?, text("rotating_token")?))
}
