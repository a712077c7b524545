//! Accounts at identity providers: how they are shown, found, verified and removed.

use fake_clerk::{FakeClerk, FakeEnterpriseAccount, FakeExternalAccount, FakeUser, VerificationStatus};
use serde_json::{Value, json};

use super::caller::{Caller, Server};

fn ids(users: &Value) -> Vec<&str> {
    users.as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect()
}

fn instance() -> (FakeClerk, Server) {
    let clerk = FakeClerk::builder().empty().no_rate_limit().build();
    let server = Server::new(&clerk);
    (clerk, server)
}

#[tokio::test]
async fn a_user_is_found_by_an_account_at_an_oauth_provider_and_by_nothing_like_it() {
    let (clerk, server) = instance();
    let linked = |provider: &str, id: &str| FakeExternalAccount::new(provider, id);
    let ada = FakeUser::new("ada").id("user_ada");
    clerk.add_user(
        ada.external_account(linked("oauth_google", "1017"))
            .external_account(linked("oauth_custom_acme", "Ada")),
    );
    clerk.add_user(FakeUser::new("bob").id("user_bob").external_account(linked("oauth_google", "1018")));
    let enterprise = FakeEnterpriseAccount::new("ent_1", "1019").provider("oidc_custom");
    clerk.add_user(FakeUser::new("eve").id("user_eve").enterprise_account(enterprise));
    let nobody: [&str; 0] = [];
    for (query, found) in [
        ("provider=oauth_google&provider_user_id=1017", &["user_ada"][..]),
        ("provider=oauth_custom_acme&provider_user_id=Ada", &["user_ada"]),
        ("provider=oauth_google&provider_user_id=1018&provider_user_id=1017", &["user_bob", "user_ada"]),
        ("provider=oauth_google&provider_user_id=1017&username=ada", &["user_ada"]),
        ("provider=oauth_google&provider_user_id=1017&username=bob", &nobody),
        ("provider=oauth_google&provider_user_id=1017&user_id=-user_ada", &nobody),
        // Ids at providers are compared as they are, and belong to one provider.
        ("provider=oauth_custom_acme&provider_user_id=ada", &nobody),
        ("provider=google&provider_user_id=1017", &nobody),
        ("provider=oauth_custom_acme&provider_user_id=1017", &nobody),
        // Accounts of enterprise connections aren't searched.
        ("provider=oidc_custom&provider_user_id=1019", &nobody),
        ("provider=oauth_google&provider_user_id=", &nobody),
    ] {
        assert_eq!(ids(&server.get(&format!("/v1/users?{query}")).await.ok()), found, "{query}");
    }
    let page =
        server.get("/v1/users?provider=oauth_google&provider_user_id=1018&provider_user_id=1017&limit=1");
    assert_eq!(ids(&page.await.ok()), ["user_bob"]);
}

#[tokio::test]
async fn provider_and_provider_user_id_only_work_together() {
    let (_, server) = instance();
    let missing = (422, "form_conditional_param_missing");
    for alone in ["provider=oauth_google", "provider_user_id=1017"] {
        assert_eq!(server.get(&format!("/v1/users?{alone}")).await.refusal(), missing, "{alone}");
    }
    let ids = |count: usize| "&provider_user_id=1".repeat(count);
    assert_eq!(server.get(&format!("/v1/users?provider=oauth_google{}", ids(100))).await.status, 200);
    let many = server.get(&format!("/v1/users?provider=oauth_google{}", ids(101))).await;
    assert_eq!(many.refusal(), (422, "form_param_exceeds_allowed_size"));
}

#[tokio::test]
async fn an_account_of_several_users_is_found_with_each_of_them_whatever_its_verification() {
    let (clerk, server) = instance();
    let states = [
        VerificationStatus::Verified,
        VerificationStatus::Unverified,
        VerificationStatus::Failed,
        VerificationStatus::Expired,
        VerificationStatus::Transferable,
    ];
    for (at, status) in states.into_iter().enumerate() {
        let linked = FakeExternalAccount::new("oauth_github", "7").verification(status);
        clerk.add_user(FakeUser::new(format!("user{at}")).external_account(linked));
    }
    let linked = FakeExternalAccount::new("oauth_github", "7").verification(None);
    clerk.add_user(FakeUser::new("last").external_account(linked));
    let found = server.get("/v1/users?provider=oauth_github&provider_user_id=7").await.ok();
    let shown: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["external_accounts"][0]["verification"]["status"])
        .collect();
    assert_eq!(
        shown,
        [
            &Value::Null,
            &json!("transferable"),
            &json!("expired"),
            &json!("failed"),
            &json!("unverified"),
            &json!("verified")
        ]
    );
    assert_eq!(found[0]["external_accounts"][0]["verification"], Value::Null);
}

