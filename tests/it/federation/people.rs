//! Finding the user of a person, without ever making one (rule X2).

use tower_clerk::federation::{Assertion, Provider};
use tower_clerk::testing::{
    FakeEnterpriseAccount, FakeExternalAccount, FakeIssuer, FakeUser, VerificationStatus,
};

use super::{Federated, LOGIN, NOBODY, NONCE, Outcome, PORTAL, ada, jobs, people};

/// A person's assertion, with these claims.
fn person(issuer: &FakeIssuer, subject: &str, claims: serde_json::Value) -> Assertion {
    let mut assertion = issuer.assertion(subject, PORTAL).claim("nonce", NONCE);
    let serde_json::Value::Object(claims) = claims else { panic!("claims are an object") };
    for (name, value) in claims {
        assertion = assertion.claim(&name, value);
    }
    Assertion::new(assertion.sign()).nonce(NONCE)
}

#[tokio::test(start_paused = true)]
async fn x2_a_person_without_a_link_is_nobody_and_no_user_is_made() {
    let setup = Federated::new();
    let claims = serde_json::json!({"email": "ada@acme.com", "email_verified": true, "name": "Ada"});
    for subject in ["ada-8", "ADA-7", "ada-7 ", "user_ada", "ada@acme.com"] {
        assert_eq!(setup.outcome(&person(&setup.login, subject, claims.clone())).await, NOBODY, "{subject}");
    }
    let asked = setup.world.fake.requests();
    assert!(!asked.is_empty() && asked.iter().all(|request| request.method() == http::Method::GET));
}

#[tokio::test(start_paused = true)]
async fn x2_a_link_counts_only_if_it_is_verified_of_this_provider_and_of_one_user() {
    let link = |provider: &str| FakeExternalAccount::new(provider, "ada-7");
    for (what, account, counts) in [
        ("verified", link("oauth_custom_acme"), true),
        ("unverified", link("oauth_custom_acme").verification(VerificationStatus::Unverified), false),
        ("transferable", link("oauth_custom_acme").verification(VerificationStatus::Transferable), false),
        ("expired", link("oauth_custom_acme").verification(VerificationStatus::Expired), false),
        ("of nothing", link("oauth_custom_acme").verification(None), false),
        ("of another provider", link("oauth_google"), false),
    ] {
        let setup = Federated::new();
        setup.world.fake.delete_user("user_ada");
        setup.world.fake.add_user(FakeUser::new("ada@acme.com").id("user_new").external_account(account));
        let expected = if counts { Outcome::of("user_new") } else { NOBODY };
        assert_eq!(setup.outcome(&setup.ada()).await, expected, "{what}");
    }
    let setup = Federated::new();
    setup.world.fake.add_user(FakeUser::new("eve").external_account(link("oauth_custom_acme")));
    assert_eq!(setup.outcome(&setup.ada()).await, NOBODY, "two users have it");
}

#[tokio::test(start_paused = true)]
async fn x2_the_claim_that_names_a_person_is_the_configured_one() {
    let setup = Federated::with(people().subject_claim("oid"), jobs());
    let oid = |oid: &str| serde_json::json!({ "oid": oid });
    assert_eq!(setup.outcome(&person(&setup.login, "any", oid("ada-7"))).await, Outcome::of("user_ada"));
    assert_eq!(setup.outcome(&person(&setup.login, "ada-7", oid("other"))).await, NOBODY);
    let lacks = Outcome::refused("the assertion lacks a claim that it must have");
    assert_eq!(setup.outcome(&person(&setup.login, "ada-7", serde_json::json!({}))).await, lacks);
}

#[tokio::test(start_paused = true)]
async fn x2_an_enterprise_account_is_found_by_address_and_accepted_by_its_id() {
    let account =
        |connection: &str, id: &str| FakeEnterpriseAccount::new(connection, id).email("eve@acme.com");
    let claims = serde_json::json!({"email": "eve@acme.com"});
    for (what, account, counts) in [
        ("right", account("ent_1", "00u1"), true),
        ("another id", account("ent_1", "00u2"), false),
        ("another connection", account("ent_2", "00u1"), false),
        ("no id", account("ent_1", "00u1").no_provider_user_id(), false),
        ("inactive", account("ent_1", "00u1").active(false), false),
        ("of an inactive connection", account("ent_1", "00u1").connection_active(false), false),
        ("unverified", account("ent_1", "00u1").verification(VerificationStatus::Unverified), false),
    ] {
        let people = Provider::oidc(LOGIN).audience(PORTAL).link_enterprise("ent_1");
        let setup = Federated::with(people, jobs());
        setup.world.fake.add_user(FakeUser::new("eve@acme.com").id("user_eve").enterprise_account(account));
        let expected = if counts { Outcome::of("user_eve") } else { NOBODY };
        assert_eq!(setup.outcome(&person(&setup.login, "00u1", claims.clone())).await, expected, "{what}");
        // Without the address, Clerk can't be asked.
        let unnamed = person(&setup.login, "00u3", serde_json::json!({}));
        assert_eq!(setup.outcome(&unnamed).await, NOBODY, "{what}");
    }
}

