//! Login records: a proven credential and the session that it opened, so that neither a restart nor a crash costs the
//! user a sign-in.
//!
//! A record is found by the identifier, and opened with the password alone: its key comes from a memory-hard function
//! of the password, mixed with the data key. So the file with its key gives no more than a table of well-hashed
//! passwords does. The function runs only where there is a record, which its outer seal has confirmed.

mod function;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;
use zeroize::Zeroizing;

use self::function::PasswordFunction;
use super::millis;
use super::records::{Header, If, Kind, Name, Tag, Targets, Wait};
use super::sealing::{self, PasswordCost, Secret};
use super::vault::Vault;
use crate::client_token::ClientToken;
use crate::credentials::Decoding;
use crate::membership::Membership;

/// The least that a value has in front of its sealed part: memory, passes and salt.
const PREFIX: usize = 4 + 4 + 16;

/// The name of a login record.
pub(crate) type LoginName = Name;

/// A credential that Clerk has accepted.
pub(crate) struct LoginRecord {
    pub(crate) user_id: Box<str>,
    /// When Clerk last accepted the password.
    pub(crate) proven_at: SystemTime,
    pub(crate) proof_end: SystemTime,
    pub(crate) session: Option<LoginSession>,
    pub(crate) memberships: Box<[Membership]>,
}

/// The session of a [`LoginRecord`].
pub(crate) struct LoginSession {
    pub(crate) id: Box<str>,
    pub(crate) client_token: Option<Arc<ClientToken>>,
    pub(crate) organization: Option<Box<str>>,
    /// When it ends at Clerk, if Clerk has said so.
    pub(crate) end: Option<SystemTime>,
    pub(crate) choose_organization: bool,
}

/// A record that the password has opened.
pub(crate) struct FoundLogin {
    pub(crate) record: LoginRecord,
    pub(crate) revision: u64,
}

/// The key of a record to be written, from the password.
pub(crate) struct PreparedLogin {
    name: Name,
    key: Secret,
    salt: [u8; 16],
    cost: PasswordCost,
}

impl fmt::Debug for PreparedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreparedLogin(..)")
    }
}

/// The login records of one engine.
pub(crate) struct Logins {
    vault: Arc<Vault>,
    function: PasswordFunction,
    cost: PasswordCost,
}

impl Logins {
    pub(super) fn new(vault: Arc<Vault>, cost: PasswordCost) -> Self {
        Self { vault, function: PasswordFunction::default(), cost }
    }

    /// The name of the record of an identifier, exactly as it was given. Another spelling has a record of its own.
    pub(crate) fn name(&self, identifier: &str, decoding: Decoding) -> LoginName {
        let decoding = u8::try_from(decoding.index()).unwrap_or(u8::MAX);
        self.vault.sealer.name(Kind::Login, &[&[decoding], identifier.as_bytes()])
    }

    /// The record of a name, if this is its password. `None` also if the function's turn comes after `deadline`.
    pub(crate) async fn find(
        &self,
        name: LoginName,
        password: &str,
        deadline: Instant,
    ) -> Option<FoundLogin> {
        let (header, value) = self.vault.get(name).await?;
        let (cost, salt, sealed) = parts(&value).filter(|_| header.kind == Kind::Login)?;
        let secret = self.vault.sealer.login_secret(name);
        let key = self.function.to_open(name, password, salt, secret, cost);
        let key = tokio::time::timeout_at(deadline, key).await.ok()??;
        let opened = sealing::open(&sealing::aead_key(&key), &name.0, sealed)?;
        let record = wire::decode(&opened)?;
        Some(FoundLogin { record, revision: header.revision })
    }

    /// The revision of a record, if it names this session. Takes no password.
    pub(crate) async fn revision(&self, name: LoginName, session_id: &str) -> Option<u64> {
        let (header, _) = self.vault.get(name).await?;
        (header.session == self.vault.sealer.session(session_id)).then_some(header.revision)
    }

    /// Derives the key of a record to be written. `None` if the system provides no random bytes, or the runtime shuts down.
    pub(crate) async fn prepare(&self, name: LoginName, password: &str) -> Option<PreparedLogin> {
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).ok()?;
        let secret = self.vault.sealer.login_secret(name);
        let key = self.function.to_write(password, salt, secret, self.cost).await?;
        Some(PreparedLogin { name, key, salt, cost: self.cost })
    }

    /// Stores a record, unless one of a later proof is there. Until `trusted_until` it tells that Clerk has accepted the
    /// credential, also if its proof and its session have ended. Resolves to its revision, or to `None` if it was not
    /// written.
    pub(crate) fn put(
        &self,
        prepared: &PreparedLogin,
        record: &LoginRecord,
        trusted_until: SystemTime,
    ) -> Wait<Option<u64>> {
        let sealer = &self.vault.sealer;
        let session = record.session.as_ref();
        let session_end = session.and_then(|session| session.end).unwrap_or(record.proof_end);
        let header = Header {
            kind: Kind::Login,
            revision: self.vault.revision(If::NotOlder),
            departed: millis(record.proven_at),
            position: 0,
            ends: millis(session_end.max(record.proof_end).max(trusted_until)),
            user: sealer.user(&record.user_id),
            session: session.map_or(Tag::NONE, |session| sealer.session(&session.id)),
        };
        let value = sealed(prepared, record);
        let written = self.vault.put(prepared.name, header, value, If::NotOlder);
        Box::pin(async move { written.await.ok().map(|()| header.revision) })
    }

    pub(crate) fn delete(&self, name: LoginName, condition: If) -> Wait<()> {
        self.vault.delete(Targets::Name(name, condition))
    }
}

#[cfg(test)]
impl Logins {
    /// Keeps the password function from running for as long as the permits are held.
    pub(crate) fn hold_function(&self) -> tokio::sync::OwnedSemaphorePermit {
        self.function.hold()
    }
}

/// The cost of the password function, the salt, and the record sealed under the password.
fn sealed(prepared: &PreparedLogin, record: &LoginRecord) -> Option<Zeroizing<Vec<u8>>> {
    let PreparedLogin { name, key, salt, cost } = prepared;
    let sealed = sealing::seal(&sealing::aead_key(key), &name.0, &wire::encode(record)?)?;
    let cost = [cost.memory_kib.to_le_bytes(), cost.passes.to_le_bytes()];
    Some(Zeroizing::new([cost.as_flattened(), salt, &sealed].concat()))
}

fn parts(value: &[u8]) -> Option<(PasswordCost, [u8; 16], &[u8])> {
    let (prefix, sealed) = value.split_at_checked(PREFIX)?;
    let number = |at: usize| prefix[at..at + 4].try_into().map(u32::from_le_bytes).ok();
    let cost = PasswordCost { memory_kib: number(0)?, passes: number(4)? };
    Some((cost, prefix[8..].try_into().ok()?, sealed))
}

/// The JSON of a record, read and written again.
#[cfg(any(test, fuzzing))]
pub(super) fn reread(value: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    wire::encode(&wire::decode(value)?)
}
