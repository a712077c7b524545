//! Settings that are unusable or too wide are errors (rules X1-X3).

use std::time::Duration;

use tower_clerk::federation::{Provider, ProviderErrorKind as Kind, WorkloadRule};
use tower_clerk::{Clerk, ConfigError};

use super::{API, CI, JOB, LOGIN, PORTAL, jobs, people};

const USER: &str = "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug";
const TENANT: &str = "3aa4a235-b6e2-48d5-9195-7fcf05b459b0";
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn build(providers: impl IntoIterator<Item = Provider>) -> Result<Clerk, ConfigError> {
    let engine = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk");
    let engine = engine.secret_key("sk_test_0123456789abcdef0123456789abcdef");
    providers.into_iter().fold(engine, tower_clerk::ClerkBuilder::provider).build()
}

#[track_caller]
fn kind(provider: Provider) -> Kind {
    let shown = format!("{provider:?}");
    match build([provider]) {
        Err(ConfigError::Provider(error)) => error.kind(),
        other => panic!("{shown}: {other:?}"),
    }
}

fn rule() -> WorkloadRule {
    WorkloadRule::new(JOB, USER)
}

fn github(rule: WorkloadRule) -> Provider {
    Provider::github_actions(API).rule(rule)
}

#[test]
fn x1_settings_of_tokens_that_are_unusable_are_errors() {
    for issuer in
        ["", "login.example", "http://login.example", "ftp://x", "https://x?y", "https://x#y", "https://a@x"]
    {
        assert_eq!(
            kind(Provider::oidc(issuer).audience("a").link_oauth("oauth_x")),
            Kind::Issuer,
            "{issuer:?}"
        );
    }
    assert_eq!(kind(Provider::oidc(LOGIN).link_oauth("oauth_x")), Kind::Audience);
    assert_eq!(kind(people().audience("")), Kind::Audience);
    assert_eq!(kind(people().authorized_party("")), Kind::Audience);
    assert_eq!(kind(people().algorithms([])), Kind::Algorithm);
    for age in [Duration::ZERO, Duration::from_secs(59), Duration::from_secs(86_401)] {
        assert_eq!(kind(people().longest_age(age)), Kind::Duration, "{age:?}");
    }
    assert_eq!(kind(people().proof_ttl(Duration::ZERO)), Kind::Duration);
    assert_eq!(kind(people().key_set_url("http://login.example/jwks")), Kind::KeySet);
    assert_eq!(kind(people().key_set_file("/nonesuch/keys.json")), Kind::KeySet);
    assert_eq!(kind(people().ca_certificate("no certificate")), Kind::KeySet);
    let error = build([people(), Provider::oidc(LOGIN).audience("other").link_oauth("oauth_x")]).unwrap_err();
    assert!(matches!(&error, ConfigError::Provider(error) if error.kind() == Kind::Issuer), "{error}");
    let error =
        Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").provider(people()).build().unwrap_err();
    assert!(matches!(error, ConfigError::NeedsSecretKey { name: "provider", .. }), "{error}");
    build([people(), jobs(), Provider::oidc("http://127.0.0.1:9").audience("a").link_oauth("oauth_x")])
        .unwrap();
}

#[test]
fn x2_a_mapping_that_is_missing_or_mixed_up_is_an_error() {
    assert_eq!(kind(Provider::oidc(LOGIN).audience(PORTAL)), Kind::Mapping);
    assert_eq!(kind(people().rule(rule())), Kind::Mapping);
    assert_eq!(kind(Provider::github_actions(API)), Kind::Mapping);
    assert_eq!(kind(Provider::github_actions(API).link_oauth("oauth_github")), Kind::Mapping);
    assert_eq!(kind(jobs().without_nonce()), Kind::Mapping);
    for provider in ["google", "oauth_a b", "oauth_a&provider=b", ""] {
        let provider_of = Provider::oidc(LOGIN).audience(PORTAL).link_oauth(provider);
        assert_eq!(kind(provider_of), Kind::Mapping, "{provider:?}");
    }
    assert_eq!(kind(Provider::oidc(LOGIN).audience(PORTAL).link_enterprise("a/b")), Kind::Mapping);
    for domains in
        [vec![], vec!["*"], vec!["com"], vec!["*.acme.com"], vec!["acme.com", ""], vec!["@acme.com"]]
    {
        let by_email = Provider::oidc(LOGIN).audience(PORTAL).link_verified_email(domains.clone());
        assert_eq!(kind(by_email), Kind::Mapping, "{domains:?}");
    }
    for claim in ["email", "preferred_username", "upn", "unique_name", "name", ""] {
        assert_eq!(kind(people().subject_claim(claim)), Kind::SubjectClaim, "{claim:?}");
    }
}

