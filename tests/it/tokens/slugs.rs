//! Slugs that are given to another organization (rule S7).

use std::time::Duration;

use tower_clerk::testing::{Endpoint, FakeOrganization};

use crate::common::{JANE, World, ask, basic, session};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn s7_a_slug_of_another_organization_is_looked_up_again() {
    for world in [World::unlimited(), World::backend()] {
        let acme = session(&world.get_for(JANE, "acme").await).organization().unwrap().id().to_owned();
        tokio::time::sleep(2 * MINUTE).await;
        // Adding an organization with a known id renames it.
        world.fake.add_organization(FakeOrganization::new("acme-old").id(&acme));
        let new = world.fake.add_organization(FakeOrganization::new("acme"));
        world.fake.add_member("jane", "acme", "org:member");
        let mut refused = 0;
        for _ in 0..30 {
            let response = world.get_for(JANE, "acme").await;
            match response.status().as_u16() {
                200 => assert_eq!(session(&response).organization().unwrap().id(), new),
                _ => refused += 1,
            }
            tokio::time::sleep(MINUTE).await;
        }
        assert!(refused <= 1, "{refused} of 30 requests were refused");
    }
}

/// The organization is renamed between the look-up of its slug and the sign-in by ticket.
#[tokio::test(start_paused = true)]
async fn s7_a_session_for_an_organization_is_never_taken_for_the_personal_one() {
    let world = World::backend_with(|fake| fake, |engine| engine.token_lifetime(MINUTE));
    let acme = session(&World::new().get_for(JANE, "acme").await).organization().unwrap().id().to_owned();
    assert_eq!(world.get(JANE).await.status(), 200);
    let hold = world.fake.hold(Endpoint::SignIns);
    let layer = world.layer();
    let late = tokio::spawn(async move { ask(&layer.organization("acme").unwrap(), basic(JANE)).await });
    hold.arrived(1).await;
    world.fake.add_organization(FakeOrganization::new("acme-old").id(&acme));
    hold.release();
    late.await.unwrap();
    for _ in 0..10 {
        tokio::time::sleep(MINUTE).await;
        assert_eq!(world.get(JANE).await.status(), 200);
    }
}
