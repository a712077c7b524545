//! Providers on a socket, asked by the built-in HTTP client (rule X1).

use serde_json::json;
use tower_clerk::federation::{Assertion, Provider, WorkloadRule};
use tower_clerk::testing::{self, FakeClerk, FakeIssuer, FakeUser, IssuerDocument, IssuerFault};
use tower_clerk::{Access, Clerk, ClerkSession, Rejection, RejectionKind};

use super::{API, JOB};

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// A new engine that trusts a provider and holds no keys of it yet.
fn engine(issuer: &FakeIssuer) -> Clerk {
    let fake = FakeClerk::builder().empty().build();
    fake.add_user(FakeUser::new("build-bot").id("user_bot"));
    let provider = Provider::oidc(issuer.issuer()).audience(API).rule(WorkloadRule::new(JOB, "user_bot"));
    let builder =
        testing::unlimited_builder(&fake).secret_key(fake.secret_key()).backend_url(fake.backend_url());
    builder.provider(provider).build().unwrap()
}

async fn exchange(issuer: &FakeIssuer, assertion: String) -> Result<ClerkSession, Rejection> {
    engine(issuer).exchange(&Assertion::new(assertion), &Access::new()).await
}

#[tokio::test]
async fn x1_a_redirect_to_the_keys_of_another_is_not_followed() {
    let servers =
        [FakeIssuer::serve("127.0.0.1:0").await.unwrap(), FakeIssuer::serve("127.0.0.1:0").await.unwrap()];
    let [trusted, attacker] = servers.each_ref().map(|server| server.issuer());
    let forged = || attacker.assertion(JOB, API).claim("iss", trusted.issuer()).sign();
    let to = |path: &str| IssuerFault::Redirect(format!("{}{path}", attacker.issuer()));
    for (document, path) in [(IssuerDocument::Discovery, DISCOVERY), (IssuerDocument::Keys, "/jwks")] {
        trusted.set_fault(document, to(path));
        let refused = exchange(trusted, forged()).await.unwrap_err();
        assert_eq!(refused.kind(), RejectionKind::UpstreamUnavailable, "{document:?}");
        trusted.set_fault(document, None);
    }
    // Nor where the trusted provider's own document, read as it is, would lead there.
    trusted
        .set_fault(IssuerDocument::Discovery, IssuerFault::Members(json!({ "issuer": attacker.issuer() })));
    assert_eq!(exchange(trusted, forged()).await.unwrap_err().kind(), RejectionKind::UpstreamUnavailable);
    trusted.set_fault(IssuerDocument::Discovery, None);
    assert_eq!((attacker.count(IssuerDocument::Discovery), attacker.count(IssuerDocument::Keys)), (0, 0));

    assert_eq!(exchange(trusted, forged()).await.unwrap_err().kind(), RejectionKind::CredentialsRejected);
    let session = exchange(trusted, trusted.assertion(JOB, API).sign()).await.unwrap();
    assert_eq!(session.user_id(), "user_bot");
}

#[tokio::test]
async fn x1_a_document_of_a_provider_that_is_too_large_is_not_read() {
    let server = FakeIssuer::serve("127.0.0.1:0").await.unwrap();
    let issuer = server.issuer();
    for document in [IssuerDocument::Discovery, IssuerDocument::Keys] {
        issuer.set_fault(document, IssuerFault::Padded(2 * 1024 * 1024));
        let refused = exchange(issuer, issuer.assertion(JOB, API).sign()).await.unwrap_err();
        assert_eq!(refused.kind(), RejectionKind::UpstreamUnavailable, "{document:?}");
        issuer.set_fault(document, None);
    }
    assert!(exchange(issuer, issuer.assertion(JOB, API).sign()).await.is_ok());
}
