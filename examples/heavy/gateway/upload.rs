//! The body of a request on its way to the upstream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;
use tower_clerk::layer::IdentityHeaders;

use crate::fields::remove_forged_trailers;

/// A body that records how far it has come, and whose trailers are no forged fields.
pub(crate) struct Upload {
    body: Body,
    progress: Progress,
    identity: IdentityHeaders,
}

impl Upload {
    pub(crate) fn new(body: Body, identity: IdentityHeaders) -> (Self, Progress) {
        let progress = Progress(Arc::new(Mutex::new(State { since: Instant::now(), stage: Stage::Moving })));
        (Self { body, progress: progress.clone(), identity }, progress)
    }
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.progress.note(match &polled {
            Poll::Pending => Stage::WaitsForClient,
            Poll::Ready(Some(Err(_))) => Stage::Broken,
            Poll::Ready(_) => Stage::Moving,
        });
        polled.map_ok(|frame| without_forged_trailers(frame, &self.identity))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How far the body of a request has come.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Clone, Copy)]
pub(crate) struct State {
    /// When the body last moved.
    pub(crate) since: Instant,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Moving,
    /// The upstream has taken all that the client has sent so far, and the body isn't at its end.
    WaitsForClient,
    /// The client has broken off, or its body is malformed.
    Broken,
}

impl Progress {
    pub(crate) fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, stage: Stage) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stage == Stage::Moving || stage != state.stage {
            *state = State { since: Instant::now(), stage };
        }
    }
}

fn without_forged_trailers<D>(frame: Frame<D>, identity: &IdentityHeaders) -> Frame<D> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return frame,
    };
    remove_forged_trailers(&mut trailers, identity);
    Frame::trailers(trailers)
}
