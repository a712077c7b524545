//! HTTP Basic in, Clerk session out.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod transport;

#[cfg(feature = "testing")]
pub mod testing;

pub use transport::{MAX_BODY, Transport, TransportError, TransportFuture};
