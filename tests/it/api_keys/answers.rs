//! Keys that are refused: each kind, its answer and what it costs (rules T2, T4).

use std::time::Duration;

use tower_clerk::stats::Outcome;
use tower_clerk::testing::{FakeApiKey, FakeClerk, FakeUser, InvalidApiKey};

use super::{
    ACCEPTED, FORBIDDEN, MINUTE, REFUSED, accepting, add, calls, create, secret_of, status, with_key,
};
use crate::common::{World, ask, basic, code, logged, wire};

/// A kind of key, the answers of a layer without and of one with an organization, and the calls that each costs.
type Row = (&'static str, [(u16, &'static str); 2], [usize; 2]);

const TABLE: [Row; 17] = [
    ("a key of a user", [ACCEPTED, ACCEPTED], [2, 3]),
    ("a key of an organization", [ACCEPTED, ACCEPTED], [3, 3]),
    ("unknown", [REFUSED, REFUSED], [1, 1]),
    ("of another instance", [REFUSED, REFUSED], [1, 1]),
    ("a machine's secret key", [REFUSED, REFUSED], [1, 1]),
    ("of another type", [REFUSED, REFUSED], [1, 1]),
    ("revoked", [REFUSED, REFUSED], [1, 1]),
    ("expired", [REFUSED, REFUSED], [1, 1]),
    ("of a banned user", [REFUSED, REFUSED], [2, 2]),
    ("of a locked user", [ACCEPTED, FORBIDDEN], [2, 3]),
    ("of a deleted user", [REFUSED, REFUSED], [2, 2]),
    ("of a user who is no member", [ACCEPTED, FORBIDDEN], [2, 3]),
    ("of a removed member", [ACCEPTED, FORBIDDEN], [2, 3]),
    ("of acme by a removed member", [REFUSED, REFUSED], [3, 3]),
    ("of acme by nobody", [ACCEPTED, ACCEPTED], [2, 2]),
    ("of another organization", [ACCEPTED, FORBIDDEN], [2, 2]),
    ("of a deleted organization", [REFUSED, REFUSED], [2, 2]),
];

#[tokio::test(start_paused = true)]
async fn t4_each_wrong_key_has_its_answer_and_its_cost() {
    for answer in [InvalidApiKey::Flagged, InvalidApiKey::NotFound, InvalidApiKey::BadRequest] {
        for (at, organization) in [None, Some("acme")].into_iter().enumerate() {
            println!("\n{answer:?}, for {organization:?}");
            let world = World::backend_with(
                |fake| fake.invalid_api_key(answer).no_rate_limit(),
                |engine| engine.backend_rate(10_000, MINUTE),
            );
            let keys = wrong_keys(&world).await;
            let layer = match organization {
                None => accepting(&world),
                Some(organization) => accepting(&world).organization(organization).unwrap(),
            };
            for ((what, answers, costs), secret) in TABLE.iter().zip(keys) {
                let before = calls(&world);
                let first = status(&layer, &secret).await;
                let cost = calls(&world) - before;
                println!("{what:32} {} {:24} {cost} calls", first.0, first.1);
                assert_eq!((first, cost), (answers[at], costs[at]), "{what}");
                assert_eq!(status(&layer, &secret).await, first, "{what}");
                assert_eq!(calls(&world) - before, cost, "{what}: the second request costs nothing");
                tokio::time::advance(Duration::from_secs(2)).await;
            }
        }
    }
}