#[tokio::test]
async fn accounts_are_linked_verified_and_unlinked_and_the_look_up_follows() {
    let (clerk, server) = instance();
    clerk.add_user(FakeUser::new("ada@example.com").id("user_ada"));
    let id =
        clerk.link_external_account("user_ada", FakeExternalAccount::new("oauth_github", "7").id("eac_7"));
    assert_eq!(id, "eac_7");
    let query = "/v1/users?provider=oauth_github&provider_user_id=7";
    assert_eq!(ids(&server.get(query).await.ok()), ["user_ada"]);
    clerk.set_account_verification("user_ada", &id, VerificationStatus::Expired);
    let found = server.get(query).await.ok();
    assert_eq!(found[0]["external_accounts"][0]["verification"]["status"], "expired");
    // A change of an identifier keeps the account, and a deletion of the user removes it.
    clerk.change_email("user_ada", "ada@example.com", "countess@example.com");
    assert_eq!(ids(&server.get(query).await.ok()), ["user_ada"]);
    clerk.unlink_account("user_ada", &id);
    assert_eq!(server.get(query).await.ok(), json!([]));
    clerk.link_external_account("user_ada", FakeExternalAccount::new("oauth_github", "7"));
    clerk.delete_user("user_ada");
    assert_eq!(server.get(query).await.ok(), json!([]));
}

#[tokio::test]
async fn external_accounts_have_the_fields_of_clerks_description_and_of_a_recorded_google_account() {
    let (clerk, server) = instance();
    let google =
        FakeExternalAccount::new("oauth_google", "1017").id("eac_1").email("ada@example.com", Some(true));
    let custom =
        FakeExternalAccount::new("oauth_custom_acme", "ada").id("eac_2").email("ada@acme.example", None);
    let user = FakeUser::new("ada@example.com").id("user_ada").name("Ada", "Lovelace");
    clerk.add_user(user.external_account(google).external_account(custom));
    let user = server.get("/v1/users/user_ada").await.ok();
    let [google, custom] = user["external_accounts"].as_array().unwrap().as_slice() else { panic!("{user}") };
    let required = [
        "object",
        "id",
        "provider",
        "identification_id",
        "provider_user_id",
        "approved_scopes",
        "email_address",
        "first_name",
        "last_name",
        "public_metadata",
        "created_at",
        "updated_at",
        "verification",
    ];
    for (account, strategy) in [(google, "oauth_google"), (custom, "oauth_custom_acme")] {
        for name in required {
            assert!(!account[name].is_null(), "{name} of {account}");
        }
        assert_eq!(account["verification"]["object"], "verification_oauth");
        assert_eq!(
            (&account["provider"], &account["verification"]["strategy"]),
            (&json!(strategy), &json!(strategy))
        );
        assert!(account["identification_id"].as_str().unwrap().starts_with("idn_"));
    }
    assert_eq!(
        (&google["object"], &google["external_account_id"]),
        (&json!("google_account"), &json!("eac_1"))
    );
    assert_eq!((&google["id"], &google["google_id"]), (&google["identification_id"], &json!("1017")));
    assert_eq!((&custom["object"], &custom["id"]), (&json!("external_account"), &json!("eac_2")));
    assert_eq!(
        (&google["email_address_verified"], &custom["email_address_verified"]),
        (&json!(true), &Value::Null)
    );
    // The address that the user shares with the provider points at the account.
    let linked = json!([{ "type": "oauth_google", "id": google["identification_id"] }]);
    assert_eq!(user["email_addresses"][0]["linked_to"], linked);
}