/// The attack that is known as nOAuth: an address at the provider is that of somebody else's account.
#[tokio::test(start_paused = true)]
async fn x2_an_address_takes_no_account_over() {
    let claims = serde_json::json!({"email": "ada@acme.com", "email_verified": true});
    let setup = Federated::new();
    assert_eq!(
        setup.outcome(&person(&setup.login, "mallory", claims.clone())).await,
        NOBODY,
        "off by default"
    );
    let with = |domain: &'static str| {
        Federated::with(Provider::oidc(LOGIN).audience(PORTAL).link_verified_email([domain]), jobs())
    };
    let setup = with("other.com");
    assert_eq!(setup.outcome(&person(&setup.login, "mallory", claims.clone())).await, NOBODY);
    let setup = with("acme.com");
    for (what, claims) in [
        ("unverified", serde_json::json!({"email": "ada@acme.com", "email_verified": false})),
        ("verified in words", serde_json::json!({"email": "ada@acme.com", "email_verified": "true"})),
        ("nothing said", serde_json::json!({"email": "ada@acme.com"})),
        (
            "two addresses in one",
            serde_json::json!({"email": "ada@acme.com@acme.com", "email_verified": true}),
        ),
        ("of nobody", serde_json::json!({"email": "nobody@acme.com", "email_verified": true})),
    ] {
        assert_eq!(setup.outcome(&person(&setup.login, what, claims)).await, NOBODY, "{what}");
    }
    assert_eq!(setup.outcome(&person(&setup.login, "ada", claims.clone())).await, Outcome::of("user_ada"));
    // An address that Clerk hasn't verified is not the user's.
    let setup = with("acme.com");
    setup.world.fake.delete_user("user_ada");
    setup.world.fake.add_user(FakeUser::new("ada").unverified_email("ada@acme.com"));
    assert_eq!(setup.outcome(&person(&setup.login, "ada", claims)).await, NOBODY);
}

#[tokio::test(start_paused = true)]
async fn x2_the_first_link_that_finds_a_user_counts() {
    let people = Provider::oidc(LOGIN)
        .audience(PORTAL)
        .link_verified_email(["acme.com"])
        .link_enterprise("ent_1")
        .link_oauth("oauth_custom_acme");
    let setup = Federated::with(people, jobs());
    let eve = FakeEnterpriseAccount::new("ent_1", "ada-7").email("eve@acme.com");
    setup.world.fake.add_user(FakeUser::new("eve@acme.com").id("user_eve").enterprise_account(eve));
    let claims = serde_json::json!({"email": "eve@acme.com", "email_verified": true});
    let assertion = || person(&setup.login, "ada-7", claims.clone());
    assert_eq!(setup.outcome(&assertion()).await, Outcome::of("user_ada"), "by her external account");
    setup.world.fake.delete_user("user_ada");
    assert_eq!(setup.outcome(&assertion()).await, Outcome::of("user_eve"), "by the enterprise account");
    let by_address = person(&setup.login, "someone", claims.clone());
    assert_eq!(setup.outcome(&by_address).await, Outcome::of("user_eve"), "by the address");
}

#[tokio::test(start_paused = true)]
async fn x2_a_user_who_may_not_sign_in_is_refused_like_nobody() {
    for (what, user) in
        [("banned", ada().banned()), ("locked", ada().locked()), ("deprovisioned", ada().deprovisioned())]
    {
        let setup = Federated::new();
        setup.world.fake.delete_user("user_ada");
        setup.world.fake.add_user(user.id("user_new"));
        assert_eq!(setup.outcome(&setup.ada()).await, NOBODY, "{what}");
        assert_eq!(setup.tickets(), 0, "{what}");
    }
}