/// The secrets of the keys of [`TABLE`].
async fn wrong_keys(world: &World) -> Vec<String> {
    let foreign = FakeClerk::builder().host("clerk.other.example").empty().build();
    foreign.add_user(FakeUser::new("ada@example.com"));
    let foreign = foreign.api_key_secret(&foreign.add_api_key(FakeApiKey::new("ada@example.com")));
    let of = |key| add(world, key).1;
    let (revoked_id, revoked) = add(world, FakeApiKey::new("jane"));
    let keys = vec![
        secret_of(world, "jane"),
        secret_of(world, "acme"),
        "ak_unknown".to_owned(),
        foreign,
        of(FakeApiKey::new("mch_000000000000000000000000000")),
        of(FakeApiKey::new("jane").kind("machine_secret")),
        revoked,
        of(FakeApiKey::new("jane").expires_in(MINUTE)),
        of(FakeApiKey::new("banned@example.com")),
        of(FakeApiKey::new("locked@example.com")),
        of(FakeApiKey::new("sso@example.com")),
        of(FakeApiKey::new("carol@example.com")),
        of(FakeApiKey::new("bob")),
        of(FakeApiKey::new("acme").created_by("bob")),
        of(FakeApiKey::new("acme")),
        of(FakeApiKey::new("globex")),
        create(world, "org_000000000000000000000000000").await,
    ];
    world.fake.revoke_api_key(&revoked_id);
    world.fake.delete_user("sso@example.com");
    world.fake.remove_member("bob", "acme");
    tokio::time::advance(MINUTE).await;
    keys
}

#[tokio::test(start_paused = true)]
async fn t4_all_refusals_look_alike_and_like_that_of_a_wrong_password() {
    let world = World::backend();
    let layer = accepting(&world);
    let (_, banned) = add(&world, FakeApiKey::new("banned@example.com"));
    let (revoked_id, revoked) = add(&world, FakeApiKey::new("jane"));
    world.fake.revoke_api_key(&revoked_id);
    let wrong = wire(&ask(&layer, basic(("jane", "wrong"))).await);
    for secret in ["ak_unknown", &banned, &revoked] {
        assert_eq!(wire(&with_key(&layer, secret).await), wrong);
    }
    assert_eq!(wrong.0, 401);
}

#[tokio::test(start_paused = true)]
async fn t4_a_rejection_is_logged_by_its_code_and_no_log_has_a_secret() {
    let world = World::backend();
    let layer = accepting(&world).problem_json();
    let (revoked_id, revoked) = add(&world, FakeApiKey::new("jane"));
    world.fake.revoke_api_key(&revoked_id);
    let good = secret_of(&world, "jane");
    let base64 = crate::common::authorization(("__token__", &good));
    let log = logged(async {
        for secret in [&*good, &*good, &*revoked, "ak_made-up-secret"] {
            let response = with_key(&layer, secret).await;
            let shown = format!("{response:?} {:?}", world.clerk.stats());
            assert!(!shown.contains(&secret[3..]), "{shown}");
        }
        assert_eq!(code(&with_key(&layer, "ak_made-up-secret").await), "credentials_rejected");
    })
    .await;
    assert!(log.contains("api_key_revoked") && log.contains(&world.fake.demo_api_key("jane").0), "{log}");
    for secret in [&good[3..], &revoked[3..], "made-up-secret", &base64[10..]] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test(start_paused = true)]
async fn o2_outcomes_of_keys_are_counted_and_add_up() {
    let world = World::backend();
    let layer = accepting(&world);
    let secret = secret_of(&world, "jane");
    with_key(&layer, &secret).await;
    with_key(&layer, &secret).await;
    with_key(&layer, "ak_unknown").await;
    with_key(&layer, "ak_unknown").await;
    let stats = world.clerk.stats();
    for (outcome, count) in
        [(Outcome::Verified, 1), (Outcome::Hit, 1), (Outcome::Rejected, 1), (Outcome::Denied, 1)]
    {
        assert_eq!(stats.count(outcome), count, "{outcome:?}");
    }
    assert_eq!(stats.total(), 4);
    assert_eq!((stats.verified_api_keys, stats.proven_api_keys), (1, 1));
    let verified = stats.upstream.iter().filter(|calls| calls.operation == "verify_api_key");
    assert_eq!(verified.map(|calls| calls.count).sum::<u64>(), 2);
}
