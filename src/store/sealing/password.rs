//! The memory-hard function between a password and the key of its login record
//! ([RFC 9106](https://www.rfc-editor.org/rfc/rfc9106), Argon2id).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use super::Secret;

/// The price of one guess at a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PasswordCost {
    pub(in crate::store) memory_kib: u32,
    pub(in crate::store) passes: u32,
}

impl PasswordCost {
    /// OWASP's minimum, <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>.
    pub(in crate::store) const DEFAULT: Self = Self { memory_kib: 19 * 1024, passes: 2 };

    /// The least that Argon2 allows.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::store) const WEAK: Self = Self { memory_kib: 8, passes: 1 };

    /// Whether it is within OWASP's list, which goes down to 7 MiB with five passes, and up to what a server can spare.
    pub(in crate::store) fn is_sensible(self) -> bool {
        let work = u64::from(self.memory_kib) * u64::from(self.passes);
        self.memory_kib >= 7 * 1024 && (5 * 7 * 1024..=16 * 1024 * 1024).contains(&work)
    }
}

/// Derives the key of a login record. Takes tens of milliseconds and `cost.memory_kib` of memory, which is wiped.
///
/// `secret` comes from the data key, so that the file alone gives nothing to guess with.
pub(crate) fn password_key(
    password: &str,
    salt: &[u8; 16],
    secret: &Secret,
    cost: PasswordCost,
) -> Option<Secret> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).ok()?;
    let mut memory = vec![Block::default(); params.block_count()];
    let function =
        Argon2::new_with_secret(secret.as_slice(), Algorithm::Argon2id, Version::V0x13, params).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    let done = function.hash_password_into_with_memory(
        password.as_bytes(),
        salt,
        key.as_mut_slice(),
        &mut memory[..],
    );
    memory.iter_mut().for_each(Zeroize::zeroize);
    done.ok().map(|()| key)
}
