//! Ids of objects at Clerk.

/// Whether an id can be a part of a path as it is. An answer that holds another one is not Clerk's.
pub(crate) fn is_path_segment(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
