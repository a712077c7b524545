//! E-mail addresses that are shared, unverified or changed.

use fake_clerk::{FakeClerk, FakeUser};

use super::caller::{Caller, JANE, Server};

const BY_ADDRESS: &str = "/v1/users?email_address=jane%40example.com";

#[tokio::test(start_paused = true)]
async fn an_unverified_address_is_found_but_cannot_sign_in() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    let server = Server::new(&clerk);
    let squatter = FakeUser::new("squatter").unverified_email("jane@example.com").password("a guess");
    let squatter = clerk.add_user(squatter);
    let found = server.get(BY_ADDRESS).await.ok();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["id"], squatter);
    assert!(found[0]["email_addresses"][0]["verification"].is_null());
    Caller::new(&clerk).session("jane@example.com", JANE).await;
    let guess = Caller::new(&clerk).sign_in("jane@example.com", "a guess").await;
    assert_eq!(guess.refusal(), (422, "form_password_incorrect"));
}

#[tokio::test(start_paused = true)]
async fn two_users_can_be_made_to_share_a_verified_address() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    let server = Server::new(&clerk);
    let second = clerk.add_user_unchecked(FakeUser::new("jane@example.com").password("the second's"));
    let found = server.get(BY_ADDRESS).await.ok();
    assert_eq!(found.as_array().unwrap().len(), 2);
    for user in found.as_array().unwrap() {
        assert_eq!(user["email_addresses"][0]["verification"]["status"], "verified");
    }
    // Sign-ins go to the first user, and to the second one after the first is deleted.
    Caller::new(&clerk).session("jane@example.com", JANE).await;
    clerk.delete_user("jane");
    Caller::new(&clerk).session("jane@example.com", "the second's").await;
    assert_eq!(clerk.live_sessions_of(&second), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_address_can_lose_its_verification() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    let server = Server::new(&clerk);
    clerk.set_email_verified("jane", "Jane@example.com", false);
    let refused = Caller::new(&clerk).sign_in("jane@example.com", JANE).await;
    assert_eq!(refused.refusal(), (422, "form_identifier_not_found"));
    assert!(server.get(BY_ADDRESS).await.ok()[0]["email_addresses"][0]["verification"].is_null());
    Caller::new(&clerk).session("jane", JANE).await;
    clerk.set_email_verified("jane", "jane@example.com", true);
    let before = server.get(BY_ADDRESS).await.ok()[0]["email_addresses"][0]["id"].clone();
    clerk.change_email("jane", "jane@example.com", "jane@example.org");
    assert_eq!(server.get(BY_ADDRESS).await.ok(), serde_json::json!([]));
    let found = server.get("/v1/users?email_address=jane%40example.org").await.ok();
    assert_ne!(found[0]["email_addresses"][0]["id"], before);
    Caller::new(&clerk).session("jane@example.org", JANE).await;
}

#[test]
#[should_panic(expected = "another user has the identifier jane@example.com")]
fn adding_another_users_verified_address_panics() {
    FakeClerk::new().add_user(FakeUser::new("jane@example.com"));
}

#[tokio::test(start_paused = true)]
async fn a_new_user_inherits_nothing_from_a_deleted_user_with_the_same_id() {
    let clerk = FakeClerk::builder().empty().no_rate_limit().build();
    let user =
        || FakeUser::new("ada@example.com").id("user_ada").password("difference engine").device_trust();
    let mut caller = Caller::new(&clerk);
    let states = async |caller: &mut Caller| {
        let body = caller.sign_in("ada@example.com", "difference engine").await.ok();
        (body["response"]["status"].clone(), body["response"]["id"].as_str().unwrap().to_owned())
    };
    clerk.add_user(user());
    let (status, id) = states(&mut caller).await;
    assert_eq!(status, "needs_client_trust");
    let step = format!("/v1/client/sign_ins/{id}");
    caller.post(&format!("{step}/prepare_second_factor"), &[("strategy", "email_code")]).await.ok();
    let code = [("strategy", "email_code"), ("code", "424242")];
    caller.post(&format!("{step}/attempt_second_factor"), &code).await.ok();
    let end = caller.request("DELETE", "/v1/client/sessions", &[]);
    caller.send(end).await.ok();
    // The device is known to Device Trust again, and the address is taken.
    assert_eq!(states(&mut caller).await.0, "complete");
    clerk.delete_user("user_ada");
    assert_eq!(clerk.sessions().len(), 0);
    let client = caller.get("/v1/client").await.ok();
    assert_eq!(client["response"]["sessions"], serde_json::json!([]));
    assert_eq!(
        caller.sign_in("ada@example.com", "difference engine").await.refusal(),
        (422, "form_identifier_not_found")
    );
    clerk.add_user(user());
    assert_eq!(states(&mut caller).await.0, "needs_client_trust");
}
