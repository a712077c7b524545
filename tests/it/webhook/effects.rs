//! Each row of the table: what changes at Clerk is true here at the next request, and costs no more than it must (rule W5).

use serde_json::{Value, json};
use tower_clerk::testing::{Endpoint, FakeUser};

use super::{SECOND, deliver, millis, user};
use crate::common::{BOB, JANE, Pair, World, code, session};

/// Jane's id, after a request of hers and of Bob's.
async fn signed_in(world: &World) -> String {
    assert_eq!(world.get(BOB).await.status(), 200);
    let id = session(&world.get(JANE).await).user_id().to_owned();
    tokio::time::advance(10 * SECOND).await;
    world.fake.clear_log();
    id
}

/// The code of the next answers to Jane and to Bob, "" for a session, and the sign-ins and mints that they cost.
async fn next(world: &World) -> (String, usize, usize) {
    let jane = code(&world.get(JANE).await).to_owned();
    assert_eq!(world.get(BOB).await.status(), 200);
    (jane, world.fake.count(Endpoint::SignIns), world.fake.count(Endpoint::Tokens))
}

fn is(code: &str, sign_ins: usize, mints: usize) -> (String, usize, usize) {
    (code.to_owned(), sign_ins, mints)
}

async fn updated(world: &World, id: &str, changed: Value) {
    deliver(world, "user.updated", &user(id, "jane", &changed)).await;
}

