//! The Backend API's road: sessions that outlive their entries, and the tokens made for them.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, Pair, World, code, organization_of, session, settle};
use tower_clerk::testing::{Clock, Endpoint, Fault, GoneSession, RetryAfter};
use tower_clerk::{Builder, MemorySessions, SessionStore, StoreFuture, StoredSession, Transport as _};

/// The stand-in's ids are the same at every start.
const JANE_ID: &str = "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug";
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// A store that outlives the engines which use it, as a file does.
#[derive(Clone, Default)]
struct Shared(Arc<MemorySessions>);

impl SessionStore for Shared {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        self.0.get(user_id, organization)
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        self.0.put(session)
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        self.0.remove(user_id, session_id)
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        self.0.take_user(user_id)
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        self.0.take_session(session_id)
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        self.0.take_all()
    }
}

/// A store that is out of reach: it finds nothing and keeps nothing.
struct Nowhere;

impl SessionStore for Nowhere {
    fn get<'a>(&'a self, _: &'a str, _: Option<&'a str>) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async { None })
    }

    fn put(&self, _: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async {})
    }

    fn remove<'a>(&'a self, _: &'a str, _: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async {})
    }

    fn take_user<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async { Vec::new() })
    }

    fn take_session<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async { None })
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async { Vec::new() })
    }
}

/// A store on another machine, where a change takes a while.
#[derive(Clone, Default)]
struct Far(Shared);

async fn far() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

impl SessionStore for Far {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        self.0.get(user_id, organization)
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            far().await;
            self.0.put(session).await;
        })
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            far().await;
            self.0.remove(user_id, session_id).await;
        })
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async move {
            far().await;
            self.0.take_user(user_id).await
        })
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move {
            far().await;
            self.0.take_session(session_id).await
        })
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async move {
            far().await;
            self.0.take_all().await
        })
    }
}

fn world(store: &Shared) -> World {
    World::backend_with(|fake| fake, |engine| engine.session_store(store.clone()))
}

fn sign_ins(world: &World) -> usize {
    world.fake.count(Endpoint::SignIns)
}

/// Signs in as a browser would, past the engine.
async fn browser_session(world: &World, (identifier, password): Pair) -> String {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("strategy", "password"), ("identifier", identifier), ("password", password)])
        .finish();
    let request = http::Request::post(world.fake.fapi_url() + "/v1/client/sign_ins?_is_native=1")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(bytes::Bytes::from(form))
        .unwrap();
    let answer = world.fake.send(request).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    answer["response"]["created_session_id"].as_str().unwrap().to_owned()
}

