//! Client tokens, which identify a device.

use serde_json::{Map, json};

use crate::tokens::unsigned::read_by_the_first_key;
use crate::tokens::{KeyRing, Unsigned};

/// Builds a client token from the client's id and its rotating secret.
pub(crate) fn client_token(keys: &KeyRing, id: &str, rotating: &str) -> Unsigned {
    let mut claims = Map::new();
    claims.insert("id".to_owned(), json!(id));
    claims.insert("rotating_token".to_owned(), json!(rotating));
    Unsigned::by_the_first_key(keys, claims)
}

/// Reads the client's id and rotating secret, if this process signed the token.
pub(crate) fn read_client_token(token: &str) -> Option<(String, String)> {
    let claims = read_by_the_first_key(token)?;
    let text = |claim: &str| claims.get(claim)?.as_str().map(str::to_owned);
    Some((text("id")?, text("rotating_token")?))
}
