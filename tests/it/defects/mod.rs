//! Known defects, one test for each way to see them.
//!
//! Each test asserts what is right, so each fails today, and is marked as expected to. The text of `expected` belongs to
//! the one assertion that shows the defect: a test that panics elsewhere fails, and so does one whose defect is mended
//! while its mark is still there. Such a test moves to its subject's folder without the mark.

mod template_tokens;
mod waits;

use std::time::Duration;

use crate::common::{Pair, World, settle};
use tower_clerk::Credentials;

/// A user whom Clerk lets in from known devices alone.
const NEWDEVICE: Pair = ("newdevice@example.com", "trust me on a device");

/// The same credential spelled in another way: Clerk takes it for the same user, the engine for another credential.
const NEWDEVICE_RESPELLED: Pair = ("NewDevice@example.com", "trust me on a device");

/// Makes the engine's device known to Clerk as that of [`NEWDEVICE`].
async fn enroll(world: &World) {
    let credentials = Credentials::new(NEWDEVICE.0, NEWDEVICE.1).unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    let factor = enrollment.factors()[0].clone();
    enrollment.send_code(&factor).await.unwrap();
    let sent = world.fake.last_code(NEWDEVICE.0).unwrap();
    enrollment.confirm(&factor, &sent).await.unwrap();
    assert!(enrollment.is_done(), "the device is enrolled");
    // Clerk's budget of sign-ins is as it was before.
    tokio::time::sleep(Duration::from_secs(30)).await;
    settle().await;
}
