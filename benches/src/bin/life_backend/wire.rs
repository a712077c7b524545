//! The way to the stand-in, with a look at what comes back.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, StatusCode};
use tower_clerk::testing::FakeClerk;
use tower_clerk::transport::{Transport, TransportFuture};

use super::Tally;

/// A transport that counts answers other than 200.
#[derive(Clone)]
pub(super) struct Wire {
    fake: FakeClerk,
    others: Arc<Mutex<Tally>>,
}

impl Wire {
    pub(super) fn to(fake: FakeClerk) -> Self {
        Self { fake, others: Arc::default() }
    }

    pub(super) fn others(&self) -> Tally {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn too_many(&self) -> u64 {
        self.others().get(StatusCode::TOO_MANY_REQUESTS.as_str()).copied().unwrap_or_default()
    }
}

impl Transport for Wire {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let answer = self.fake.send(request).await;
            let what = answer.as_ref().map_or_else(ToString::to_string, |it| it.status().as_str().to_owned());
            if what != StatusCode::OK.as_str() {
                *self.others.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
            }
            answer
        })
    }
}
