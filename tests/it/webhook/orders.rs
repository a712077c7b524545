//! Events in every order, and each one twice: the end state is Clerk's (rule W5).

use serde_json::{Value, json};

use super::{SECOND, deliver, millis, user};
use crate::common::{JANE, Pair, World, code, run_ready_tasks, session};

const NEW: Pair = (JANE.0, "a new password");

/// A change at Clerk.
#[derive(Clone, Copy, Debug)]
enum Change {
    Ban,
    Unban,
    Password,
    SecondFactor,
    Leave,
    Join,
    EndSession,
    Delete,
}

use Change::{Ban, Delete, EndSession, Join, Leave, Password, SecondFactor, Unban};

/// Histories of changes, the last one of which is Clerk's state.
const HISTORIES: [[Change; 4]; 6] = [
    [Ban, Unban, Password, Leave],
    [Password, Ban, Unban, Ban],
    [Leave, Join, Password, EndSession],
    [Join, Leave, Ban, Unban],
    [EndSession, SecondFactor, Ban, Unban],
    [Password, Leave, Ban, Delete],
];

/// Makes a change at Clerk, and returns the event that tells of it.
fn change(
    world: &World,
    change: Change,
    ids: &[String; 3],
    last_password: &mut u64,
) -> (&'static str, Value) {
    let ([jane, acme, held], fake, now) = (ids, &world.fake, millis(world.clock.wall()));
    let membership = json!({
        "id": "orgmem_1",
        "organization": { "id": acme, "slug": "acme" },
        "public_user_data": { "user_id": jane },
    });
    match change {
        Ban => fake.ban(jane),
        Unban => fake.unban(jane),
        Password => {
            fake.set_password(jane, NEW.1);
            *last_password = now;
        }
        SecondFactor => fake.require_second_factor(jane, true),
        Leave => fake.remove_member(jane, "acme"),
        Join => fake.add_member(jane, "acme", "org:member"),
        EndSession => _ = fake.revoke_session(held),
        Delete => fake.delete_user(jane),
    }
    let user = |changed: Value| {
        let mut user = user(jane, "jane", &changed);
        user["password_last_updated_at"] =
            if *last_password == 0 { Value::Null } else { (*last_password).into() };
        user
    };
    match change {
        Ban => ("user.updated", user(json!({ "banned": true }))),
        Unban | Password => ("user.updated", user(json!({}))),
        SecondFactor => ("user.updated", user(json!({ "mfa_enabled_at": now }))),
        Leave => ("organizationMembership.deleted", membership),
        Join => ("organizationMembership.created", membership),
        EndSession => ("session.ended", json!({ "id": held })),
        Delete => ("user.deleted", json!({ "id": jane, "deleted": true })),
    }
}

/// All orders of four.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|code| [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6]);
    all.filter(|order| (0..4).all(|at| order.contains(&at))).collect()
}

/// The answers to the old password, the new one, and the one that is right for an organization.
async fn answers(world: &World) -> [String; 3] {
    // After many refusals the same refusal is 429, by the number of attempts that were seen here.
    let answer = |response: &_| match code(response) {
        "throttled" => "credentials_rejected".to_owned(),
        code => code.to_owned(),
    };
    let (old, new) = (answer(&world.get(JANE).await), answer(&world.get(NEW).await));
    let pair = if new.is_empty() { NEW } else { JANE };
    [old, new, answer(&world.get_for(pair, "acme").await)]
}

/// Clerk's answer now, to an engine that holds nothing.
async fn of_clerk(world: &World) -> [String; 3] {
    let clerk = crate::common::builder(&world.fake, world.clock).unlimited_sign_ins().build().unwrap();
    answers(&World { clerk, ..world.clone() }).await
}

#[tokio::test(start_paused = true)]
async fn w5_events_in_every_order_and_twice_lead_to_clerks_state() {
    assert_eq!(orders().len(), 24);
    for history in HISTORIES {
        for order in orders() {
            let world = World::unlimited();
            let held = world.get(JANE).await;
            let acme = world.get_for(JANE, "acme").await;
            let acme = session(&acme).organization().unwrap().id().to_owned();
            let ids = [session(&held).user_id().to_owned(), acme, session(&held).session_id().to_owned()];
            let (mut events, mut last_password) = (Vec::new(), 0);
            for it in history {
                tokio::time::advance(10 * SECOND).await;
                events.push(change(&world, it, &ids, &mut last_password));
            }
            for at in order {
                // The engine asks, remembers and stores in between, after any part of the deliveries.
                answers(&world).await;
                let (event_type, data) = &events[at];
                deliver(&world, event_type, data).await;
            }
            run_ready_tasks().await;
            let expected = of_clerk(&world).await;
            assert_eq!(answers(&world).await, expected, "{history:?} as {order:?}");
            for at in order {
                let (event_type, data) = &events[at];
                deliver(&world, event_type, data).await;
            }
            assert_eq!(answers(&world).await, expected, "{history:?} as {order:?}, twice");
        }
    }
}
