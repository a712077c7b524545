//! The exchange of credentials for a session, and of a session for tokens.

mod ender;
mod mint;
mod proven;
mod road;
mod sign_in;
mod standing;
mod verdict;

pub(crate) use self::ender::Ender;
pub(crate) use self::mint::{MintFault, Minter, MinterParts};
pub(crate) use self::proven::Proven;
pub(crate) use self::road::{Backend, BackendOptions, BackendParts, Devices, Frontend, Roads};
pub(crate) use self::sign_in::{Attempt, OpenOutcome, SignInFault, SignInOutcome, SignIns};
pub(crate) use self::standing::Standing;
pub(crate) use self::verdict::{failure_of, of_fault as of_sign_in, of_mint, unavailable};
