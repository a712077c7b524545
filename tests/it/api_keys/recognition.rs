//! Which credentials are a key, and which layers can accept one (rules T1, T3).

use std::time::Duration;

use tower_clerk::testing::Endpoint;
use tower_clerk::{ApiKeys, AuthorizationHeader, ConfigError, OrganizationSelector};

use super::{ACCEPTED, REFUSED, TOKEN, accepting, calls, key, secret_of, status, verifications, with_key};
use crate::common::{JANE, World, ask, basic, code, session, with_authorization};

#[tokio::test(start_paused = true)]
async fn t1_a_key_is_told_by_its_user_name_and_its_prefix() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    let response = with_key(&layer, &secret).await;
    assert_eq!(key(&response).id(), world.fake.demo_api_key("jane").0);
    assert_eq!((verifications(&world), world.fake.count(Endpoint::VerifyPassword)), (1, 0));
    // Neither is one of the two enough: these are passwords.
    for (name, password) in [(TOKEN, "hunter2"), (TOKEN, &secret[1..]), ("jane@example.com", &secret)] {
        let response = ask(&layer, basic((name, password))).await;
        assert_eq!((response.status().as_u16(), code(&response)), REFUSED, "{name}");
    }
    assert_eq!(verifications(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn t1_a_password_that_begins_like_a_key_is_a_password() {
    let world = World::backend();
    world.fake.set_password("jane", "ak_is my password");
    let layer = accepting(&world);
    let response = ask(&layer, basic((JANE.0, "ak_is my password"))).await;
    assert!(session(&response).user_id().starts_with("user_"));
    assert_eq!(verifications(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn t1_the_subjects_own_id_is_a_user_name_too_and_must_match() {
    let world = World::backend();
    let layer = accepting(&world);
    for (owner, other) in [("jane", "acme"), ("acme", "jane")] {
        let secret = secret_of(&world, owner);
        let subject = key(&with_key(&layer, &secret).await).subject().to_owned();
        let response = ask(&layer, basic((&subject, &secret))).await;
        assert_eq!(key(&response).subject(), subject);
        let of_other = secret_of(&world, other);
        let before = calls(&world);
        let response = ask(&layer, basic((&subject, &of_other))).await;
        assert_eq!((response.status().as_u16(), code(&response)), REFUSED);
        assert_eq!(calls(&world) - before, 1, "nothing is looked up for it");
        assert_eq!(status(&layer, &of_other).await, ACCEPTED, "the key itself is not refused");
    }
    assert_eq!(world.fake.count(Endpoint::VerifyPassword), 0);
}

#[tokio::test(start_paused = true)]
async fn t1_a_layer_without_keys_takes_one_for_a_password_and_a_user_name_can_be_chosen() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    assert_eq!(status(&world.layer(), &secret).await, REFUSED);
    let layer = world.layer().accept_api_keys(ApiKeys::new().user_name("deploy bot")).unwrap();
    assert_eq!(status(&layer, &secret).await, REFUSED);
    assert_eq!(verifications(&world), 0);
    let response = ask(&layer, basic(("deploy bot", &secret))).await;
    assert_eq!((response.status().as_u16(), verifications(&world)), (200, 1));
}

/// A layer that decodes credentials in a way of its own finds the same keys, however they are spelled.
#[tokio::test(start_paused = true)]
async fn t1_a_key_is_never_tried_as_a_password_in_any_way_of_decoding() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    let form = accepting(&world).form_encoded_credentials();
    for name in ["__token__", "%5F%5ftoken__", "__token%5F_"] {
        for password in [secret.clone(), secret.replacen('k', "%6b", 1)] {
            let response = ask(&form, basic((name, &password))).await;
            assert_eq!(response.status(), 200, "{name}");
        }
    }
    let suffix =
        accepting(&world).organization_by(OrganizationSelector::identifier_suffix('/', ["acme"])).unwrap();
    let response = ask(&suffix, basic(("__token__/acme", &secret))).await;
    assert!(key(&response).organization_id().is_some());
    assert_eq!(world.fake.count(Endpoint::VerifyPassword) + world.fake.count(Endpoint::Users), 0);
}

#[tokio::test(start_paused = true)]
async fn t1_a_key_as_bearer_is_refused() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    let bearer = || with_authorization(&format!("Bearer {secret}"));
    assert_eq!(code(&ask(&accepting(&world), bearer()).await), "credentials_missing");
    let both = accepting(&world).accept_bearer(tower_clerk::BearerTokens::new()).unwrap();
    assert_eq!(code(&ask(&both, bearer()).await), "credentials_rejected");
    assert_eq!(status(&both, &secret).await, ACCEPTED);
    assert_eq!(verifications(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn t3_a_layer_that_can_not_accept_keys_is_not_built() {
    let frontend = World::new();
    let error = frontend.layer().accept_api_keys(ApiKeys::new()).unwrap_err();
    assert!(matches!(error, ConfigError::NeedsSecretKey { .. }), "{error}");
    let world = World::backend();
    let bearer = world.layer().authorization_header(AuthorizationHeader::Bearer).unwrap();
    for error in [
        bearer.accept_api_keys(ApiKeys::new()).unwrap_err(),
        accepting(&world).authorization_header(AuthorizationHeader::Bearer).unwrap_err(),
    ] {
        assert!(matches!(error, ConfigError::ApiKeysHaveNoToken), "{error}");
    }
    let long = "x".repeat(65);
    for name in ["", "a:b", "line\nbreak", &long, "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug"] {
        let error = world.layer().accept_api_keys(ApiKeys::new().user_name(name)).unwrap_err();
        assert!(matches!(error, ConfigError::ApiKeyUserName { .. }), "{error}");
    }
    for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(3601)] {
        let error = world.layer().accept_api_keys(ApiKeys::new().ttl(ttl)).unwrap_err();
        assert!(matches!(error, ConfigError::Setting { .. }), "{error}");
    }
}
