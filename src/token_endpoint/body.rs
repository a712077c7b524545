//! Reads the body of a request, within a size and a time.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Buf as _;
use http_body::Body;
use zeroize::Zeroizing;

use super::error::TokenError;

/// The longest body: as long as the longest Basic token.
pub(super) const MAX_BODY: usize = 8 * 1024;

/// The time for a body to arrive. A client has the whole request at hand when it connects.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a body to its end. It may hold a password, so it is wiped from memory on drop.
pub(super) async fn read<B: Body>(body: B) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let read = tokio::time::timeout(READ_TIMEOUT, read_all(body)).await;
    read.unwrap_or_else(|_| Err(TokenError::slow_body()))
}

async fn read_all<B: Body>(body: B) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(TokenError::body_too_large());
    }
    let mut body = pin!(body);
    // Allocated at its full size, because a growing buffer leaves copies behind.
    let mut read = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|_| TokenError::invalid_request("the body is incomplete"))?;
        // Trailers have no part in the form.
        let Ok(mut data) = frame.into_data() else { continue };
        while data.has_remaining() {
            let chunk = data.chunk();
            if chunk.len() > MAX_BODY - read.len() {
                return Err(TokenError::body_too_large());
            }
            read.extend_from_slice(chunk);
            data.advance(chunk.len());
        }
    }
    Ok(read)
}