#[test]
fn x2_a_rule_that_is_too_wide_is_an_error() {
    for pattern in ["", "*", "repo:*", "repo:*/app:ref:main", "repo:acme*/app:ref:main", "*:acme/app"] {
        assert_eq!(
            kind(Provider::oidc(CI).audience(API).rule(WorkloadRule::new(pattern, USER))),
            Kind::Rule,
            "{pattern:?}"
        );
    }
    for user in ["", "user_", "org_1", "user_1/../2", "jane@example.com"] {
        assert_eq!(
            kind(Provider::oidc(CI).audience(API).rule(WorkloadRule::new(JOB, user))),
            Kind::Rule,
            "{user:?}"
        );
    }
    assert_eq!(kind(jobs().rule(rule().audience("another"))), Kind::Rule);
    assert_eq!(kind(jobs().audience("https://second.example")), Kind::Rule, "which of the two?");
    assert_eq!(kind(jobs().rule(rule().claim("ref", ""))), Kind::Rule);
}

#[test]
fn x2_each_preset_holds_its_dangers_in_check() {
    assert_eq!(kind(github(rule())), Kind::Rule, "without the owner's id");
    let pull = WorkloadRule::new("repo:acme/app:pull_request", USER).owner_id("1");
    assert_eq!(kind(github(pull)), Kind::Rule);
    assert_eq!(
        kind(Provider::github_actions("https://github.com/acme").rule(rule().owner_id("1"))),
        Kind::Audience
    );
    assert_eq!(
        kind(Provider::github_actions("sts.amazonaws.com").rule(rule().owner_id("1"))),
        Kind::Audience
    );
    build([github(rule().owner_id("1"))]).unwrap();

    let gitlab = |audience: &str| Provider::gitlab("https://gitlab.com", audience);
    let of_project = |rule: WorkloadRule| rule.claim("project_id", "42");
    let path = || WorkloadRule::new("project_path:acme/app:ref_type:branch:ref:main", USER);
    assert_eq!(kind(gitlab(API).rule(path())), Kind::Rule, "without the project's id");
    assert_eq!(kind(gitlab("https://gitlab.com").rule(of_project(path()))), Kind::Audience);
    build([gitlab(API).rule(of_project(path()))]).unwrap();

    let cluster = |audience: &str| Provider::kubernetes("https://cluster.example", audience);
    let account = |sub: &str| WorkloadRule::new(sub, USER);
    for sub in ["system:serviceaccount:*:deployer", "system:*:prod:deployer", "prod:deployer", JOB] {
        assert_eq!(kind(cluster(API).rule(account(sub))), Kind::Rule, "{sub}");
    }
    for audience in [
        "https://kubernetes.default.svc",
        "https://kubernetes.default.svc.cluster.local",
        "https://cluster.example",
        "api",
    ] {
        let provider = cluster(audience).rule(account("system:serviceaccount:prod:deployer"));
        assert_eq!(kind(provider), Kind::Audience, "{audience}");
    }
    build([cluster(API).rule(account("system:serviceaccount:prod:*"))]).unwrap();

    for tenant in [
        "common",
        "organizations",
        "consumers",
        "acme.onmicrosoft.com",
        "",
        "9188040d-6c67-4c5b-b112-36a304b66da",
    ] {
        let provider = Provider::entra(tenant, "client").subject_claim("oid").link_oauth("oauth_microsoft");
        assert_eq!(kind(provider), Kind::Issuer, "{tenant:?}");
    }
    let entra = || Provider::entra(TENANT, "client").link_oauth("oauth_microsoft");
    assert_eq!(kind(entra()), Kind::SubjectClaim, "its `sub` is pairwise");
    assert_eq!(kind(entra().subject_claim("sub")), Kind::SubjectClaim);
    build([entra().subject_claim("oid")]).unwrap();
    let of_anyone = Provider::entra(CONSUMERS, "client").subject_claim("oid");
    assert_eq!(kind(of_anyone.link_verified_email(["acme.com"])), Kind::Mapping, "they own no domain");
    build([Provider::google("client")]).unwrap();

    // Whichever way the provider was made.
    let by_issuer = |issuer: &str| Provider::oidc(issuer).audience(API);
    let github = "https://token.actions.githubusercontent.com";
    assert_eq!(kind(by_issuer(github).rule(rule())), Kind::Rule);
    assert_eq!(kind(by_issuer(&format!("{github}/octo")).rule(rule())), Kind::Rule);
    assert_eq!(kind(by_issuer("https://gitlab.com").rule(path())), Kind::Rule);
    let common = by_issuer("https://login.microsoftonline.com/common/v2.0");
    assert_eq!(kind(common.subject_claim("oid").link_oauth("oauth_microsoft")), Kind::Issuer);
}

#[test]
fn x3_a_policy_that_no_assertion_can_meet_is_an_error() {
    assert_eq!(kind(people().require_second_factor()), Kind::SecondFactor);
    assert_eq!(kind(people().trust_amr(["pwd"])), Kind::SecondFactor);
    assert_eq!(kind(people().trust_acr([""])), Kind::SecondFactor);
    assert_eq!(kind(people().trust_amr(["mfa"]).auth_time_within(Duration::ZERO)), Kind::Duration);
    assert_eq!(kind(jobs().trust_amr(["mfa"])), Kind::Mapping, "workloads have none");
    build([people().trust_amr(["mfa"]).require_second_factor()]).unwrap();
}
