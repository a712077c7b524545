//! Organizations and memberships, as an administrator changes them.

use fake_clerk::{FakeClerk, FakeOrganization, FakeUser};

use super::caller::{Caller, part};

const BOB: &str = "hunter2hunter2";

#[tokio::test(start_paused = true)]
async fn changing_a_role_keeps_the_membership_and_the_sessions() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("bob", BOB).await;
    let touched = caller.post(&format!("{session}/touch"), &[("active_organization_id", "acme")]).await.ok();
    let organization = touched["response"]["last_active_organization_id"].clone();
    let before = &touched["response"]["user"]["organization_memberships"][0];
    clerk.add_member("bob", "acme", "org:admin");
    assert_eq!(clerk.sessions()[0].last_active_organization_id(), organization.as_str());
    let claims = part(&caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"], 1);
    assert_eq!((&claims["o"]["slg"], &claims["o"]["rol"]), (&"acme".into(), &"admin".into()));
    let shown = caller.get(&session).await.ok();
    let memberships = shown["response"]["user"]["organization_memberships"].as_array().unwrap();
    assert_eq!(memberships.len(), 1);
    assert_eq!((&memberships[0]["id"], &memberships[0]["role"]), (&before["id"], &"org:admin".into()));
    assert_eq!(memberships[0]["organization"]["members_count"], before["organization"]["members_count"]);
}

#[test]
#[should_panic(expected = r#"acme has no role "admin": it has org:admin, org:member"#)]
fn adding_a_member_with_an_unknown_role_panics() {
    FakeClerk::new().add_member("carol@example.com", "acme", "admin");
}

#[test]
#[should_panic(expected = r#"another organization has the slug "acme""#)]
fn a_slug_belongs_to_one_organization() {
    FakeClerk::new().add_organization(FakeOrganization::new("acme"));
}

#[test]
fn an_organization_replaces_one_with_the_same_id() {
    let clerk = FakeClerk::builder().empty().build();
    let acme = || FakeOrganization::new("acme").id("org_1");
    clerk.add_organization(acme());
    clerk.add_user(FakeUser::new("ada"));
    clerk.add_member("ada", "acme", "org:member");
    assert_eq!(clerk.add_organization(acme().name("Acme Ltd.")), "org_1");
    // The members stay, and can be removed.
    clerk.remove_member("ada", "acme");
    // The organization's previous slug is free again.
    clerk.add_organization(FakeOrganization::new("acme-ltd").id("org_1"));
    clerk.add_organization(FakeOrganization::new("acme"));
}

#[test]
fn a_slug_has_only_lower_case_letters_digits_and_dashes() {
    for slug in ["Acme Inc", "Acme", "acme_inc", "acme.inc", "", "gärtner"] {
        let add = || FakeClerk::new().add_organization(FakeOrganization::new(slug));
        let panic = std::panic::catch_unwind(add).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        let expected = format!("{slug:?} is no slug: one has lower-case letters, digits and dashes only");
        assert_eq!(message, &expected);
    }
    FakeClerk::new().add_organization(FakeOrganization::new("acme-2"));
}