#[tokio::test(start_paused = true)]
async fn w5_a_ban_and_its_end_are_true_at_the_next_request() {
    for flag in ["banned", "deprovisioned"] {
        let world = World::unlimited();
        let id = signed_in(&world).await;
        world.fake.ban("jane");
        updated(&world, &id, json!({ flag: true })).await;
        assert_eq!(next(&world).await, is("credentials_rejected", 1, 0));
        assert_eq!(next(&world).await, is("credentials_rejected", 1, 0), "remembered");
        world.fake.unban("jane");
        assert_eq!(next(&world).await, is("credentials_rejected", 1, 0), "still remembered");
        updated(&world, &id, json!({})).await;
        assert_eq!(next(&world).await, is("", 2, 0), "a sign-in brings its token along");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_deleted_user_is_refused_at_the_next_request() {
    let world = World::unlimited();
    let id = signed_in(&world).await;
    world.fake.delete_user("jane");
    deliver(&world, "user.deleted", &json!({ "object": "user", "id": id, "deleted": true })).await;
    assert_eq!(next(&world).await, is("credentials_rejected", 1, 0));
}

#[tokio::test(start_paused = true)]
async fn w5_a_new_password_ends_the_old_one_at_the_next_request() {
    let world = World::unlimited();
    let id = signed_in(&world).await;
    world.fake.set_password("jane", "a new password");
    updated(&world, &id, json!({ "password_last_updated_at": millis(world.clock.wall()) })).await;
    assert_eq!(next(&world).await, is("credentials_rejected", 1, 0));
    let new: Pair = (JANE.0, "a new password");
    assert_eq!(world.get(new).await.status(), 200);
    world.fake.clear_log();
    // The event comes again, and concerns no proof from after the change.
    tokio::time::advance(5 * SECOND).await;
    updated(&world, &id, json!({ "password_last_updated_at": millis(world.clock.wall()) - 15_000 })).await;
    assert_eq!(world.get(new).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 0);
}

#[tokio::test(start_paused = true)]
async fn w5_a_second_factor_is_required_at_the_next_request() {
    let world = World::unlimited();
    let id = signed_in(&world).await;
    world.fake.require_second_factor("jane", true);
    updated(&world, &id, json!({ "mfa_enabled_at": millis(world.clock.wall()) })).await;
    assert_eq!(next(&world).await, is("second_factor_required", 1, 0));
}

#[tokio::test(start_paused = true)]
async fn w5_without_a_password_each_credential_is_proven_again() {
    let world = World::unlimited();
    let id = signed_in(&world).await;
    updated(&world, &id, json!({ "password_enabled": false })).await;
    assert_eq!(next(&world).await.1, 1, "Clerk decides");
}

#[tokio::test(start_paused = true)]
async fn w5_other_changes_and_a_lock_cost_a_proven_user_nothing() {
    let world = World::unlimited();
    let id = signed_in(&world).await;
    let long_ago = millis(world.clock.wall()) - 3_600_000;
    for changed in [
        json!({}),
        json!({ "locked": true }),
        json!({ "first_name": "Janet", "last_sign_in_at": millis(world.clock.wall()) }),
        json!({ "password_last_updated_at": long_ago, "mfa_enabled_at": long_ago }),
        json!({ "banned": null, "locked": "no", "password_enabled": 0 }),
    ] {
        updated(&world, &id, changed).await;
        assert_eq!(next(&world).await, is("", 0, 0));
    }
    for (event_type, data) in [
        ("session.created", json!({ "id": "sess_1", "user_id": id })),
        ("session.ended", json!({ "id": "sess_of_a_browser", "user_id": id })),
        ("organization.created", json!({ "id": "org_1" })),
        ("organizationMembership.created", json!({ "id": "orgmem_1", "organization": { "id": "org_1" } })),
        ("role.created", json!({ "id": "role_1" })),
        ("email.created", json!({ "id": "ema_1" })),
        ("user.deleted", json!({ "id": "user_of_another_instance" })),
        ("user.deleted", json!({ "deleted": true })),
        ("user.something", json!({ "id": id })),
    ] {
        deliver(&world, event_type, &data).await;
        assert_eq!(next(&world).await, is("", 0, 0), "{event_type}");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_the_end_of_a_session_costs_its_user_a_sign_in_and_others_nothing() {
    for event_type in ["session.ended", "session.removed", "session.revoked"] {
        let world = World::unlimited();
        signed_in(&world).await;
        let ended = session(&world.get(JANE).await).session_id().to_owned();
        deliver(&world, event_type, &json!({ "object": "session", "id": ended })).await;
        assert_eq!(next(&world).await, is("", 1, 0), "{event_type}");
        assert_ne!(session(&world.get(JANE).await).session_id(), ended);
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_session_that_becomes_pending_mints_again() {
    let world = World::unlimited();
    signed_in(&world).await;
    let pending = session(&world.get(JANE).await).session_id().to_owned();
    deliver(&world, "session.pending", &json!({ "object": "session", "id": pending, "status": "pending" }))
        .await;
    assert_eq!(next(&world).await, is("", 0, 1));
}

fn membership(user: &str, organization: &str) -> Value {
    json!({
        "object": "organization_membership",
        "id": "orgmem_1",
        "role": "org:member",
        "organization": { "object": "organization", "id": organization, "slug": "acme" },
        "public_user_data": { "user_id": user },
    })
}

/// The ids of Jane and of an organization, for which she and Bob hold tokens.
async fn members(world: &World) -> (String, String) {
    let id = signed_in(world).await;
    assert_eq!(world.get_for(BOB, "acme").await.status(), 200);
    let acme = session(&world.get_for(JANE, "acme").await).organization().unwrap().id().to_owned();
    world.fake.clear_log();
    (id, acme)
}

#[tokio::test(start_paused = true)]
async fn w5_a_removed_member_is_refused_at_the_next_request_and_let_in_when_added() {
    let world = World::unlimited();
    let (id, acme) = members(&world).await;
    world.fake.remove_member("jane", "acme");
    deliver(&world, "organizationMembership.deleted", &membership(&id, &acme)).await;
    assert_eq!(code(&world.get_for(JANE, "acme").await), "organization_forbidden");
    world.fake.add_member("jane", "acme", "org:member");
    assert_eq!(code(&world.get_for(JANE, "acme").await), "organization_forbidden", "remembered");
    deliver(&world, "organizationMembership.created", &membership(&id, &acme)).await;
    let again = world.get_for(JANE, "acme").await;
    assert!(session(&again).has_role("org:member"));
    assert_eq!(world.get_for(BOB, "acme").await.status(), 200);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 0);
    assert_eq!(world.fake.count(Endpoint::Tokens), 1, "one for the new member, none for Bob");
}

#[tokio::test(start_paused = true)]
async fn w5_a_changed_role_is_true_at_the_next_request() {
    let world = World::unlimited();
    let (id, acme) = members(&world).await;
    world.fake.add_member("jane", "acme", "org:member");
    assert!(session(&world.get_for(JANE, "acme").await).has_role("org:admin"), "the token is still held");
    deliver(&world, "organizationMembership.updated", &membership(&id, &acme)).await;
    assert!(session(&world.get_for(JANE, "acme").await).has_role("org:member"));
    assert_eq!(world.get_for(BOB, "acme").await.status(), 200);
    assert_eq!((world.fake.count(Endpoint::SignIns), world.fake.count(Endpoint::Tokens)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn w5_a_membership_without_its_user_concerns_all_members() {
    let world = World::unlimited();
    let (_, acme) = members(&world).await;
    let mut membership = membership("", &acme);
    membership.as_object_mut().unwrap().remove("public_user_data");
    deliver(&world, "organizationMembership.deleted", &membership).await;
    for pair in [JANE, BOB] {
        assert_eq!(world.get_for(pair, "acme").await.status(), 200);
    }
    assert_eq!(world.fake.count(Endpoint::Tokens), 2);
}

#[tokio::test(start_paused = true)]
async fn w5_a_deleted_or_renamed_organization_is_minted_for_again_and_another_change_costs_nothing() {
    for (event_type, data, mints) in [
        ("organization.updated", json!({ "slug": "acme", "name": "Another name" }), 0),
        ("organization.updated", json!({ "slug": "acme-two" }), 2),
        ("organization.deleted", json!({ "deleted": true }), 2),
    ] {
        let world = World::unlimited();
        let (_, acme) = members(&world).await;
        let mut organization = data;
        organization["id"] = acme.into();
        deliver(&world, event_type, &organization).await;
        for pair in [JANE, BOB] {
            assert_eq!(world.get_for(pair, "acme").await.status(), 200);
        }
        assert_eq!(next(&world).await, is("", 0, mints), "{organization}");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_changed_roles_and_permissions_drop_long_lived_tokens_alone() {
    for event_type in ["role.updated", "role.deleted", "permission.updated", "permission.deleted"] {
        let world = World::unlimited();
        world.fake.add_template("long", 600 * SECOND, serde_json::Map::new());
        let long = world.layer().template("long").unwrap();
        signed_in(&world).await;
        let ask = async || crate::common::ask(&long, crate::common::basic(JANE)).await.status();
        assert_eq!(ask().await, 200);
        world.fake.clear_log();
        deliver(&world, event_type, &json!({ "id": "role_1", "key": "org:admin" })).await;
        assert_eq!(ask().await, 200);
        assert_eq!(next(&world).await.0, "", "{event_type}");
        assert_eq!(
            world.fake.count(Endpoint::Any),
            1,
            "{event_type}: the long-lived token alone was minted again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_new_user_is_let_in_although_the_identifier_was_refused_before() {
    let world = World::unlimited();
    let pair: Pair = ("kim@example.com", "a password that was there first");
    assert_eq!(world.get(pair).await.status(), 401);
    let id = world.fake.add_user(FakeUser::new(pair.0).password(pair.1));
    assert_eq!(world.get(pair).await.status(), 401, "remembered");
    let unverified = json!({ "email_addresses": [{ "email_address": pair.0, "verification": null }] });
    deliver(&world, "user.created", &user(&id, "another", &unverified)).await;
    assert_eq!(world.get(pair).await.status(), 401, "an address that isn't verified may be another person's");
    deliver(&world, "user.created", &user(&id, "kim", &json!({}))).await;
    assert_eq!(world.get(pair).await.status(), 200);
}

/// A user chooses a name, and adds addresses, without proving anything. Some instances let a name consist of digits
/// (`allow_numeric_usernames`) or contain a plus (`allow_extended_special_characters`).
#[tokio::test(start_paused = true)]
async fn w5_a_user_whose_name_or_address_is_anothers_lifts_no_refusal_of_theirs() {
    const NUMBER: &str = "+4915123456789";
    let world = World::unlimited();
    world.fake.add_user(FakeUser::new(NUMBER).password("a password of a person with a phone"));
    world.fake.ban(NUMBER);
    let pair: Pair = (NUMBER, "a password of a person with a phone");
    assert_eq!(world.get(pair).await.status(), 401, "banned");
    let calls = world.fake.count(Endpoint::Any);
    let unverified =
        |address: &str| json!([{ "email_address": address, "verification": { "status": "unverified" } }]);
    for (at, name) in ["4915123456789", "+4915123456789", "+49-151-23456789"].into_iter().enumerate() {
        let attacker = format!("user_attacker_{at}");
        for event_type in ["user.updated", "user.created"] {
            let mallory = user(&attacker, name, &json!({ "email_addresses": unverified(NUMBER) }));
            deliver(&world, event_type, &mallory).await;
        }
        assert_eq!(world.get(pair).await.status(), 401, "{name}");
    }
    assert_eq!(world.fake.count(Endpoint::Any), calls, "Clerk isn't asked about the banned user again");
}

#[tokio::test(start_paused = true)]
async fn w5_ordinary_events_lift_no_refusal_of_a_wrong_password() {
    let mut counts = Vec::new();
    for with_events in [false, true] {
        let world = World::unlimited();
        let id = signed_in(&world).await;
        let mut codes = Vec::new();
        for at in 0..40 {
            let response = world.get_as(JANE.0, &format!("guess {}", at / 2)).await;
            codes.push(code(&response).to_owned());
            if with_events {
                updated(&world, &id, json!({ "last_sign_in_at": millis(world.clock.wall()) })).await;
            }
            tokio::time::advance(SECOND).await;
        }
        counts.push((codes, world.fake.count(Endpoint::SignIns)));
    }
    assert_eq!(counts[0], counts[1], "an attacker who makes events fly gains no guess");
    assert!(counts[0].0.contains(&"throttled".to_owned()));
}
