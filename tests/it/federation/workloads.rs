//! Rules for workloads (rule X2).

use serde_json::{Value, json};
use tower_clerk::federation::{Assertion, Provider, WorkloadRule};
use tower_clerk::testing::{FakeIssuer, FakeUser};
use tower_clerk::{Access, Clerk};

use super::{API, NOBODY, Outcome};
use crate::common::World;

/// An engine with one provider of workloads, whose rules name `user_bot` and `user_reader`.
fn world(issuer: &FakeIssuer, provider: Provider) -> World {
    let provider = provider.transport(issuer.clone());
    let world = World::backend_with(
        |fake| fake.no_rate_limit(),
        |engine| engine.unlimited_sign_ins().provider(provider),
    );
    for user in ["bot", "reader"] {
        world.fake.add_user(FakeUser::new(user).id(format!("user_{user}")));
    }
    _ = issuer.clone().clock(world.fake.clock());
    world
}

async fn outcome(clerk: &Clerk, jwt: String) -> Outcome {
    match clerk.exchange(&Assertion::new(jwt), &Access::new()).await {
        Ok(session) => Outcome::of(session.user_id()),
        Err(rejection) => Outcome::Rejected(rejection.kind(), rejection.detail()),
    }
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";

#[tokio::test(start_paused = true)]
async fn x2_the_first_rule_that_matches_names_the_user() {
    let issuer = FakeIssuer::new("https://ci.example");
    let provider = Provider::oidc(issuer.issuer())
        .audience(API)
        .rule(WorkloadRule::new("repo:acme/app:ref:refs/heads/main", "user_bot"))
        .rule(WorkloadRule::new("repo:acme/*:ref:refs/heads/main", "user_reader"));
    let world = world(&issuer, provider);
    for (sub, expected) in [
        ("repo:acme/app:ref:refs/heads/main", Outcome::of("user_bot")),
        ("repo:acme/lib:ref:refs/heads/main", Outcome::of("user_reader")),
        ("repo:acme/app:ref:refs/heads/main2", NOBODY),
        ("repo:acme-evil/app:ref:refs/heads/main", NOBODY),
        ("repo:acme/app:pull_request", NOBODY),
        ("repo:acme/app/x:ref:refs/heads/main", NOBODY),
    ] {
        assert_eq!(outcome(&world.clerk, issuer.assertion(sub, API).sign()).await, expected, "{sub}");
    }
    assert_eq!(world.fake.count(tower_clerk::testing::Endpoint::User), 2, "no look-up without a rule");
}

#[tokio::test(start_paused = true)]
async fn x2_a_rule_is_for_its_own_audience_and_claims() {
    let issuer = FakeIssuer::new("https://ci.example");
    let sub = "repo:acme/app:ref:refs/heads/main";
    let provider = Provider::oidc(issuer.issuer())
        .audience(API)
        .audience("https://deploy.acme.example")
        .rule(
            WorkloadRule::new(sub, "user_bot")
                .audience("https://deploy.acme.example")
                .claim("environment", "prod"),
        )
        .rule(WorkloadRule::new(sub, "user_reader").audience(API));
    let world = world(&issuer, provider);
    let prod = json!("prod");
    for (audience, environment, expected) in [
        ("https://deploy.acme.example", prod.clone(), Outcome::of("user_bot")),
        ("https://deploy.acme.example", json!("test"), NOBODY),
        ("https://deploy.acme.example", Value::Null, NOBODY),
        (API, prod, Outcome::of("user_reader")),
    ] {
        let jwt = issuer.assertion(sub, audience).claim("environment", environment.clone()).sign();
        assert_eq!(outcome(&world.clerk, jwt).await, expected, "{audience} {environment}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_a_job_of_github_is_of_its_owners_id_and_of_no_pull_request() {
    let issuer = FakeIssuer::new(GITHUB);
    let sub = "repo:acme/app:ref:refs/heads/main";
    let rule = WorkloadRule::new(sub, "user_bot").owner_id("1234567");
    let world = world(&issuer, Provider::github_actions(API).rule(rule));
    let pull = Outcome::refused("jobs for pull requests are not accepted");
    for (owner, event, expected) in [
        (json!("1234567"), json!("push"), Outcome::of("user_bot")),
        (json!("1234567"), json!("workflow_dispatch"), Outcome::of("user_bot")),
        // The name was taken over by another owner.
        (json!("7654321"), json!("push"), NOBODY),
        (Value::Null, json!("push"), NOBODY),
        (json!("1234567"), json!("pull_request"), pull.clone()),
        // Its subject is that of the base branch.
        (json!("1234567"), json!("pull_request_target"), pull.clone()),
        (json!("1234567"), Value::Null, pull.clone()),
    ] {
        let job = issuer.assertion(sub, API).claim("repository_owner_id", owner.clone());
        let found = outcome(&world.clerk, job.claim("event_name", event.clone()).sign()).await;
        assert_eq!(found, expected, "{owner} {event}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_a_job_of_gitlab_is_of_its_projects_id() {
    let issuer = FakeIssuer::new("https://gitlab.com");
    let sub = "project_path:acme/app:ref_type:branch:ref:main";
    let rule = WorkloadRule::new(sub, "user_bot").claim("project_id", "42");
    let world = world(&issuer, Provider::gitlab(issuer.issuer(), API).rule(rule));
    for (project, expected) in
        [(json!("42"), Outcome::of("user_bot")), (json!("43"), NOBODY), (Value::Null, NOBODY)]
    {
        let jwt = issuer.assertion(sub, API).claim("project_id", project.clone()).sign();
        assert_eq!(outcome(&world.clerk, jwt).await, expected, "{project}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_a_service_account_is_of_its_namespace() {
    let issuer = FakeIssuer::new("https://cluster.example");
    let rule = WorkloadRule::new("system:serviceaccount:prod:*", "user_bot");
    let world = world(&issuer, Provider::kubernetes(issuer.issuer(), API).rule(rule));
    for (sub, expected) in [
        ("system:serviceaccount:prod:deployer", Outcome::of("user_bot")),
        ("system:serviceaccount:dev:deployer", NOBODY),
        ("system:serviceaccount:prod:", NOBODY),
        ("system:node:prod:deployer", NOBODY),
    ] {
        assert_eq!(outcome(&world.clerk, issuer.assertion(sub, API).sign()).await, expected, "{sub}");
    }
}

#[tokio::test(start_paused = true)]
async fn x2_the_user_of_a_rule_must_exist_and_may_sign_in() {
    let issuer = FakeIssuer::new("https://ci.example");
    let sub = "repo:acme/app:ref:refs/heads/main";
    let rule = WorkloadRule::new(sub, "user_bot");
    let world = world(&issuer, Provider::oidc(issuer.issuer()).audience(API).rule(rule));
    world.fake.ban("user_bot");
    assert_eq!(outcome(&world.clerk, issuer.assertion(sub, API).sign()).await, NOBODY);
    world.fake.unban("user_bot");
    world.clerk.forgive_ban(["user_bot"]);
    assert_eq!(outcome(&world.clerk, issuer.assertion(sub, API).sign()).await, Outcome::of("user_bot"));
    world.fake.delete_user("user_bot");
    world.clerk.revoke_user("user_bot");
    assert_eq!(outcome(&world.clerk, issuer.assertion(sub, API).sign()).await, NOBODY);
}
