//! An engine filled with users, each with sessions for many organizations (rule K7).

use std::time::Duration;

use tower_clerk::testing::{Endpoint, FakeClerkBuilder, FakeOrganization, FakeUser, Fault};
use tower_clerk::{Access, ClerkBuilder, Credentials};

use crate::common::World;

const USERS: usize = 250;

/// Together with the session for the personal account, the most sessions that an engine holds for one user.
const ORGANIZATIONS: usize = 15;

fn organization(at: usize) -> String {
    format!("organization-{at}")
}

/// Returns an engine with room for [`USERS`] credentials and few more, and the credentials. Each user is a member of all
/// organizations, and needs a session for each, since the Backend API mints all tokens.
///
/// The instance mints no tokens. The sessions are used nevertheless, and the test saves the time to sign tokens.
fn world() -> (World, Vec<Credentials>) {
    let engine = |engine: ClerkBuilder| {
        let engine = engine.max_sessions(USERS as u64 + 50).unlimited_sign_ins();
        engine.token_lifetime(Duration::from_secs(60)).backend_rate(1_000_000, Duration::from_secs(1))
    };
    let world = World::backend_with(
        |fake: FakeClerkBuilder| fake.no_rate_limit().backend_limit(1_000_000, Duration::from_secs(1)),
        engine,
    );
    let unknown = Fault::StatusWithCode(418, "nobody_knows_this".to_owned());
    world.fake.script_always(Endpoint::BackendTokens, unknown);
    for at in 0..ORGANIZATIONS {
        world.fake.add_organization(FakeOrganization::new(organization(at)));
    }
    let users = (0..USERS).map(|at| {
        let (name, password) = (format!("user{at}@example.com"), format!("the password of {at}"));
        let id = world.fake.add_user(FakeUser::new(&name).password(&password));
        for at in 0..ORGANIZATIONS {
            world.fake.add_member(&id, &organization(at), "org:member");
        }
        Credentials::new(name, password).unwrap()
    });
    let users = users.collect();
    (world, users)
}

/// Sessions for organizations do not count towards the limit of credentials, so none of them is evicted.
#[tokio::test(start_paused = true)]
async fn k7_a_full_engine_holds_every_organization_session() {
    let (world, users) = world();
    let organizations = (0..ORGANIZATIONS).map(|at| Access::new().organization(organization(at)));
    let accesses: Vec<Access> = std::iter::once(Access::new()).chain(organizations).collect();
    for access in &accesses {
        for user in &users {
            _ = world.clerk.authenticate(user, access).await;
        }
        // Spreads the organizations over time, since the number per user and time is limited.
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(world.clerk.stats().sessions, USERS as u64, "all credentials are held");
    let sign_ins = world.fake.count(Endpoint::SignIns);
    assert_eq!(sign_ins, USERS * accesses.len(), "one for each session");
    for user in [&users[0], &users[USERS - 1]] {
        for access in &accesses {
            _ = world.clerk.authenticate(user, access).await;
        }
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins, "all sessions are held");
}
