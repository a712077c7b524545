//! Token renewal for idle sessions (rule K3).

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
async fn k3_keep_warm_renews_an_idle_session_for_the_configured_time() {
    let world = World::with(|fake| fake, |engine| engine.keep_warm(10 * MINUTE));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    tokio::time::sleep(9 * MINUTE).await;

    let (began, calls) = (tokio::time::Instant::now(), world.fake.count(Endpoint::Any));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    assert_eq!((began.elapsed(), world.fake.count(Endpoint::Any)), (Duration::ZERO, calls), "both are hits");

    // The last use is now. Nine minutes later renewals still run, and ten minutes later they stop.
    tokio::time::sleep(9 * MINUTE).await;
    let still_warm = world.fake.count(Endpoint::Tokens);
    assert!(still_warm > calls, "renewals run after the last use");
    tokio::time::sleep(2 * MINUTE).await;
    let cold = world.fake.count(Endpoint::Tokens);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(
        world.fake.count(Endpoint::Tokens),
        cold,
        "no renewal runs later than ten minutes after the last use"
    );
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}
