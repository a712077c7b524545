//! Clerk sends no event about API keys, and events about their users and organizations end them (rules T6, W5).

use serde_json::{Value, json};
use tower_clerk::testing::{Endpoint, FakeApiKey};
use tower_clerk::{ApiKeys, ClerkBasicAuthLayer};

use super::{SECOND, deliver, user};
use crate::common::{World, ask, basic, code};

const ACCEPTED: (u16, &str) = (200, "");
const REFUSED: (u16, &str) = (401, "credentials_rejected");
const FORBIDDEN: (u16, &str) = (403, "organization_forbidden");

fn world() -> World {
    World::backend_with(|fake| fake.no_rate_limit(), |engine| engine.backend_rate(10_000, SECOND))
}

fn accepting(world: &World) -> ClerkBasicAuthLayer {
    world.layer().accept_api_keys(ApiKeys::new()).unwrap()
}

async fn status(layer: &ClerkBasicAuthLayer, secret: &str) -> (u16, &'static str) {
    let response = ask(layer, basic(("__token__", secret))).await;
    (response.status().as_u16(), code(&response))
}

fn add(world: &World, key: FakeApiKey) -> String {
    world.fake.api_key_secret(&world.fake.add_api_key(key))
}

fn membership(user: &str, organization: &str) -> Value {
    json!({
        "id": "orgmem_1",
        "organization": { "id": organization },
        "public_user_data": { "user_id": user },
    })
}

#[tokio::test(start_paused = true)]
async fn t6_an_event_about_its_user_or_organization_ends_a_key_at_the_next_request() {
    for (what, is_for_acme, expected) in [
        ("user.deleted", false, REFUSED),
        ("user.updated", false, REFUSED),
        ("organizationMembership.deleted", true, FORBIDDEN),
        ("organization.updated", true, FORBIDDEN),
        ("the creator's organizationMembership.deleted", false, REFUSED),
        ("organization.deleted", false, REFUSED),
    ] {
        let world = world();
        let (bob, acme) = (world.fake.user_id("bob").unwrap(), world.fake.organization_id("acme").unwrap());
        let subject = if what.contains("creator") || what == "organization.deleted" { "acme" } else { "bob" };
        let secret = add(&world, FakeApiKey::new(subject).created_by("bob"));
        let layer = match is_for_acme {
            true => accepting(&world).organization("acme").unwrap(),
            false => accepting(&world),
        };
        assert_eq!(status(&layer, &secret).await, ACCEPTED, "{what}");
        let data = match what {
            "user.deleted" => {
                world.fake.delete_user("bob");
                json!({ "object": "user", "id": bob, "deleted": true })
            }
            "user.updated" => {
                world.fake.ban("bob");
                user(&bob, "bob", &json!({ "banned": true }))
            }
            "organization.updated" => {
                world.fake.set_slug("acme", "acme-two");
                json!({ "id": acme, "slug": "acme-two" })
            }
            "organization.deleted" => {
                world.fake.delete_organization("acme");
                json!({ "id": acme, "deleted": true })
            }
            _ => {
                world.fake.remove_member("bob", "acme");
                membership(&bob, &acme)
            }
        };
        assert_eq!(status(&layer, &secret).await, ACCEPTED, "{what}: held");
        deliver(&world, what.rsplit(' ').next().unwrap(), &data).await;
        assert_eq!(status(&layer, &secret).await, expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_creator_who_becomes_a_member_again_brings_the_organizations_keys_back_at_once() {
    let world = world();
    let layer = accepting(&world);
    let (bob, acme) = (world.fake.user_id("bob").unwrap(), world.fake.organization_id("acme").unwrap());
    let secret = add(&world, FakeApiKey::new("acme").created_by("bob"));
    world.fake.remove_member("bob", "acme");
    // Long enough for the refusals to be remembered for an hour.
    for seconds in [11, 61, 601, 1] {
        assert_eq!(status(&layer, &secret).await, REFUSED);
        assert_eq!(status(&layer, "ak_made_up").await, REFUSED);
        tokio::time::advance(seconds * SECOND).await;
    }
    world.fake.add_member("bob", "acme", "org:member");
    assert_eq!(status(&layer, &secret).await, REFUSED, "remembered");
    deliver(&world, "organizationMembership.created", &membership(&bob, &acme)).await;
    let before = world.fake.count(Endpoint::VerifyApiKey);
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    assert_eq!(status(&layer, "ak_made_up").await, REFUSED);
    assert_eq!(world.fake.count(Endpoint::VerifyApiKey) - before, 1, "the other refusal is remembered");
}

#[tokio::test(start_paused = true)]
async fn w5_the_end_of_a_ban_lets_the_users_keys_in_and_no_other_refused_key() {
    let world = world();
    let layer = accepting(&world);
    let bob = world.fake.user_id("bob").unwrap();
    let secret = add(&world, FakeApiKey::new("bob"));
    world.fake.ban("bob");
    // Long enough for the refusals to be remembered for an hour.
    for seconds in [11, 61, 601, 1] {
        assert_eq!(status(&layer, &secret).await, REFUSED);
        assert_eq!(status(&layer, "ak_made_up").await, REFUSED);
        tokio::time::advance(seconds * SECOND).await;
    }
    world.fake.unban("bob");
    assert_eq!(status(&layer, &secret).await, REFUSED, "remembered");
    deliver(&world, "user.updated", &user(&bob, "bob", &json!({}))).await;
    let before = world.fake.count(Endpoint::VerifyApiKey);
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    assert_eq!(status(&layer, "ak_made_up").await, REFUSED);
    assert_eq!(world.fake.count(Endpoint::VerifyApiKey) - before, 1, "the other refusal is remembered");
}
