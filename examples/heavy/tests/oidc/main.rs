//! Assertions of npm's `oidc-provider`, a certified implementation of OpenID Connect that nobody here wrote.
//!
//! `npm ci` in this folder installs it. Without it, or without Node, the tests say that they are left out, and fail if
//! `REQUIRE_NODE` is set.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod provider;

use provider::{NonceAndToken, OidcProvider};
use tower_clerk::federation::{Algorithm, Assertion, Provider};
use tower_clerk::testing::{self, FakeClerk, FakeExternalAccount, FakeUser};
use tower_clerk::{Access, Clerk, ClerkSession, Rejection, RejectionKind};

/// An engine whose users `ada` and `bob` are linked to those of the provider.
fn engine(oidc: &OidcProvider, change: impl FnOnce(Provider) -> Provider) -> (FakeClerk, Clerk) {
    let fake = FakeClerk::builder().empty().build();
    for name in ["ada", "bob"] {
        let linked = FakeExternalAccount::new("oauth_custom_acme", name);
        fake.add_user(
            FakeUser::new(format!("{name}@acme.example")).id(format!("user_{name}")).external_account(linked),
        );
    }
    let provider = Provider::oidc(oidc.issuer()).audience("app-rs256").link_oauth("oauth_custom_acme");
    let clerk = testing::unlimited_builder(&fake)
        .secret_key(fake.secret_key())
        .backend_url(fake.backend_url())
        .provider(change(provider))
        .build()
        .unwrap();
    (fake, clerk)
}

async fn exchange(clerk: &Clerk, signed_in: &NonceAndToken) -> Result<ClerkSession, Rejection> {
    let assertion = Assertion::new(signed_in.token.as_str()).nonce(signed_in.nonce.as_str());
    clerk.exchange(&assertion, &Access::new()).await
}

#[track_caller]
fn user_of(exchanged: Result<ClerkSession, Rejection>) -> String {
    exchanged
        .unwrap_or_else(|rejection| panic!("{rejection:?} {:?}", rejection.detail()))
        .user_id()
        .to_owned()
}

#[track_caller]
fn refused(exchanged: Result<ClerkSession, Rejection>) {
    assert_eq!(exchanged.unwrap_err().kind(), RejectionKind::CredentialsRejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_a_person_of_a_certified_provider_is_the_linked_user_with_each_algorithm() {
    let Some(oidc) = OidcProvider::start() else { return };
    for (client, algorithm) in
        [("app-rs256", Algorithm::Rs256), ("app-ps256", Algorithm::Ps256), ("app-es256", Algorithm::Es256)]
    {
        let (_fake, clerk) = engine(&oidc, |provider| provider.audience(client).algorithms([algorithm]));
        let session = exchange(&clerk, &oidc.sign_in(client, "ada", "mfa").await).await;
        let session =
            session.unwrap_or_else(|rejection| panic!("{client}: {rejection:?} {:?}", rejection.detail()));
        assert_eq!(session.user_id(), "user_ada");
        let assurance = session.assurance().unwrap();
        assert_eq!((assurance.provider(), assurance.acr()), (oidc.issuer(), Some("mfa")));
        assert_eq!(assurance.amr().collect::<Vec<_>>(), ["pwd", "otp", "mfa"]);
        assert!(assurance.auth_time().is_some() && !assurance.is_workload());
        // An algorithm that the provider may use is not one that this engine takes.
        let (_fake, clerk) = engine(&oidc, |provider| {
            let other = if algorithm == Algorithm::Rs256 { Algorithm::Es256 } else { Algorithm::Rs256 };
            provider.audience(client).algorithms([other])
        });
        refused(exchange(&clerk, &oidc.sign_in(client, "ada", "mfa").await).await);
    }
    let (_fake, clerk) = engine(&oidc, |provider| provider);
    assert_eq!(user_of(exchange(&clerk, &oidc.sign_in("app-rs256", "bob", "pwd").await).await), "user_bob");
    refused(exchange(&clerk, &oidc.sign_in("app-rs256", "eve", "pwd").await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_keys_of_a_certified_provider_are_followed_when_they_rotate() {
    let Some(oidc) = OidcProvider::start() else { return };
    let (_fake, clerk) = engine(&oidc, |provider| provider);
    let ada = async || oidc.sign_in("app-rs256", "ada", "pwd").await;
    let before = ada().await;
    assert_eq!(user_of(exchange(&clerk, &ada().await).await), "user_ada");
    oidc.rotate_keys().await;
    assert_eq!(
        user_of(exchange(&clerk, &ada().await).await),
        "user_ada",
        "signed by a key that the engine fetches now"
    );
    assert_eq!(user_of(exchange(&clerk, &before).await), "user_ada", "the old key is published still");
    // An engine that begins after the old keys are gone doesn't know them.
    let before = ada().await;
    oidc.rotate_keys().await;
    oidc.retire_keys().await;
    let (_fake, clerk) = engine(&oidc, |provider| provider);
    refused(exchange(&clerk, &before).await);
    assert_eq!(user_of(exchange(&clerk, &ada().await).await), "user_ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_an_assertion_for_another_application_of_a_certified_provider_is_refused() {
    let Some(oidc) = OidcProvider::start() else { return };
    let (_fake, clerk) = engine(&oidc, |provider| provider.audience("second-app"));
    for client in ["app-rs256", "second-app"] {
        assert_eq!(user_of(exchange(&clerk, &oidc.sign_in(client, "ada", "pwd").await).await), "user_ada");
    }
    refused(exchange(&clerk, &oidc.sign_in("unrelated-app", "ada", "pwd").await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_a_wrong_nonce_and_a_replay_are_refused_with_a_certified_provider() {
    let Some(oidc) = OidcProvider::start() else { return };
    let (_fake, clerk) = engine(&oidc, |provider| provider);
    let signed_in = oidc.sign_in("app-rs256", "ada", "pwd").await;
    let wrong = NonceAndToken { nonce: "another".to_owned(), token: signed_in.token.clone() };
    refused(exchange(&clerk, &wrong).await);
    refused(clerk.exchange(&Assertion::new(signed_in.token.as_str()), &Access::new()).await);
    assert_eq!(user_of(exchange(&clerk, &signed_in).await), "user_ada");
    refused(exchange(&clerk, &signed_in).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn x3_a_second_factor_of_a_certified_provider_counts_only_where_it_is_trusted() {
    let Some(oidc) = OidcProvider::start() else { return };
    let (fake, clerk) = engine(&oidc, |provider| provider.trust_acr(["mfa"]));
    fake.require_second_factor("user_ada", true);
    let exchanged = exchange(&clerk, &oidc.sign_in("app-rs256", "ada", "pwd").await).await;
    assert_eq!(exchanged.unwrap_err().kind(), RejectionKind::SecondFactorRequired);
    let (fake, clerk) = engine(&oidc, |provider| provider);
    fake.require_second_factor("user_ada", true);
    let exchanged = exchange(&clerk, &oidc.sign_in("app-rs256", "ada", "mfa").await).await;
    assert_eq!(
        exchanged.unwrap_err().kind(),
        RejectionKind::SecondFactorRequired,
        "nobody trusts what it attests"
    );
}
