//! Reads the body of a delivery, within its limits (rule W2).

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Buf as _;
use http_body::Body;

/// The most bytes of a body. Clerk's events are a few kilobytes; a user has at most 8 KB of each kind of metadata.
const MAX_BODY: usize = 1024 * 1024;

/// The time for a body to arrive. Clerk's sender gives up after 15 s in all.
const READ_TIME: Duration = Duration::from_secs(10);

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    /// It did not arrive in time, or its connection broke.
    Incomplete,
}

/// Reads a body. Memory grows as its bytes arrive, and not by what its length is said to be.
pub(super) async fn read<B: Body>(body: B) -> Result<Vec<u8>, Unread> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Unread::TooLarge);
    }
    tokio::time::timeout(READ_TIME, read_all(body)).await.unwrap_or(Err(Unread::Incomplete))
}

async fn read_all<B: Body>(body: B) -> Result<Vec<u8>, Unread> {
    let (mut body, mut read) = (pin!(body), Vec::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Trailers are ignored.
        let Ok(mut data) = frame.map_err(|_| Unread::Incomplete)?.into_data() else { continue };
        if data.remaining() > MAX_BODY - read.len() {
            return Err(Unread::TooLarge);
        }
        while data.has_remaining() {
            let length = data.chunk().len();
            read.extend_from_slice(data.chunk());
            data.advance(length);
        }
    }
    Ok(read)
}
