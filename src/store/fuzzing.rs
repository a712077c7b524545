//! Values of a store that somebody has changed (rules H6, H8).

use super::logins::reread;
use super::records::{Header, Kind, Row};
use super::sealing::{self, DataKey, Sealer};

/// A value as it stands in a store, and as it would be if it could be opened.
pub fn record(bytes: &[u8]) {
    let sealer = Sealer::new(&DataKey::from([7; 32]), "https://clerk.example.com");
    let name = sealer.name(Kind::Device, &[b"jane"]);
    let stranger = Header {
        kind: Kind::Device,
        revision: 1,
        departed: 0,
        position: 0,
        ends: u64::MAX,
        user: sealer.user("user_1"),
        session: sealer.session("sess_1"),
    };
    let header = sealing::header_of(bytes).unwrap_or(stranger);
    let row = Row { name, header, sealed: bytes.into() };
    assert!(sealer.open(&row).is_none(), "only what was sealed can be opened");

    // The content of an opened record is JSON of this version, of an earlier or of a later one.
    _ = super::devices::decode(bytes);
    if let Some(read) = reread(bytes) {
        assert_eq!(reread(&read).as_deref(), Some(&*read), "what is read and written is read as the same");
    }
}
