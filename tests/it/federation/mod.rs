//! An identity provider's assertion for a Clerk session (rules X1-X4).

mod assertions;
mod assurance;
mod budgets;
mod keys;
mod people;
mod revocations;
mod second_factors;
mod settings;
mod sockets;
mod workloads;

use std::time::Duration;

use tower_clerk::federation::{Assertion, Provider, WorkloadRule};
use tower_clerk::testing::{Endpoint, FakeExternalAccount, FakeIssuer, FakeUser};
use tower_clerk::{Access, Clerk, ClerkSession, Rejection, RejectionKind};

use crate::common::World;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A provider of people, and the audience of this service at it.
const LOGIN: &str = "https://login.example";
const PORTAL: &str = "portal";

/// A provider of workloads.
const CI: &str = "https://ci.example";
const API: &str = "https://api.acme.example";
const JOB: &str = "repo:acme/app:ref:refs/heads/main";

const NONCE: &str = "n-0S6_WzA2Mj";

/// An instance with two providers: one of jobs, which act as `user_bot`, and one of people, of whom `ada-7` is linked.
struct Federated {
    world: World,
    login: FakeIssuer,
    ci: FakeIssuer,
}

fn people() -> Provider {
    Provider::oidc(LOGIN).audience(PORTAL).link_oauth("oauth_custom_acme")
}

fn jobs() -> Provider {
    Provider::oidc(CI).audience(API).rule(WorkloadRule::new(JOB, "user_bot"))
}

fn ada() -> FakeUser {
    let linked = FakeExternalAccount::new("oauth_custom_acme", "ada-7");
    FakeUser::new("ada@acme.com").id("user_ada").external_account(linked)
}

impl Federated {
    fn new() -> Self {
        Self::with(people(), jobs())
    }

    fn with(people: Provider, jobs: Provider) -> Self {
        let [login, ci] = [LOGIN, CI].map(FakeIssuer::new);
        let (people, jobs) = (people.transport(login.clone()), jobs.transport(ci.clone()));
        let world = World::backend_with(
            |fake| fake.no_rate_limit(),
            |engine| engine.unlimited_sign_ins().provider(people).provider(jobs),
        );
        world.fake.add_user(FakeUser::new("build-bot").id("user_bot"));
        world.fake.add_member("user_bot", "acme", "org:member");
        world.fake.add_user(ada());
        let [login, ci] = [login, ci].map(|issuer| issuer.clock(world.fake.clock()));
        Self { world, login, ci }
    }

    fn clerk(&self) -> &Clerk {
        &self.world.clerk
    }

    async fn exchange(&self, assertion: &Assertion) -> Result<ClerkSession, Rejection> {
        self.clerk().exchange(assertion, &Access::new()).await
    }

    /// The outcome of an exchange: the user's id, or the kind and the detail.
    async fn outcome(&self, assertion: &Assertion) -> Outcome {
        match self.exchange(assertion).await {
            Ok(session) => Outcome::Session(session.user_id().to_owned()),
            Err(rejection) => Outcome::Rejected(rejection.kind(), rejection.detail()),
        }
    }

    /// A job's assertion.
    fn job(&self) -> Assertion {
        Assertion::new(self.ci.assertion(JOB, API).sign())
    }

    /// Ada's assertion, with the nonce of her sign-in.
    fn ada(&self) -> Assertion {
        Assertion::new(self.login.assertion("ada-7", PORTAL).claim("nonce", NONCE).sign()).nonce(NONCE)
    }

    fn look_ups(&self) -> usize {
        self.world.fake.count(Endpoint::Users) + self.world.fake.count(Endpoint::User)
    }

    fn tickets(&self) -> usize {
        self.world.fake.count(Endpoint::SignInTokens)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Session(String),
    Rejected(RejectionKind, Option<&'static str>),
}

impl Outcome {
    fn of(user_id: &str) -> Self {
        Self::Session(user_id.to_owned())
    }

    /// The assertion is refused for what it is.
    fn refused(detail: &'static str) -> Self {
        Self::Rejected(RejectionKind::CredentialsRejected, Some(detail))
    }
}

/// The assertion is accepted, and has no user who may sign in.
const NOBODY: Outcome = Outcome::Rejected(RejectionKind::CredentialsRejected, None);
