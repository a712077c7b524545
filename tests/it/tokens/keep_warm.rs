//! Tokens that are kept fresh while nobody asks for them (rule K3).

use std::time::Duration;

use crate::common::{JANE, World};
use tower_clerk::testing::Endpoint;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn k3_an_idle_session_is_not_renewed() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(world.fake.count(Endpoint::Tokens), 0);
}

#[tokio::test(start_paused = true)]
async fn k3_keep_warm_renews_an_idle_session_for_as_long_as_it_says() {
    let world = World::with(|fake| fake, |engine| engine.keep_warm(10 * MINUTE));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    tokio::time::sleep(9 * MINUTE).await;

    let (began, calls) = (tokio::time::Instant::now(), world.fake.count(Endpoint::Any));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    assert_eq!((began.elapsed(), world.fake.count(Endpoint::Any)), (Duration::ZERO, calls), "both are hits");

    // The last use was a minute ago less than nine: nine more from there, and then no more calls.
    tokio::time::sleep(9 * MINUTE).await;
    let still_warm = world.fake.count(Endpoint::Tokens);
    assert!(still_warm > calls, "renewed on after the last use");
    tokio::time::sleep(2 * MINUTE).await;
    let cold = world.fake.count(Endpoint::Tokens);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(world.fake.count(Endpoint::Tokens), cold, "left alone ten minutes after the last use");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}
