//! The body of a request on its way to the upstream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;
use tower_clerk::layer::IdentityHeaders;

use crate::fields::remove_hop_by_hop;

/// A body that records how far it has come, and whose trailers hold no identity.
pub(crate) struct Upload {
    body: Body,
    progress: Progress,
    identity: IdentityHeaders,
}

impl Upload {
    pub(crate) fn new(body: Body, identity: IdentityHeaders) -> (Self, Progress) {
        let progress =
            Progress(Arc::new(Mutex::new(State { since: Instant::now(), waits_for_client: false })));
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
        self.progress.note(polled.is_pending());
        polled.map(|frame| frame.map(|frame| Ok(without_forged_trailers(frame?, &self.identity))))
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
    /// The upstream has taken all that the client has sent so far, and the body isn't at its end.
    pub(crate) waits_for_client: bool,
}

impl Progress {
    pub(crate) fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, is_pending: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !(is_pending && state.waits_for_client) {
            *state = State { since: Instant::now(), waits_for_client: is_pending };
        }
    }
}

/// A server may merge trailers into the header fields, so they must hold no credentials and no identity.
fn without_forged_trailers<D>(frame: Frame<D>, identity: &IdentityHeaders) -> Frame<D> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return frame,
    };
    remove_hop_by_hop(&mut trailers);
    let forged: Vec<_> = trailers
        .keys()
        .filter(|name| **name == header::AUTHORIZATION || identity.is_copy(name.as_str()))
        .cloned()
        .collect();
    for name in forged {
        trailers.remove(name);
    }
    Frame::trailers(trailers)
}