#[tokio::test]
async fn enterprise_accounts_are_shown_with_their_connection_and_those_by_saml_twice() {
    let (clerk, server) = instance();
    let saml = FakeEnterpriseAccount::new("ent_1", "00u1")
        .id("eac_1")
        .provider("saml_okta")
        .email("ada@acme.example");
    clerk.add_user(FakeUser::new("ada@acme.example").id("user_ada").enterprise_account(saml));
    let oidc = FakeEnterpriseAccount::new("ent_2", "sub-2").id("eac_2").email("ada@other.example");
    clerk.link_enterprise_account("user_ada", oidc);
    let user = server.get("/v1/users?email_address=ada%40acme.example").await.ok()[0].take();
    let [saml, oidc] = user["enterprise_accounts"].as_array().unwrap().as_slice() else { panic!("{user}") };
    assert_eq!(
        (&saml["protocol"], &saml["verification"]["object"]),
        (&json!("saml"), &json!("verification_saml"))
    );
    assert_eq!(
        (&oidc["protocol"], &oidc["verification"]["object"]),
        (&json!("oauth"), &json!("verification_oauth"))
    );
    assert_eq!(
        (&saml["provider_user_id"], &saml["enterprise_connection_id"]),
        (&json!("00u1"), &json!("ent_1"))
    );
    assert_eq!(saml["enterprise_connection"]["id"], "ent_1");
    assert_eq!(saml["enterprise_connection"]["domains"], json!(["acme.example"]));
    assert_eq!(user["saml_accounts"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&user["saml_accounts"][0]["id"], &user["saml_accounts"][0]["object"]),
        (&json!("eac_1"), &json!("saml_account"))
    );
    assert_eq!(user["email_addresses"][0]["matches_sso_connection"], true);

    clerk.set_enterprise_account_active("user_ada", "eac_1", false, false);
    clerk.set_account_verification("user_ada", "eac_2", VerificationStatus::Unverified);
    let user = server.get("/v1/users/user_ada").await.ok();
    let accounts = &user["enterprise_accounts"];
    assert_eq!(
        (&accounts[0]["active"], &accounts[0]["enterprise_connection"]["active"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        (&accounts[1]["active"], &accounts[1]["verification"]["status"]),
        (&json!(true), &json!("unverified"))
    );
    assert_eq!(user["email_addresses"][0]["matches_sso_connection"], false);
    clerk.unlink_account("user_ada", "eac_1");
    assert_eq!(server.get("/v1/users/user_ada").await.ok()["saml_accounts"], json!([]));
}

#[tokio::test]
async fn a_deprovisioned_user_is_shown_as_one_and_cannot_sign_in_until_provisioned_again() {
    let (clerk, server) = instance();
    clerk.add_user(FakeUser::new("ada").id("user_ada").password("difference engine").deprovisioned());
    let ticket = server.ticket(json!({ "user_id": "user_ada" })).await;
    let mut caller = Caller::new(&clerk);
    let by_ticket = [("strategy", "ticket"), ("ticket", ticket.as_str())];
    let by_password = [("strategy", "password"), ("identifier", "ada"), ("password", "difference engine")];
    for form in [&by_ticket[..], &by_password] {
        assert_eq!(caller.post("/v1/client/sign_ins", form).await.refusal(), (401, "deprovisioned"));
    }
    assert_eq!(server.get("/v1/users/user_ada").await.ok()["deprovisioned"], true);
    clerk.set_deprovisioned("user_ada", false);
    assert_eq!(caller.post("/v1/client/sign_ins", &by_ticket).await.ok()["response"]["status"], "complete");
}

#[tokio::test]
async fn a_change_of_a_linked_account_is_an_event() {
    let (clerk, _) = instance();
    clerk.add_user(FakeUser::new("ada").id("user_ada"));
    clerk.add_webhook(fake_clerk::WebhookEndpoint::in_process(
        fake_clerk::WebhookSecret::random(),
        |_| async { http::StatusCode::NO_CONTENT },
    ));
    clerk.hold_webhooks();
    let id = clerk.link_external_account("ada", FakeExternalAccount::new("oauth_github", "7"));
    clerk.unlink_account("ada", &id);
    let events = clerk.deliveries();
    let shown: Vec<Value> = events
        .iter()
        .map(|event| {
            serde_json::from_slice::<Value>(event.body()).unwrap()["data"]["external_accounts"].clone()
        })
        .collect();
    assert_eq!((shown.len(), shown[0].as_array().map(Vec::len), &shown[1]), (2, Some(1), &json!([])));
}

#[test]
#[should_panic(expected = "no account \"eac_none\"")]
fn unlinking_an_account_that_the_user_does_not_have_panics() {
    FakeClerk::new().unlink_account("jane", "eac_none");
}
