//! The organization of a request with a key (rules T4, A8).

use tower_clerk::testing::{Endpoint, FakeApiKey};
use tower_clerk::{ApiKeys, OrganizationSelector, RequestOrganization};

use super::{ACCEPTED, FORBIDDEN, accepting, add, calls, key, secret_of, status, with_key};
use crate::common::World;

const ACME: &str = "org_ojHFcumdg8ZxYa1pebKSFy9ijB5";

#[tokio::test(start_paused = true)]
async fn t4_an_organization_is_asked_for_by_id_or_slug_and_the_key_says_which() {
    let world = World::backend();
    for name in ["acme", ACME] {
        let layer = accepting(&world).organization(name).unwrap();
        for owner in ["jane", "acme"] {
            let response = with_key(&layer, &secret_of(&world, owner)).await;
            assert_eq!(key(&response).organization_id(), Some(ACME), "{owner}");
            assert_eq!(key(&response).user_id().is_some(), owner == "jane");
        }
    }
    let any = accepting(&world);
    assert_eq!(key(&with_key(&any, &secret_of(&world, "jane")).await).organization_id(), None);
    assert_eq!(key(&with_key(&any, &secret_of(&world, "acme")).await).organization_id(), Some(ACME));
}

#[tokio::test(start_paused = true)]
async fn t4_what_is_looked_up_once_serves_all_organizations_of_the_user() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    assert_eq!(status(&accepting(&world), &secret).await, ACCEPTED);
    let before = calls(&world);
    for (name, expected) in [("acme", ACCEPTED), ("globex", ACCEPTED), ("initech", FORBIDDEN)] {
        assert_eq!(status(&accepting(&world).organization(name).unwrap(), &secret).await, expected, "{name}");
    }
    assert_eq!(calls(&world) - before, 1, "the memberships, and no further verification");
    assert_eq!(world.fake.count(Endpoint::UserMemberships), 1);
}

#[tokio::test(start_paused = true)]
async fn t4_an_organizations_key_is_not_for_a_personal_account_that_a_selector_names() {
    let world = World::backend();
    let personal = accepting(&world).organization_from(|_| RequestOrganization::Personal);
    assert_eq!(status(&personal, &secret_of(&world, "jane")).await, ACCEPTED);
    assert_eq!(status(&personal, &secret_of(&world, "acme")).await, FORBIDDEN);
    let none = accepting(&world).organization_by(OrganizationSelector::path("/orgs/{org}")).unwrap();
    let before = calls(&world);
    assert_eq!(status(&none, &secret_of(&world, "jane")).await, FORBIDDEN, "the path names none");
    let listed = accepting(&world).organization_from(|_| Some("Not A Slug".to_owned()));
    assert_eq!(status(&listed, &secret_of(&world, "jane")).await, FORBIDDEN);
    assert_eq!(calls(&world), before, "no call for a name that no organization has");
}

#[tokio::test(start_paused = true)]
async fn t6_the_checks_of_subject_and_creator_can_be_turned_off() {
    let world = World::backend();
    let (_, banned) = add(&world, FakeApiKey::new("banned@example.com"));
    let (_, left) = add(&world, FakeApiKey::new("acme").created_by("bob"));
    world.fake.remove_member("bob", "acme");
    let keys = ApiKeys::new().check_subject(false).check_creator(false);
    let lenient = world.layer().accept_api_keys(keys).unwrap();
    for secret in [&banned, &left] {
        let before = calls(&world);
        assert_eq!(status(&lenient, secret).await, ACCEPTED);
        assert_eq!(calls(&world) - before, 1);
        // A layer with the checks makes them for itself, and verifies nothing again for that.
        assert_eq!(status(&accepting(&world), secret).await, super::REFUSED);
        assert_eq!(world.fake.count(Endpoint::VerifyApiKey), 1);
        world.fake.clear_log();
    }
}
