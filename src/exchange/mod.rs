//! The exchange of credentials for a session, and of a session for tokens.

mod attempts;
mod backoff;
mod circuit;
mod denials;
mod ender;
mod mint;
mod notices;
mod pacing;
mod proven;
mod road;
mod sign_in;
mod standing;
mod verdict;

pub(crate) use self::attempts::{Attempts, Pause};
pub(crate) use self::circuit::Circuit;
pub use self::circuit::CircuitState;
pub(crate) use self::denials::Denials;
pub(crate) use self::ender::Ender;
pub(crate) use self::mint::{MintFault, Minter, MinterParts};
pub(crate) use self::notices::Notices;
pub(crate) use self::pacing::{Budget, NoTurn, Pacing, Share, Wish};
pub(crate) use self::proven::Proven;
pub(crate) use self::road::{Backend, BackendOptions, BackendParts, Devices, Frontend, Roads};
pub(crate) use self::sign_in::{Attempt, OpenOutcome, SignInFault, SignInOutcome, SignIns};
pub(crate) use self::standing::Standing;
pub(crate) use self::verdict::{RETRY_RATE_LIMITED, of_fault as of_sign_in, of_mint, unavailable};
