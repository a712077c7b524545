//! The bytes of a record's header.

use crate::store::records::{Header, Kind, Tag};

/// The format of records. A record of another version is absent for this one.
const VERSION: u8 = 1;

/// Version, kind, four numbers and two hashes.
pub(in crate::store) const HEADER_LEN: usize = 2 + 4 * 8 + 2 * 16;

pub(super) fn encode(header: &Header) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    (bytes[0], bytes[1]) = (VERSION, header.kind as u8);
    let numbers = [header.revision, header.departed, header.position, header.ends];
    for (number, place) in numbers.into_iter().zip(bytes[2..34].chunks_exact_mut(8)) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes[34..50].copy_from_slice(&header.user.0);
    bytes[50..].copy_from_slice(&header.session.0);
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
    let bytes: &[u8; HEADER_LEN] = bytes.try_into().ok()?;
    if bytes[0] != VERSION {
        return None;
    }
    let number = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let tag = |at: usize| bytes[at..at + 16].try_into().map(Tag).ok();
    Some(Header {
        kind: Kind::of(bytes[1])?,
        revision: number(2)?,
        departed: number(10)?,
        position: number(18)?,
        ends: number(26)?,
        user: tag(34)?,
        session: tag(50)?,
    })
}
