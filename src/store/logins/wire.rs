//! Login records as JSON. Unknown fields are ignored, so that a later version can add some.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{LoginRecord, LoginSession};
use crate::client_token::ClientToken;
use crate::membership::Membership;
use crate::store::{MAX_TEXT, from_millis, json, millis};

#[derive(Serialize, Deserialize)]
struct Wire {
    user: Box<str>,
    proven: u64,
    proof_end: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionWire>,
    /// Ids and slugs of organizations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    memberships: Vec<(Box<str>, Option<Box<str>>)>,
}

#[derive(Serialize, Deserialize)]
struct SessionWire {
    id: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
    #[serde(default)]
    choose: bool,
}

/// The JSON of a record. If it is too long, it leaves the memberships out, which cost a call to look up again.
pub(super) fn encode(record: &LoginRecord) -> Option<Zeroizing<Vec<u8>>> {
    let session = record.session.as_ref().map(|session| SessionWire {
        id: session.id.clone(),
        client: session.client_token.as_ref().map(|token| Zeroizing::new(token.expose().to_owned())),
        organization: session.organization.clone(),
        end: session.end.map(millis),
        choose: session.choose_organization,
    });
    let memberships = record.memberships.iter().map(|it| (it.id.clone(), it.slug.clone()));
    let mut wire = Wire {
        user: record.user_id.clone(),
        proven: millis(record.proven_at),
        proof_end: millis(record.proof_end),
        session,
        memberships: memberships.collect(),
    };
    let text =
        wire.memberships.iter().map(|(id, slug)| id.len() + slug.as_ref().map_or(0, |it| it.len()) + 16);
    if text.sum::<usize>() > MAX_TEXT / 2 {
        wire.memberships.clear();
    }
    json(&wire)
}

pub(super) fn decode(value: &[u8]) -> Option<LoginRecord> {
    let wire: Wire = serde_json::from_slice(value).ok()?;
    let session = wire.session.map(|session| LoginSession {
        id: session.id,
        client_token: session.client.map(|token| Arc::new(ClientToken::new(&token))),
        organization: session.organization,
        end: session.end.map(from_millis),
        choose_organization: session.choose,
    });
    let memberships = wire.memberships.into_iter().map(|(id, slug)| Membership { id, slug });
    Some(LoginRecord {
        user_id: wire.user,
        proven_at: from_millis(wire.proven),
        proof_end: from_millis(wire.proof_end),
        session,
        memberships: memberships.collect(),
    })
}
