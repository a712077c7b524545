//! What the log says of exchanges and rejections (rule O1).

use crate::common::{JANE, World, ask, basic, logged, with_authorization};

#[tokio::test(start_paused = true)]
async fn o1_an_exchange_is_a_span_and_a_rejection_an_event_with_its_reason() {
    let world = World::unlimited();
    let log = logged(async {
        world.get(JANE).await;
        for _ in 0..3 {
            ask(&world.layer(), basic((JANE.0, "wrong"))).await;
            ask(&world.layer(), with_authorization("Basic %%%")).await;
        }
    })
    .await;
    assert!(log.contains("exchange{api=\"frontend\"}"), "{log}");
    let lines = |level: &str, code: &str| {
        let is_it = |line: &&str| {
            line.contains(level) && line.contains("tower_clerk::rejection") && line.contains(code)
        };
        log.lines().filter(is_it).map(str::to_owned).collect::<Vec<_>>()
    };
    for code in ["credentials_rejected", "credentials_malformed"] {
        assert_eq!((lines("INFO", code).len(), lines("DEBUG", code).len()), (1, 2), "{log}");
    }
    assert!(lines("INFO", "credentials_malformed")[0].contains("reason="), "{log}");
}
