//! Template tokens when two credentials of one user share a Clerk session. Clerk mints such a token for the
//! organization that the *session* was last touched for, by either credential (rule S8).

use std::time::Duration;

use http::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower_clerk::ClerkBasicAuthLayer;
use tower_clerk::testing::Endpoint;

use crate::common::{
    NEWDEVICE, NEWDEVICE_RESPELLED, Pair, World, ask, basic, enroll, in_time, rest, run_ready_tasks, session,
};

/// A layer, and the credentials that are sent through it.
type Way = (ClerkBasicAuthLayer, Pair);

/// A user who is a member of `acme` and an administrator of `globex`, and a template with the organization and the
/// role.
async fn world() -> World {
    let world = World::unlimited();
    let claims = json!({ "organization": "{{org.slug}}", "role": "{{org.role}}" });
    world.fake.add_template("partner", Duration::from_secs(120), claims.as_object().unwrap().clone());
    world.fake.add_member(NEWDEVICE.0, "acme", "org:member");
    world.fake.add_member(NEWDEVICE.0, "globex", "org:admin");
    enroll(&world, NEWDEVICE).await;
    rest().await;
    world
}

/// Two spellings of one identifier.
fn spellings(world: &World) -> (Way, Way) {
    ((world.layer(), NEWDEVICE), (world.layer(), NEWDEVICE_RESPELLED))
}

/// A layer that doesn't decode forms, and one that does.
fn decodings(world: &World) -> (Way, Way) {
    let encoded = ("newdevice%40example.com", "trust+me+on+a+device");
    ((world.layer(), NEWDEVICE), (world.layer().form_encoded_credentials(), encoded))
}

/// Signs both credentials in. The second adopts the session of the first.
async fn share((one, other): &(Way, Way)) {
    let one = ask(&one.0, basic(one.1)).await;
    let other = ask(&other.0, basic(other.1)).await;
    assert_eq!(session(&one).session_id(), session(&other).session_id(), "they share a Clerk session");
}

/// Requests a token of the template for this organization.
fn ask_for((layer, pair): &Way, organization: Option<&str>) -> JoinHandle<Response<String>> {
    let (mut layer, pair) = (layer.clone().template("partner").unwrap(), *pair);
    if let Some(organization) = organization {
        layer = layer.organization(organization).unwrap();
    }
    tokio::spawn(async move { ask(&layer, basic(pair)).await })
}

/// Returns the organization of a template token, and the role in it.
#[track_caller]
fn partner(response: &Response<String>) -> (Option<String>, Option<String>) {
    let claims: Value = session(response).custom_claims().unwrap();
    let claim = |name: &str| claims[name].as_str().filter(|claim| !claim.is_empty()).map(str::to_owned);
    (claim("organization"), claim("role"))
}

async fn two_at_once(ways: fn(&World) -> (Way, Way)) {
    let world = world().await;
    let ways = ways(&world);
    share(&ways).await;
    let hold = world.fake.hold(Endpoint::TemplateTokens);
    let acme = ask_for(&ways.0, Some("acme"));
    // The session is touched for acme, and the mint that follows is in flight.
    in_time(hold.arrived(1)).await;
    let globex = ask_for(&ways.1, Some("globex"));
    run_ready_tasks().await;
    hold.release();
    let (acme, globex) = (acme.await.unwrap(), globex.await.unwrap());
    let got = partner(&acme);
    let member = (Some("acme".to_owned()), Some("org:member".to_owned()));
    assert!(got == member, "a request for acme got a token of another organization: {got:?}");
    assert_eq!(partner(&globex).1.as_deref(), Some("org:admin"));
}

async fn one_after_the_other(ways: fn(&World) -> (Way, Way)) {
    let world = world().await;
    let ways = ways(&world);
    share(&ways).await;
    let globex = ask_for(&ways.1, Some("globex")).await.unwrap();
    assert_eq!(
        partner(&globex).0.as_deref(),
        Some("globex"),
        "the other credential gets the organization it asks for"
    );
    let personal = ask_for(&ways.0, None).await.unwrap();
    let got = partner(&personal);
    assert!(got == (None, None), "a request for no organization got a token of one: {got:?}");
}

/// No touch for one spelling runs between the touch and the mint for the other.
#[tokio::test(start_paused = true)]
async fn s8_a_template_token_is_never_for_another_organization_with_two_spellings() {
    two_at_once(spellings).await;
}

/// Like the previous test, with a layer that decodes forms and one that doesn't.
#[tokio::test(start_paused = true)]
async fn s8_a_template_token_is_never_for_another_organization_with_two_decodings() {
    two_at_once(decodings).await;
}

/// The session is touched again for a personal token after the other credential touched it for an organization.
#[tokio::test(start_paused = true)]
async fn s7_a_personal_template_token_names_no_organization_with_two_spellings() {
    one_after_the_other(spellings).await;
}

/// Like the previous test, with a layer that decodes forms and one that doesn't.
#[tokio::test(start_paused = true)]
async fn s7_a_personal_template_token_names_no_organization_with_two_decodings() {
    one_after_the_other(decodings).await;
}
