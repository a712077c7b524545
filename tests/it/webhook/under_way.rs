//! Changes while a sign-in or a mint is under way, with the stand-in as the sender (rule W5).

use std::sync::Arc;

use tower_clerk::testing::Endpoint;

use super::SECOND;
use super::app::{Accepts, App, Provider, fresh};
use super::changes::{ACME, NEW, calls, with_ids};
use crate::common::{JANE, run_ready_tasks};

/// Changes that revoke what is under way: a request that waits is answered as Clerk answers afterwards.
const REVOKING: [&str; 6] =
    ["ban", "deleted", "member removed", "role changed", "organization gone", "session revoked"];

/// Changes after which the next request asks Clerk. One that waits may be answered as Clerk answered before: a password that
/// was right then, or a refusal.
const ASKING: [&str; 5] = ["new password", "no password", "second factor", "ban lifted", "member added"];

const CALLS: [Endpoint; 7] = [
    Endpoint::Users,
    Endpoint::VerifyPassword,
    Endpoint::SignInTokens,
    Endpoint::SignIns,
    Endpoint::Touch,
    Endpoint::Tokens,
    Endpoint::BackendTokens,
];

/// Changes something while a request for an organization waits for an answer to `endpoint`. Returns whether it made such a
/// call.
async fn change_during(
    provider: Provider,
    change: &str,
    endpoint: Endpoint,
    is_held: bool,
    before: bool,
) -> bool {
    let name = format!("{change} during {endpoint:?}, {provider:?}, held {is_held}, before it {before}");
    let app = Arc::new(App::in_process(provider, Accepts::Basic));
    tokio::time::advance(10 * SECOND).await;
    if is_held {
        assert_eq!(app.ask("/me", JANE).await, "personal");
    }
    tokio::time::advance(10 * SECOND).await;
    let (last, earlier) = calls(change).split_last().unwrap();
    for call in earlier {
        app.change(&with_ids(&app.world, call).unwrap()).await;
    }
    app.settle().await;
    let fake = &app.world.fake;
    let hold = if before { fake.hold(endpoint) } else { fake.hold_answer(endpoint) };
    let waiting = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.ask(ACME, JANE).await }
    });
    while hold.waiting() == 0 && !waiting.is_finished() {
        // Time passes, since a call may wait for its turn.
        tokio::time::sleep(SECOND / 100).await;
    }
    let (true, Some(call)) = (hold.waiting() > 0, with_ids(&app.world, last)) else { return false };
    // A request begins before the change, rather than at the same instant.
    tokio::time::advance(SECOND / 10).await;
    app.change(&call).await;
    hold.release();
    let answer = waiting.await.unwrap();
    app.settle().await;
    let fresh = fresh(&app.world, provider);
    for path in [ACME, "/me"] {
        let of_clerk = fresh.ask(path, JANE).await;
        if path == ACME && REVOKING.contains(&change) {
            // Where the Backend API has proven the password of a user who is gone by now, the request may repeat.
            let is_gone = change == "deleted" && answer == "upstream_unavailable";
            assert!(
                answer == of_clerk || is_gone,
                "{name}: the request that waited: {answer}, not {of_clerk}"
            );
        }
        assert_eq!(app.ask(path, JANE).await, of_clerk, "{name}: the next request for {path}");
    }
    true
}

/// A sign-in changes its user, so it has an event of its own, which tells the time of the last change of the password. It may
/// arrive before the answer to the sign-in.
#[tokio::test(start_paused = true)]
async fn w5_a_new_password_is_not_refused_because_of_the_events_of_its_own_sign_ins() {
    for provider in [Provider::Frontend, Provider::Backend] {
        let app = Arc::new(App::in_process(provider, Accepts::Basic));
        tokio::time::advance(10 * SECOND).await;
        assert_eq!(app.ask("/me", JANE).await, "personal");
        app.settle().await;
        tokio::time::advance(10 * SECOND).await;
        app.change(&with_ids(&app.world, calls("new password")[0]).unwrap()).await;
        let fake = &app.world.fake;
        fake.clear_log();
        for _ in 0..4 {
            tokio::time::advance(SECOND / 4).await;
            fake.hold_webhooks();
            let hold = fake.hold_answer(Endpoint::SignIns);
            let waiting = tokio::spawn({
                let app = Arc::clone(&app);
                async move { app.ask("/me", NEW).await }
            });
            for _ in 0..3 {
                run_ready_tasks().await;
                tokio::time::advance(SECOND / 20).await;
                fake.release_webhooks();
                app.settle().await;
                fake.hold_webhooks();
                hold.release_one();
            }
            fake.release_webhooks();
            assert_eq!(waiting.await.unwrap(), "personal", "{provider:?}");
        }
        let [proofs, sign_ins, _] = app.cost();
        assert!(proofs <= 1 && sign_ins <= 1, "{provider:?}: {proofs} proofs, {sign_ins} sign-ins");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_what_changes_during_a_sign_in_or_a_mint_is_true_for_it_and_for_the_next_request() {
    for (provider, least) in [(Provider::Frontend, 50), (Provider::Backend, 90)] {
        let mut count = 0;
        for change in REVOKING.into_iter().chain(ASKING) {
            for endpoint in CALLS {
                for (is_held, before) in [(false, false), (false, true), (true, false), (true, true)] {
                    count += usize::from(change_during(provider, change, endpoint, is_held, before).await);
                }
            }
        }
        assert!(count >= least, "{provider:?}: {count} calls were under way");
    }
}
