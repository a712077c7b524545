//! No request gets the session of other credentials, under load (rules K1, K8).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{JANE, World, ask, basic, builder, organization_of, session, warm_up};
use tokio::task::JoinSet;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeOrganization, FakeUser};
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

const USERS: usize = 100;
const REQUESTS: usize = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k1_each_of_a_hundred_thousand_mixed_requests_gets_its_own_session() {
    let fake = FakeClerk::builder().no_rate_limit().build();
    warm_up(&fake).await;
    for slug in ["red", "blue"] {
        fake.add_organization(FakeOrganization::new(slug));
    }
    let users: Vec<(String, String, String)> = (0..USERS)
        .map(|number| {
            // Pairs of name and password that would be ambiguous without the colon between them.
            let (name, password) = (format!("user{number}"), format!("{number}user:{}", number % 7));
            let id = fake.add_user(FakeUser::new(&name).password(&password));
            for slug in ["red", "blue"] {
                fake.add_member(&name, slug, "org:member");
            }
            (name, password, id)
        })
        .collect();
    let users = Arc::new(users);
    let clerk = Clerk::builder(fake.fapi_url())
        .transport(fake.clone())
        .unlimited_sign_ins()
        .upstream_timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (clerk, users, next) = (clerk.clone(), Arc::clone(&users), Arc::clone(&next));
        let layer = ClerkBasicAuthLayer::new(clerk);
        let layers = [
            (None, layer.clone()),
            (Some("red"), layer.clone().organization("red").unwrap()),
            (Some("blue"), layer.clone().organization("blue").unwrap()),
        ];
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= REQUESTS {
                    return;
                }
                // A deterministic, irregular mix of users and organizations.
                let mixed = number.wrapping_mul(2_654_435_761) >> 7;
                let (name, password, id) = &users[mixed % USERS];
                let (organization, layer) = &layers[mixed / USERS % 3];
                let response = ask(layer, basic((name, password))).await;
                assert_eq!(response.body(), id, "request {number}");
                assert_eq!(session(&response).user_id(), id);
                assert_eq!(organization_of(&response), *organization);
                if number % 1_000 == 0 {
                    // Another user's name with this password is rejected.
                    let (other, ..) = &users[(mixed + 7) % USERS];
                    assert_eq!(ask(layer, basic((other, password))).await.status(), 401);
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let wrong = fake.requests_to(Endpoint::SignIns).iter().filter(|it| it.status().unwrap() != 200).count();
    assert_eq!(fake.count(Endpoint::SignIns) - wrong, USERS, "one sign-in per user");
}

#[tokio::test(start_paused = true)]
async fn k1_two_engines_share_nothing_even_with_one_secret() {
    let world = World::new();
    let secret = [7; 32];
    let engine = || builder(&world.fake, world.clock).credential_secret(secret).build().unwrap();
    for clerk in [engine(), engine()] {
        assert_eq!(ask(&ClerkBasicAuthLayer::new(clerk), basic(JANE)).await.status(), 200);
    }
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 3);
}
