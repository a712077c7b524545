//! Reads the body of a delivery, within its limits (rule W2).

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Buf as _;
use http_body::Body;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most bytes of a body. Clerk's events are a few kilobytes; a user has at most 8 KB of each kind of metadata.
const MAX_BODY: usize = 1024 * 1024;

/// The most bytes that are read and thrown away of a body that is too large. A client that is still sending when its connection
/// is closed may not see the answer.
const MAX_DISCARDED: usize = 16 * MAX_BODY;

/// The time for a body to arrive. Clerk's sender gives up after 15 s in all.
const READ_TIME: Duration = Duration::from_secs(10);

/// The memory for the bodies of a service that are read at once: 64 MiB. They may be an attacker's.
const MEMORY: usize = 64 * MAX_BODY;

/// The unit in which bodies take room.
const UNIT: usize = 1024;

/// The room for the bodies of a service.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

/// A body, and its room.
pub(super) type Read<'a> = (Vec<u8>, Option<SemaphorePermit<'a>>);

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    /// It did not arrive in time, its connection broke, or there was no room.
    Incomplete,
}

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(MEMORY / UNIT))
    }
}

impl Room {
    /// Reads a body. It takes room as its bytes arrive, and not by what its length is said to be: a client that sends
    /// nothing keeps no other out.
    pub(super) async fn read<B: Body>(&self, body: B) -> Result<Read<'_>, Unread> {
        if body.size_hint().lower() > MAX_DISCARDED as u64 {
            return Err(Unread::TooLarge);
        }
        tokio::time::timeout(READ_TIME, read_all(body, &self.0)).await.unwrap_or(Err(Unread::Incomplete))
    }
}

async fn read_all<B: Body>(body: B, room: &Semaphore) -> Result<Read<'_>, Unread> {
    let mut is_too_large = body.size_hint().lower() > MAX_BODY as u64;
    let mut taken: Option<SemaphorePermit<'_>> = None;
    let (mut body, mut read, mut size) = (pin!(body), Vec::new(), 0_usize);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Trailers are ignored.
        let Ok(mut data) = frame.map_err(|_| Unread::Incomplete)?.into_data() else { continue };
        size = size.saturating_add(data.remaining());
        if size > MAX_DISCARDED {
            return Err(Unread::TooLarge);
        }
        is_too_large |= size > MAX_BODY;
        if is_too_large {
            (read, taken) = (Vec::new(), None);
            continue;
        }
        let missing = size.div_ceil(UNIT) - taken.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = room.try_acquire_many(missing as u32).map_err(|_| Unread::Incomplete)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        while data.has_remaining() {
            let length = data.chunk().len();
            read.extend_from_slice(data.chunk());
            data.advance(length);
        }
    }
    if is_too_large { Err(Unread::TooLarge) } else { Ok((read, taken)) }
}
