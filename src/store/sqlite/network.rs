//! File systems of other machines, whose locks SQLite can't rely on
//! (<https://www.sqlite.org/howtocorrupt.html#_filesystems_with_broken_or_missing_lock_implementations>).

use std::path::Path;

use crate::store::StoreError;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::store::StoreErrorKind;

/// By the numbers of `statfs(2)`: NFS, SMB (two versions), CIFS, 9P, Ceph, AFS, Coda, Lustre, GFS2, OCFS2 and
/// VirtualBox's shared folders.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NETWORK: [u64; 12] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
    0x0bd0_0bd0,
    0x0116_1970,
    0x7461_636f,
    0x786f_4256,
];

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn check(directory: &Path) -> Result<(), StoreError> {
    let found = rustix::fs::statfs(directory).map_err(|error| StoreError::io(directory, error.into()))?;
    if is_network(found.f_type as u64) {
        let reason = "this directory is on another machine's file system, where SQLite's locks don't hold: use a local disk";
        return Err(StoreError::new(StoreErrorKind::Unsafe, directory, reason));
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_network(number: u64) -> bool {
    // Some platforms have it as a signed number of four bytes.
    NETWORK.contains(&(number & 0xffff_ffff))
}

// Elsewhere the kinds have no numbers that a program could compare.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn check(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_by_their_number() {
        assert!(is_network(0x6969) && is_network(0xffff_ffff_ff53_4d42));
        assert!(!is_network(0xef53), "ext4");
        assert!(!is_network(0x0102_1994), "tmpfs");
        check(Path::new("/")).unwrap();
    }
}
