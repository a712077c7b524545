//! The sign-ins that this process holds: a proof per credential, the holding that the proof points at, the sessions and
//! tokens in it, and recent revocations.

mod cache;
mod end_queue;
mod expiry;
mod holding;
mod hot;
mod index;
mod once_gate;
mod proof;
mod revocations;
mod session;
mod tokens;
mod users;
mod weak_map;

pub(crate) use self::cache::Sessions;
pub(crate) use self::end_queue::{EndQueue, EndRequest};
pub(crate) use self::holding::{Holding, HoldingKey, TokenRefusal};
pub(crate) use self::proof::{Proof, ProofLife, ProofState};
pub(crate) use self::revocations::{Concerned, Generation, Mark, Revocations, Target};
pub(crate) use self::session::{Active, Kept, NewSession, Session, SessionState};
pub(crate) use self::tokens::{Freshness, HeldToken};
pub(crate) use self::users::{EndPolicy, Sharing, User, Users};
