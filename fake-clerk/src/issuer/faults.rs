//! Faults of a provider's documents.

use std::collections::HashMap;

use serde_json::Value;

/// A document that a [`FakeIssuer`](crate::FakeIssuer) serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IssuerDocument {
    /// `/.well-known/openid-configuration` below the issuer.
    Discovery,
    /// The key set, `/jwks` below the issuer.
    Keys,
}

/// A fault of a document, from [`FakeIssuer::set_fault`](crate::FakeIssuer::set_fault) on until it is taken away.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum IssuerFault {
    /// A redirect to another address.
    Redirect(String),
    /// A status without the document.
    Status(u16),
    /// The document with some of its members replaced: another `issuer`, another `jwks_uri`. Null removes a member.
    Members(Value),
    /// Text that is no JSON.
    NotJson,
    /// The document with a member of this many bytes in front.
    Padded(usize),
    /// No answer, ever.
    Hang,
    /// A connection that is closed before the answer.
    Reset,
}

#[derive(Default)]
pub(super) struct Documents {
    pub(super) faults: HashMap<IssuerDocument, IssuerFault>,
    pub(super) counts: HashMap<IssuerDocument, usize>,
}
