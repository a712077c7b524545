//! A change in Clerk's dashboard is true at the next request, with the stand-in as the sender (rule W5).

use std::time::Duration;

use super::SECOND;
use super::app::{Accepts, App, Provider};
use super::changes::{ACME, NEW, calls, with_ids};
use crate::common::{BOB, CAROL, JANE, Pair};

/// The change; Jane's password at the next requests; the answers to her, to her for `acme`, and to Bob for `acme`; and
/// the cost of these three: the sign-ins and mints with the Frontend API, and the proofs, sign-ins and mints with the
/// Backend API. Bob's part of the mints is behind the plus.
///
/// The Backend API tells of an account that is banned, gone or without a password before any proof. A session for an
/// organization is one of its own there, so a member who is added signs in for it.
///
/// To Bob and Carol without an organization, each change is free.
const TABLE: &str = "
ban               | old | credentials_rejected   | credentials_rejected   | org:member             | 1 0+0 | 0 0 0+0
ban lifted        | old | personal               | org:admin              | org:member             | 1 1+0 | 1 1 1+0
deleted           | old | credentials_rejected   | credentials_rejected   | org:member             | 1 0+0 | 0 0 0+0
new password      | old | credentials_rejected   | credentials_rejected   | org:member             | 1 0+0 | 1 0 0+0
new password      | new | personal               | org:admin              | org:member             | 1 1+0 | 1 0 0+0
no password       | old | credentials_rejected   | credentials_rejected   | org:member             | 1 0+0 | 0 0 0+0
second factor     | old | second_factor_required | second_factor_required | org:member             | 1 0+0 | 1 0 0+0
member removed    | old | personal               | organization_forbidden | org:member             | 0 1+0 | 0 0 1+0
member added      | old | personal               | org:member             | org:member             | 0 1+0 | 0 1 1+0
role changed      | old | personal               | org:member             | org:member             | 0 1+0 | 0 0 1+0
slug changed      | old | personal               | organization_forbidden | organization_forbidden | 0 1+1 | 0 0 1+1
organization gone | old | personal               | organization_forbidden | organization_forbidden | 0 1+1 | 0 0 1+1
session revoked   | old | personal               | org:admin              | org:member             | 1 1+0 | 1 1 1+0
locked            | old | personal               | org:admin              | org:member             | 0 0+0 | 0 0 0+0
other name        | old | personal               | org:admin              | org:member             | 0 0+0 | 0 0 0+0
other name of org | old | personal               | org:admin              | org:member             | 0 0+0 | 0 0 0+0
";

struct Row {
    change: &'static str,
    jane: Pair,
    /// To Jane, to her for `acme`, and to Bob for `acme`.
    answers: [&'static str; 3],
    /// The proofs, sign-ins and mints, without Bob's mints.
    cost: [usize; 3],
    mints_of_bob: usize,
}

fn rows(provider: Provider) -> Vec<Row> {
    let lines = TABLE.trim().lines();
    let rows = lines.map(|line| {
        let [change, password, jane, jane_for_acme, bob_for_acme, frontend, backend] =
            line.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let cost = if provider == Provider::Frontend { format!("0 {frontend}") } else { backend.to_owned() };
        let numbers: Vec<usize> = cost.split([' ', '+']).map(|number| number.parse().unwrap()).collect();
        Row {
            change,
            jane: if password == "new" { NEW } else { JANE },
            answers: [jane, jane_for_acme, bob_for_acme],
            cost: numbers[..3].try_into().unwrap(),
            mints_of_bob: numbers[3],
        }
    });
    rows.collect()
}

/// Everyone sends requests, and the ids in the calls are known.
async fn sign_in(app: &App) {
    for (path, pair, role) in [
        ("/me", JANE, "personal"),
        (ACME, JANE, "org:admin"),
        ("/me", BOB, "personal"),
        (ACME, BOB, "org:member"),
        ("/me", CAROL, "personal"),
    ] {
        assert_eq!(app.ask(path, pair).await, role);
    }
    app.settle().await;
}

async fn check(row: &Row, app: &App, name: &str) {
    let (last, earlier) = calls(row.change).split_last().unwrap();
    for call in earlier {
        app.change(&with_ids(&app.world, call).unwrap()).await;
        for (path, pair) in [("/me", JANE), (ACME, JANE), (ACME, BOB)] {
            app.ask(path, pair).await;
        }
    }
    app.change(&with_ids(&app.world, last).unwrap()).await;
    for round in ["next", "later"] {
        app.world.fake.clear_log();
        for pair in [BOB, CAROL] {
            assert_eq!(app.ask("/me", pair).await, "personal", "{name}");
        }
        assert_eq!(app.cost(), [0; 3], "{name}, {round}: of those whom it doesn't concern");
        let mut answers = [const { String::new() }; 3];
        answers[2] = app.ask(ACME, BOB).await;
        let of_bob = app.cost();
        answers[0] = app.ask("/me", row.jane).await;
        answers[1] = app.ask(ACME, row.jane).await;
        assert_eq!(answers, row.answers, "{name}, {round}");
        app.settle().await;
        let (cost, mints_of_bob) = if round == "next" { (row.cost, row.mints_of_bob) } else { ([0; 3], 0) };
        assert_eq!(of_bob, [0, 0, mints_of_bob], "{name}, {round}: of Bob for the organization");
        let [proofs, sign_ins, mints] = app.cost();
        assert_eq!([proofs, sign_ins, mints - mints_of_bob], cost, "{name}, {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_what_the_dashboard_changes_is_true_at_the_next_request_and_costs_what_it_must() {
    let mut failed = Vec::new();
    for provider in [Provider::Frontend, Provider::Backend] {
        for row in rows(provider) {
            let app = App::in_process(provider, Accepts::Basic);
            tokio::time::advance(10 * SECOND).await;
            sign_in(&app).await;
            tokio::time::advance(10 * SECOND).await;
            let name = format!("{}, {provider:?}", row.change);
            // A task for each row, so that one run tells all rows that don't hold.
            let checked =
                tokio::spawn(
                    async move { check(&row, &app, &format!("{}, {provider:?}", row.change)).await },
                );
            failed.extend(checked.await.is_err().then_some(name));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn w5_what_the_dashboard_changes_is_true_at_the_next_request_over_sockets() {
    let mut apps = Vec::new();
    for provider in [Provider::Frontend, Provider::Backend] {
        for row in rows(provider) {
            apps.push((row, App::on_sockets(provider, Accepts::Basic).await, provider));
        }
    }
    // Clerk's times have no more than seconds, so proofs are certainly newer than the passwords after two of them.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (_, app, _) in &apps {
        sign_in(app).await;
    }
    for (row, app, provider) in &apps {
        check(row, app, &format!("{}, {provider:?}, over sockets", row.change)).await;
    }
}
