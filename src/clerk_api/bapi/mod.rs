//! Clerk's Backend API: the calls with the secret key, and their answers.

mod account;
mod api_key;
mod client;
#[cfg(feature = "federation")]
mod linked;
#[cfg(feature = "backend")]
mod reads;
mod secret_key;
mod wire;

pub(crate) use self::account::Account;
pub(crate) use self::api_key::FoundApiKey;
pub(crate) use self::client::Bapi;
#[cfg(feature = "backend")]
pub(crate) use self::reads::is_id;
pub(crate) use self::secret_key::SecretKey;
pub use self::secret_key::SecretKeyError;