async fn ended(world: &World) -> usize {
    settle().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.fake.count(Endpoint::RevokeSession)
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_proof_and_a_mint_suffice() {
    let store = Shared::default();
    let first = world(&store);
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(first.get(pair).await.status(), 200);
    }
    let ids: Vec<_> = first.fake.sessions().iter().map(|it| it.id().to_owned()).collect();
    // Killed: nothing is ended, and the store is all that is left.
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    first.fake.clear_log();
    for (pair, id) in [JANE, BOB, CAROL].into_iter().zip(&ids) {
        assert_eq!(session(&again.get(pair).await).session_id(), id);
    }
    assert_eq!(sign_ins(&again), 0);
    assert_eq!(again.fake.count(Endpoint::VerifyPassword), 3);
    assert_eq!(again.fake.count(Endpoint::BackendTokens), 3);
    assert_eq!(again.fake.live_sessions(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_organization_of_the_layer_is_there_after_a_restart_without_a_sign_in() {
    let store = Shared::default();
    let first = world(&store);
    for organization in ["acme", "acme"] {
        assert_eq!(organization_of(&first.get_for(JANE, organization).await), Some("acme"));
    }
    assert_eq!(sign_ins(&first), 1, "the session was opened for it");
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    first.fake.clear_log();
    let response = again.get_for(JANE, "acme").await;
    assert_eq!(organization_of(&response), Some("acme"));
    assert!(session(&response).has_role("org:admin"));
    assert_eq!(sign_ins(&again), 0);
    // Another one, and none, are sessions of their own from there on: once, and never again.
    for _ in 0..2 {
        let process = first.restarted(|engine| engine.session_store(store.clone()));
        for organization in ["acme", "globex"] {
            assert_eq!(organization_of(&process.get_for(JANE, organization).await), Some(organization));
        }
        assert_eq!(organization_of(&process.get(JANE).await), None);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(sign_ins(&again), 2);
}

#[tokio::test(start_paused = true)]
async fn one_sign_in_serves_all_organizations_while_its_client_is_known() {
    let world = World::backend();
    for organization in ["acme", "globex", "acme"] {
        assert_eq!(organization_of(&world.get_for(JANE, organization).await), Some(organization));
    }
    assert_eq!(organization_of(&world.get(JANE).await), None);
    assert_eq!(sign_ins(&world), 1);
}

/// Whatever entry it is used by: another identifier's, or one that was made when the first had run out.
#[tokio::test(start_paused = true)]
async fn s7_one_sign_in_serves_all_identifiers_and_organizations_of_a_user_in_a_process() {
    let world = World::backend();
    for pair in [JANE, ("jane", JANE.1), ("JANE", JANE.1)] {
        for organization in ["acme", "globex"] {
            assert_eq!(organization_of(&world.get_for(pair, organization).await), Some(organization));
        }
        assert_eq!(organization_of(&world.get(pair).await), None);
        tokio::time::sleep(3 * HOUR).await;
    }
    assert_eq!((sign_ins(&world), world.fake.live_sessions()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn s7_an_organization_that_is_not_the_users_costs_no_sign_in() {
    let store = Shared::default();
    let first = world(&store);
    for organization in ["globex", "nowhere", "org_2pqaQ9F4o9MNRSlx8VeMRn5hZug"] {
        assert_eq!(code(&first.get_for(BOB, organization).await), "organization_forbidden", "{organization}");
    }
    assert_eq!(first.get(BOB).await.status(), 200);
    assert_eq!(sign_ins(&first), 1);
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    for _ in 0..3 {
        assert_eq!(code(&again.get_for(BOB, "globex").await), "organization_forbidden");
        assert_eq!(again.get(BOB).await.status(), 200);
    }
    assert_eq!(sign_ins(&again), 1);
    assert_eq!(again.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_who_was_removed_is_out_and_one_who_comes_back_is_in() {
    let store = Shared::default();
    let first = world(&store);
    assert_eq!(first.get_for(BOB, "acme").await.status(), 200);
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    assert_eq!(again.get_for(BOB, "acme").await.status(), 200);
    again.fake.remove_member("bob", "acme");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(code(&again.get_for(BOB, "acme").await), "organization_forbidden");
    assert_eq!(again.get(BOB).await.status(), 200, "the personal account goes on");
    again.fake.add_member("bob", "acme", "org:admin");
    tokio::time::sleep(2 * MINUTE).await;
    let response = again.get_for(BOB, "acme").await;
    assert!(session(&response).has_role("org:admin"));
}

#[tokio::test(start_paused = true)]
async fn tokens_come_from_the_frontend_api_while_it_takes_part_and_else_by_the_key() {
    let world = World::backend_with(|fake| fake.mint_limit(2, MINUTE), |engine| engine);
    for _ in 0..10 {
        assert_eq!(world.get(JANE).await.status(), 200);
        assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    let limited = world.fake.requests_to(Endpoint::Tokens);
    let limited = limited.iter().filter(|it| it.status().is_some_and(|status| status == 429)).count();
    assert!((1..5).contains(&limited), "asked {limited} times too often");
    assert!(world.fake.count(Endpoint::BackendTokens) > 0);
    assert!(world.fake.count(Endpoint::Tokens) > limited);

    // The same where it is away altogether.
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    for fault in [Fault::Status(503), Fault::Hang, Fault::Reset] {
        world.fake.script_always(Endpoint::Tokens, fault);
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(world.get(JANE).await.status(), 200);
    }
    assert_eq!(sign_ins(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_frontend_api_that_is_away_is_left_alone_for_a_while() {
    let world = World::backend();
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    world.fake.script_always(Endpoint::Tokens, Fault::Status(503));
    tokio::time::sleep(2 * MINUTE).await;
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    assert_eq!((world.fake.count(Endpoint::Tokens), world.fake.count(Endpoint::BackendTokens)), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn tokens_live_as_long_as_was_asked_for() {
    let world = World::backend_with(|fake| fake, |engine| engine.token_lifetime(Duration::from_secs(600)));
    let response = world.get(JANE).await;
    tokio::time::sleep(2 * MINUTE).await;
    let response =
        if session(&response).claims().expires_at() - session(&response).claims().issued_at() == 600 {
            response
        } else {
            world.get(JANE).await
        };
    let claims = session(&response).claims();
    assert_eq!(claims.expires_at() - claims.issued_at(), 600);
    assert_eq!(world.fake.count(Endpoint::Tokens), 0, "the Frontend API knows no such wish");
    assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
    assert_eq!(world.clerk.stats().active_users, Some(3_600));
}

#[tokio::test(start_paused = true)]
async fn s8_templates_are_minted_by_the_key_for_the_organization_asked_for() {
    let store = Shared::default();
    let first = world(&store);
    let claims = serde_json::json!({ "org": "{{org.slug}}", "who": "{{user.username}}" });
    let claims = claims.as_object().unwrap().clone();
    first.fake.add_template("partner", MINUTE, claims);
    let layer = |world: &World| world.layer().organization("acme").unwrap().template("partner").unwrap();
    for world in [first.clone(), first.restarted(|engine| engine.session_store(store.clone()))] {
        let response = crate::common::ask(&layer(&world), crate::common::basic(JANE)).await;
        let claims: serde_json::Value = session(&response).custom_claims().unwrap();
        assert_eq!((claims["org"].as_str(), claims["who"].as_str()), (Some("acme"), Some("jane")));
        assert_eq!(organization_of(&response), Some("acme"));
    }
    first.fake.remove_member("jane", "acme");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(
        code(&crate::common::ask(&layer(&first), crate::common::basic(JANE)).await),
        "organization_forbidden"
    );
    let missing = first.layer().template("nowhere").unwrap();
    assert_eq!(code(&crate::common::ask(&missing, crate::common::basic(BOB)).await), "misconfigured");
}

/// Clerk doesn't say how it answers for a session that is over: each of its ways is understood.
#[tokio::test(start_paused = true)]
async fn k4_a_session_that_is_gone_is_replaced_once_whatever_clerk_calls_it() {
    for gone in [GoneSession::NotFound, GoneSession::AuthenticationInvalid, GoneSession::InvalidAction] {
        let store = Shared::default();
        let first =
            World::backend_with(|fake| fake.gone_session(gone), |engine| engine.session_store(store.clone()));
        let id = session(&first.get(JANE).await).session_id().to_owned();
        let again = first.restarted(|engine| engine.session_store(store.clone()));
        assert_eq!(session(&again.get(JANE).await).session_id(), id);
        first.fake.revoke_session(&id);
        tokio::time::sleep(2 * MINUTE).await;
        let response = again.get(JANE).await;
        assert_eq!(response.status(), 200, "{gone:?}: {:?}", crate::common::rejection(&response));
        assert_ne!(session(&response).session_id(), id, "{gone:?}");
        assert_eq!(sign_ins(&again), 2, "{gone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_over_before_the_restart_is_replaced() {
    let store = Shared::default();
    let first = world(&store);
    let id = session(&first.get(JANE).await).session_id().to_owned();
    first.fake.revoke_session(&id);
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    assert_ne!(session(&again.get(JANE).await).session_id(), id);
    assert_eq!(sign_ins(&again), 2);
    // And the end of its life is known without asking.
    tokio::time::sleep(8 * 24 * HOUR).await;
    assert_eq!(again.get(JANE).await.status(), 200);
    assert_eq!(sign_ins(&again), 3);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_about_to_end_is_replaced_before_it_does() {
    let store = Shared::default();
    let first = world(&store);
    let id = session(&first.get(JANE).await).session_id().to_owned();
    tokio::time::sleep(7 * 24 * HOUR - Duration::from_secs(30)).await;
    assert_eq!(first.fake.live_sessions(), 1, "it is there yet");
    let again = first.restarted(|engine| engine.session_store(store.clone()));
    let next = session(&again.get(JANE).await).session_id().to_owned();
    assert_ne!(next, id);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(session(&again.get(JANE).await).session_id(), next);
    assert_eq!(sign_ins(&again), 2);
}

#[tokio::test(start_paused = true)]
async fn only_sessions_that_were_opened_here_are_used_and_ended() {
    let world = World::backend();
    let browser = browser_session(&world, JANE).await;
    let response = world.get(JANE).await;
    assert_ne!(session(&response).session_id(), browser);
    world.clerk.revoke_user(session(&response).user_id());
    assert_eq!(ended(&world).await, 1);
    assert_eq!(world.fake.live_sessions_of("jane"), 1, "the browser's is the browser's");
}

#[tokio::test(start_paused = true)]
async fn k10_expiry_eviction_and_shutdown_end_nothing_that_a_store_keeps() {
    let store = Shared::default();
    let first = World::backend_with(
        |fake| fake,
        |engine| engine.session_store(store.clone()).max_sessions(1).proof_renewal(false),
    );
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(first.get(pair).await.status(), 200);
    }
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(first.clerk.shutdown(Duration::from_secs(10)).await, 0);
    assert_eq!(ended(&first).await, 0);
    assert_eq!(first.fake.live_sessions(), 3);
}

#[tokio::test(start_paused = true)]
async fn k10_what_only_memory_keeps_is_ended_at_shutdown() {
    let world = World::backend();
    for pair in [JANE, BOB] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    assert_eq!(world.clerk.shutdown(Duration::from_secs(10)).await, 0);
    assert_eq!(world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn k9_revocations_end_what_is_kept_and_the_next_request_proves_itself() {
    type Revoke = fn(&World, &str, &str);
    let revocations: [(&str, Revoke); 3] = [
        ("user", |world, user, _| world.clerk.revoke_user(user)),
        ("session", |world, _, session| world.clerk.revoke_session(session)),
        ("all", |world, _, _| world.clerk.revoke_all()),
    ];
    for (what, revoke) in revocations {
        for restarted in [false, true] {
            let store = Shared::default();
            let first = world(&store);
            let response = first.get(JANE).await;
            let (user, id) =
                (session(&response).user_id().to_owned(), session(&response).session_id().to_owned());
            // A process that has the id from the store alone can end it, too.
            let by = if restarted {
                first.restarted(|engine| engine.session_store(store.clone()))
            } else {
                first.clone()
            };
            revoke(&by, &user, &id);
            assert_eq!(ended(&by).await, 1, "{what}");
            assert_eq!(by.fake.live_sessions(), 0, "{what}");
            let proofs = by.fake.count(Endpoint::VerifyPassword);
            let response = by.get(JANE).await;
            assert_ne!(session(&response).session_id(), id, "{what}");
            assert_eq!(by.fake.count(Endpoint::VerifyPassword), proofs + 1, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_session_opened_for_another_organization_is_revoked_like_any_other() {
    let store = Shared::default();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    let process = first.restarted(|engine| engine.session_store(store.clone()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let response = process.get_for(JANE, "acme").await;
    let beside = session(&response).session_id().to_owned();
    assert_ne!(session(&process.get(JANE).await).session_id(), beside);
    process.clerk.revoke_session(&beside);
    assert_eq!(ended(&process).await, 1);
    let response = process.get_for(JANE, "acme").await;
    assert_eq!(response.status(), 200);
    assert_ne!(session(&response).session_id(), beside, "no token of a revoked session is served");
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_during_a_sign_in_leaves_no_session_behind() {
    for endpoint in [Endpoint::VerifyPassword, Endpoint::SignInTokens, Endpoint::SignIns] {
        let store = Shared::default();
        let world = world(&store);
        let hold = world.fake.hold_answer(endpoint);
        let asking = {
            let world = world.clone();
            tokio::spawn(async move { world.get(JANE).await.status() })
        };
        while hold.waiting() == 0 {
            settle().await;
        }
        world.clerk.revoke_user(JANE_ID);
        hold.release();
        assert_eq!(asking.await.unwrap(), 200, "it is asked once more");
        settle().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.fake.live_sessions(), 1, "{endpoint:?}");
        let live = world.fake.sessions().into_iter().find(|it| it.is_live()).unwrap();
        let kept = store.get(JANE_ID, None).await.unwrap();
        assert_eq!(kept.session_id(), live.id(), "{endpoint:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_while_a_session_is_opened_beside_another_leaves_none_behind() {
    let store = Shared::default();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    let process = first.restarted(|engine| engine.session_store(store.clone()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let hold = process.fake.hold_answer(Endpoint::SignIns);
    let asking = {
        let process = process.clone();
        tokio::spawn(async move { process.get_for(JANE, "acme").await })
    };
    while hold.waiting() == 0 {
        settle().await;
    }
    process.clerk.revoke_user(JANE_ID);
    hold.release();
    assert_ne!(asking.await.unwrap().status(), 200);
    assert_eq!(ended(&process).await, 2);
    assert_eq!(process.fake.live_sessions(), 0);
    assert!(store.take_user(JANE_ID).await.is_empty());
}

/// Nobody holds it any more, and nobody gets at it by this credential again.
#[tokio::test(start_paused = true)]
async fn a_refusal_ends_what_was_kept_after_the_entry_had_gone() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::sleep(3 * HOUR).await;
    world.fake.set_password("jane", "a new one");
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!(ended(&world).await, 1);
    assert_eq!(world.fake.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn k5_a_guess_ends_no_session_of_its_user() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    for guess in ["one", "two", "three"] {
        assert_eq!(code(&world.get((JANE.0, guess)).await), "credentials_rejected");
    }
    assert_eq!(ended(&world).await, 0);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.live_sessions(), 1);
}

/// Two credentials share a session; the one that is refused takes nothing from the other.
#[tokio::test(start_paused = true)]
async fn k5_an_old_password_that_is_refused_leaves_the_new_ones_session_alone() {
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.set_password("jane", "a new one");
    let new: Pair = (JANE.0, "a new one");
    let id = session(&world.get(new).await).session_id().to_owned();
    for _ in 0..70 {
        world.get(JANE).await;
        assert_eq!(session(&world.get(new).await).session_id(), id);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!((ended(&world).await, sign_ins(&world)), (0, 1));
}

/// What was opened beside a session can be another credential's own.
#[tokio::test(start_paused = true)]
async fn k5_an_old_password_that_is_refused_leaves_the_new_ones_organization_alone() {
    let store = Shared::default();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    // Its client is unknown there, so that the organization is a session of its own.
    let process = first.restarted(|engine| engine.session_store(store.clone()));
    assert_eq!(process.get(JANE).await.status(), 200);
    let beside = session(&process.get_for(JANE, "acme").await).session_id().to_owned();
    process.fake.set_password("jane", "a new one");
    let new: Pair = (JANE.0, "a new one");
    for _ in 0..70 {
        process.get(JANE).await;
        assert_eq!(session(&process.get_for(new, "acme").await).session_id(), beside);
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(code(&process.get(JANE).await), "credentials_rejected");
    assert!(process.fake.sessions().iter().any(|it| it.id() == beside && it.is_live()));
}

#[tokio::test(start_paused = true)]
async fn k9_a_session_that_no_store_keeps_is_ended_by_a_revocation_all_the_same() {
    type Revoke = fn(&World, &str, &str);
    let revocations: [(&str, Revoke); 3] = [
        ("user", |world, user, _| world.clerk.revoke_user(user)),
        ("session", |world, _, session| world.clerk.revoke_session(session)),
        ("all", |world, _, _| world.clerk.revoke_all()),
    ];
    for (what, revoke) in revocations {
        let world = World::backend_with(|fake| fake, |engine| engine.session_store(Nowhere));
        let response = world.get(JANE).await;
        revoke(&world, session(&response).user_id(), session(&response).session_id());
        assert_eq!(ended(&world).await, 1, "{what}");
        assert_eq!(world.fake.live_sessions(), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn k9_what_was_revoked_is_not_gone_on_with_while_its_store_is_told() {
    type Revoke = fn(&World, &str, &str);
    let revocations: [(&str, Revoke); 3] = [
        ("user", |world, user, _| world.clerk.revoke_user(user)),
        ("session", |world, _, session| world.clerk.revoke_session(session)),
        ("all", |world, _, _| world.clerk.revoke_all()),
    ];
    for (what, revoke) in revocations {
        let world = World::backend_with(|fake| fake, |engine| engine.session_store(Far::default()));
        let response = world.get(JANE).await;
        let id = session(&response).session_id().to_owned();
        revoke(&world, session(&response).user_id(), &id);
        let next = session(&world.get(JANE).await).session_id().to_owned();
        assert_ne!(next, id, "{what}");
        assert_eq!(ended(&world).await, 1, "{what}");
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(session(&world.get(JANE).await).session_id(), next, "{what}: the new one goes on");
        assert_eq!(world.fake.live_sessions(), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn k4_a_session_that_is_gone_is_replaced_while_its_store_is_told() {
    let world = World::backend_with(|fake| fake, |engine| engine.session_store(Far::default()));
    let id = session(&world.get(JANE).await).session_id().to_owned();
    world.fake.revoke_session(&id);
    tokio::time::sleep(2 * MINUTE).await;
    let response = world.get(JANE).await;
    assert_eq!(response.status(), 200, "{:?}", crate::common::rejection(&response));
    assert_ne!(session(&response).session_id(), id);
    assert_eq!(sign_ins(&world), 2);
}

#[tokio::test(start_paused = true)]
async fn p2_a_429_of_the_backend_api_is_honoured_and_harms_no_live_session() {
    let world = World::backend_with(|fake| fake, |engine: Builder| engine.session_ttl(6 * HOUR));
    assert_eq!(world.get(JANE).await.status(), 200);
    let limited = Fault::RateLimited { retry_after: RetryAfter::Seconds(30) };
    world.fake.script(Endpoint::Users, limited);
    assert_eq!(code(&world.get(BOB).await), "upstream_rate_limited");
    let asked = world.fake.count(Endpoint::Backend);
    for _ in 0..25 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let response = world.get(CAROL).await;
        assert_eq!(code(&response), "upstream_rate_limited");
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(world.get(JANE).await.status(), 200);
    }
    assert_eq!(world.fake.count(Endpoint::Backend), asked, "nobody asks during the pause");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.get(CAROL).await.status(), 200);
    assert_eq!(world.get(BOB).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k10_a_session_whose_organization_was_taken_from_it_is_ended_with_the_one_it_stands_beside() {
    let store = Shared::default();
    let first = world(&store);
    assert_eq!(first.get(JANE).await.status(), 200);
    let process = first.restarted(|engine| engine.session_store(store.clone()).proof_renewal(false));
    assert_eq!(process.get(JANE).await.status(), 200);
    assert_eq!(process.get_for(JANE, "acme").await.status(), 200);
    assert_eq!(process.fake.live_sessions(), 2);
    process.fake.remove_member("jane", "acme");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(code(&process.get_for(JANE, "acme").await), "organization_forbidden");
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!((ended(&process).await, process.fake.live_sessions()), (1, 1));
    assert_eq!(process.get(JANE).await.status(), 200);
    assert_eq!(sign_ins(&process), 2, "what is kept serves on");
}

/// D13: a machine whose clock is wrong when it starts goes by Clerk's, as soon as Clerk has told it.
#[tokio::test(start_paused = true)]
async fn k2_a_wall_clock_that_is_wrong_at_the_start_throws_no_kept_session_away() {
    let store = Shared::default();
    let first = World::backend_with(|fake| fake, |engine| engine.session_store(store.clone()));
    let id = session(&first.get(JANE).await).session_id().to_owned();
    for (days, is_ahead) in [(10, true), (10, false)] {
        let off = days * 24 * HOUR;
        let wall = if is_ahead { first.clock.wall() + off } else { first.clock.wall() - off };
        let wrong = World { clock: Clock::starting_at(wall), ..first.clone() };
        let again = wrong.restarted(|engine| engine.session_store(store.clone()));
        let response = again.get(JANE).await;
        assert_eq!(session(&response).session_id(), id, "ahead: {is_ahead}");
        assert_eq!(again.fake.count(Endpoint::SignIns), 1, "ahead: {is_ahead}");
    }
    // The session's end is Clerk's, seven days from its start, whatever this machine takes the time to be.
    let behind = World { clock: Clock::starting_at(first.clock.wall() - 10 * 24 * HOUR), ..first.clone() };
    let again = behind.restarted(|engine| engine.session_store(store.clone()));
    tokio::time::sleep(7 * 24 * HOUR + HOUR).await;
    assert_ne!(session(&again.get(JANE).await).session_id(), id);
}
