//! The conditions of a layer: party, life, organization (rules B2, B4).

use std::time::Duration;

use serde_json::Value;
use tower_clerk::testing::{Endpoint, TokenFlaw};
use tower_clerk::{BearerRefusal, BearerTokens, Credentials, OrganizationSelector, RequestOrganization};

use super::{
    ACCEPTED, EXPIRED, FORBIDDEN, JANE_ID, REFUSED, SECOND, accepting, bearer, jane, refusal, status,
};
use crate::common::{BOB, JANE, World, ask, basic, code, organization_of, session};

const APP: &str = "https://app.example.com";

#[tokio::test(start_paused = true)]
async fn b2_a_token_of_another_party_is_refused() {
    let world = World::new();
    let tokens = BearerTokens::new().authorized_parties(["https://admin.example.com", APP]);
    let layer = world.layer().accept_bearer(tokens).unwrap();
    let browser = jane(&world);
    assert_eq!(status(&layer, &browser.clone().origin(APP).sign()).await, ACCEPTED);
    for other in ["https://evil.example.com", "https://app.example.com.evil.net", "http://app.example.com"] {
        let jwt = browser.clone().origin(other).sign();
        // Also from the cache: another layer has let it in.
        assert_eq!(status(&accepting(&world), &jwt).await, ACCEPTED, "{other}");
        let response = ask(&layer, bearer(&jwt)).await;
        let reason = "the token is for another authorized party";
        assert_eq!(refusal(&response), (401, Some(BearerRefusal::Other), reason), "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn b2_a_token_without_a_party_passes_only_while_the_engine_holds_its_session() {
    let world = World::new();
    let layer = world.layer().accept_bearer(BearerTokens::new().authorized_parties([APP])).unwrap();
    let response = ask(&layer, bearer(&jane(&world).sign())).await;
    assert_eq!(refusal(&response).2, "the token names no authorized party");

    let held = ask(&layer, basic(JANE)).await;
    let (own, session_id) = (session(&held).token().to_owned(), session(&held).session_id().to_owned());
    assert_eq!(session(&held).claims().authorized_party(), None);
    assert_eq!(status(&layer, &own).await, ACCEPTED);
    // Another user's token that names this session: Clerk never signs one, and it is not believed either.
    let bob = world.fake.token(&world.fake.open_session(BOB.0)).claim("sid", &*session_id).sign();
    assert_eq!(status(&layer, &bob).await, REFUSED);

    world.clerk.sign_out(&Credentials::new(JANE.0, JANE.1).unwrap()).await.unwrap();
    let later = world.fake.token(&world.fake.open_session(JANE_ID)).claim("sid", session_id);
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(status(&layer, &later.sign()).await, REFUSED, "the session isn't held any longer");
}

#[tokio::test(start_paused = true)]
async fn b2_a_token_of_an_overlong_life_is_refused() {
    let world = World::new();
    let layer = accepting(&world);
    let of = |seconds| jane(&world).life(seconds * SECOND).sign();
    assert_eq!(status(&layer, &of(600)).await, ACCEPTED);
    let response = ask(&layer, bearer(&of(601))).await;
    assert_eq!(refusal(&response).2, "the token was issued for too long a life");

    // The engine's own tokens are accepted, however long they live.
    let hour = Duration::from_secs(3600);
    let world = World::backend_with(|fake| fake, |engine| engine.token_lifetime(hour));
    let layer = accepting(&world);
    let own = ask(&layer, basic(JANE)).await;
    assert_eq!(status(&layer, session(&own).token()).await, ACCEPTED);
    assert_eq!(status(&layer, &jane(&world).life(hour).sign()).await, ACCEPTED);
    assert_eq!(status(&layer, &jane(&world).life(hour + SECOND).sign()).await, REFUSED);
    let short = World::backend_with(|fake| fake, |engine| engine.token_lifetime(30 * SECOND));
    assert_eq!(status(&accepting(&short), &jane(&short).life(600 * SECOND).sign()).await, ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn b2_times_are_judged_by_clerks_clock_with_five_seconds_of_leeway() {
    // Clerk is two minutes ahead of this machine, which the first answer to a POST tells.
    let world = World::with(|fake| fake.clock_skew(120), |engine| engine);
    let layer = accepting(&world);
    let jwt = jane(&world).sign();
    assert_eq!(status(&layer, &jwt).await, REFUSED, "not valid yet, by the clock of this machine");
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(status(&layer, &jwt).await, ACCEPTED);
    let iat = session(&ask(&layer, bearer(&jwt)).await).claims().issued_at();
    let from = |ahead: u64| jane(&world).claim("iat", iat + ahead).claim("nbf", Value::Null).sign();
    assert_eq!((status(&layer, &from(5)).await, status(&layer, &from(6)).await), (ACCEPTED, REFUSED));
    let jwt = jane(&world).sign();
    tokio::time::advance(64 * SECOND).await;
    assert_eq!(status(&layer, &jwt).await, ACCEPTED);
    tokio::time::advance(SECOND).await;
    assert_eq!(status(&layer, &jwt).await, EXPIRED);
}

#[tokio::test(start_paused = true)]
async fn b2_a_pending_session_and_another_instance_are_refused() {
    let world = World::new();
    let layer = accepting(&world);
    for flaw in [TokenFlaw::Pending, TokenFlaw::WrongIssuer] {
        assert_eq!(status(&layer, &jane(&world).flaw(flaw).sign()).await, REFUSED, "{flaw:?}");
    }
    let issuer = format!("{}/", world.fake.issuer());
    assert_eq!(status(&layer, &jane(&world).claim("iss", issuer).sign()).await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn b4_the_token_must_be_for_the_organization_of_the_request() {
    let world = World::new();
    let browser = jane(&world);
    let (personal, acme, globex) = (
        browser.sign(),
        browser.clone().organization("acme").sign(),
        browser.clone().organization("globex").sign(),
    );
    let plain = accepting(&world);
    let by_slug = accepting(&world).organization("acme").unwrap();
    let response = ask(&by_slug, bearer(&acme)).await;
    assert_eq!(organization_of(&response), Some("acme"));
    let id = session(&response).organization().unwrap().id().to_owned();
    let by_id = accepting(&world).organization(id).unwrap();
    for _ in ["from a verification", "from the cache"] {
        for (layer, jwt, expected) in [
            (&plain, &personal, ACCEPTED),
            (&plain, &acme, FORBIDDEN),
            (&by_slug, &personal, FORBIDDEN),
            (&by_slug, &acme, ACCEPTED),
            (&by_slug, &globex, FORBIDDEN),
            (&by_id, &personal, FORBIDDEN),
            (&by_id, &acme, ACCEPTED),
            (&by_id, &globex, FORBIDDEN),
        ] {
            assert_eq!(status(layer, jwt).await, expected);
        }
    }
    assert_eq!(code(&ask(&plain, bearer(&acme)).await), "organization_forbidden");
}

#[tokio::test(start_paused = true)]
async fn b4_the_selectors_organization_holds_for_bearer_too() {
    let world = World::new();
    let acme = jane(&world).organization("acme").sign();
    let personal = jane(&world).sign();
    let with = |organization: RequestOrganization| {
        accepting(&world).organization_from(move |_| organization.clone())
    };
    for (organization, of_acme, of_personal) in [
        (RequestOrganization::named("acme"), ACCEPTED, FORBIDDEN),
        (RequestOrganization::named("globex"), FORBIDDEN, FORBIDDEN),
        (RequestOrganization::named("../acme"), FORBIDDEN, FORBIDDEN),
        (RequestOrganization::Personal, FORBIDDEN, ACCEPTED),
        (RequestOrganization::Refused, FORBIDDEN, FORBIDDEN),
    ] {
        let layer = with(organization.clone());
        assert_eq!(status(&layer, &acme).await, of_acme, "{organization:?}");
        assert_eq!(status(&layer, &personal).await, of_personal, "{organization:?}");
    }
    world.fake.clear_log();
    let response = ask(&with(RequestOrganization::Refused), bearer("x.y.z")).await;
    assert_eq!((code(&response), world.fake.count(Endpoint::Jwks)), ("organization_forbidden", 0));
}

#[tokio::test(start_paused = true)]
async fn b4_no_token_is_for_an_organization_that_the_identifier_or_the_allow_list_has_to_name() {
    let world = World::new();
    let (acme, personal) = (jane(&world).organization("acme").sign(), jane(&world).sign());
    let by = |selector| accepting(&world).organization_by(selector).unwrap();
    let suffix = by(OrganizationSelector::identifier_suffix('/', ["acme"]));
    let header = || OrganizationSelector::header("x-organization");
    let (unlisted, listed) = (by(header().allow(["globex"])), by(header().allow(["acme"])));
    let request = |jwt: &str| {
        let mut request = bearer(jwt);
        request.headers_mut().insert("x-organization", "acme".parse().unwrap());
        request
    };
    for jwt in [&acme, &personal] {
        assert_eq!(status(&suffix, jwt).await, FORBIDDEN);
        assert_eq!(code(&ask(&unlisted, request(jwt)).await), "organization_forbidden");
    }
    // Also when the token is held.
    assert_eq!(organization_of(&ask(&listed, request(&acme)).await), Some("acme"));
    assert_eq!(code(&ask(&unlisted, request(&acme)).await), "organization_forbidden");
}
