//! Which sessions meet which requirement, for both versions of Clerk's claims.

use std::time::Duration;

use tower_clerk::guard::{Reverification, ReverificationLevel, SecondFactor};
use tower_clerk::testing::TokenVersion::{V1, V2};
use tower_clerk::{ConfigError, Permission, Requirement, Role};

use super::{ADA, EVE, MINUTE, status, world};
use crate::common::JANE;

const BILLING: Role = Role::new("org:billing");
const READ_INVOICES: Permission = Permission::new("org:invoices:read");

fn new() -> Requirement {
    Requirement::new()
}

#[tokio::test(start_paused = true)]
async fn g1_each_dimension_judges_both_versions_and_personal_sessions() {
    let reverified = || new().reverification(Reverification::Strict);
    let first = Reverification::Custom { level: ReverificationLevel::FirstFactor, within: MINUTE };
    // Of a session for `initech`, and of one for the personal account.
    let table: [(Requirement, bool, bool); 21] = [
        (new().organization(), true, false),
        (new().role(BILLING), true, false),
        (new().role(&BILLING), true, false),
        (new().role("org:billing"), true, false),
        (new().role("billing".to_owned()), true, false),
        (new().role("org:org:billing"), true, false),
        (new().role("admin"), false, false),
        (new().permission(READ_INVOICES), true, false),
        (new().permission("invoices:read"), true, false),
        (new().permission("org:team-a:manage"), true, false),
        (new().permission("org:invoices:manage"), false, false),
        (new().permission(READ_INVOICES).permission("team-a:manage"), true, false),
        (new().permission(READ_INVOICES).permission("invoices:manage"), false, false),
        (new().role(BILLING).permission(READ_INVOICES), true, false),
        (new().role("member").permission(READ_INVOICES), false, false),
        (new().deny_impersonation(), true, true),
        (reverified(), true, true),
        (new().reverification(first), true, true),
        (reverified().role(BILLING), true, false),
        (new().second_factor(SecondFactor::Required { within: MINUTE }), false, false),
        (new().fresh_proof(MINUTE), true, true),
    ];
    for version in [V1, V2] {
        let world = world(version);
        for (requirement, in_organization, personal) in &table {
            let expected = |is_met: bool| if is_met { 200 } else { 403 };
            let of = |organization| status(&world, ADA, organization, requirement.clone());
            assert_eq!(of(Some("initech")).await, expected(*in_organization), "{version:?} {requirement:?}");
            assert_eq!(of(None).await, expected(*personal), "{version:?} {requirement:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g1_the_role_of_another_organization_counts_for_nothing() {
    let world = world(V2);
    let admin = || new().role("org:admin");
    assert_eq!(status(&world, JANE, Some("acme"), admin()).await, 200);
    assert_eq!(status(&world, JANE, Some("globex"), admin()).await, 403, "a member there");
}

#[tokio::test(start_paused = true)]
async fn g1_any_of_needs_one_alternative_and_all_that_is_added_to_it() {
    let world = world(V2);
    let (billing, admin) = (|| new().role(BILLING), || new().role("admin"));
    let read = || new().permission(READ_INVOICES);
    for (requirement, expected) in [
        (Requirement::any_of([admin(), billing()]), 200),
        (Requirement::any_of([billing()]), 200),
        (Requirement::any_of([admin(), new().feature("x")]), 403),
        (Requirement::any_of([admin(), billing()]).permission(READ_INVOICES), 200),
        (Requirement::any_of([admin(), billing()]).permission("invoices:manage"), 403),
        (Requirement::any_of([admin(), read().role("member")]), 403),
        (Requirement::any_of([Requirement::any_of([admin()]), Requirement::any_of([read()])]), 200),
    ] {
        assert_eq!(
            status(&world, ADA, Some("initech"), requirement.clone()).await,
            expected,
            "{requirement:?}"
        );
    }
}

#[tokio::test]
async fn g1_a_requirement_that_cannot_be_judged_is_an_error_at_build_time() {
    let layer = world(V2).layer();
    for (requirement, message) in [
        (new(), "asks for nothing"),
        (Requirement::any_of([]), "any_of without alternatives"),
        (Requirement::any_of([new().role("admin"), new()]), "asks for nothing"),
        (Requirement::any_of([Requirement::any_of([])]).role("admin"), "any_of without alternatives"),
        (new().role("org:Admin"), r#""org:Admin" is no role"#),
        (new().role(String::new()), r#""" is no role"#),
        (new().permission("invoices"), r#""invoices" is no permission"#),
        (new().permission("org:sys_memberships:read"), "system permission"),
        (new().feature("team:reports"), r#"the feature "team:reports""#),
        (new().plan("o:"), r#""o:" is no plan"#),
        (new().role("admin").role("member"), "both roles org:admin and org:member"),
        (new().second_factor(SecondFactor::Required { within: Duration::ZERO }), "longer than zero"),
        (new().fresh_proof(Duration::ZERO), "longer than zero"),
        (
            new().reverification(Reverification::Custom {
                level: ReverificationLevel::FirstFactor,
                within: Duration::ZERO,
            }),
            "longer than zero",
        ),
        // The first mistake, wherever it is.
        (Requirement::any_of([new().role("?")]), r#""?" is no role"#),
        (new().role("!").permission("?").organization(), r#""!" is no role"#),
    ] {
        let error = layer.require(requirement.clone()).unwrap_err();
        assert!(matches!(error, ConfigError::Requirement(_)), "{error:?}");
        assert!(error.to_string().contains(message), "{error}: {requirement:?}");
    }
    for good in
        [new().role("admin").role("org:admin"), new().feature("Reports"), new().plan("user:free_user")]
    {
        assert!(layer.require(good).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn g4_features_and_plans_are_judged_in_their_scope_and_missing_from_version_1() {
    // Of a session for `initech`, and of one for the personal account.
    let table: [(Requirement, bool, bool); 12] = [
        (new().feature("reports"), true, false),
        (new().feature("organization:reports"), true, false),
        (new().feature("user:reports"), false, false),
        (new().feature("gold"), true, true),
        (new().feature("u:gold"), true, true),
        (new().feature("org:gold"), false, false),
        // The feature of a permission.
        (new().feature("o:invoices"), true, false),
        (new().feature("gol"), false, false),
        (new().plan("pro"), true, false),
        (new().plan("o:pro"), true, false),
        (new().plan("u:free"), false, true),
        (new().plan("pro").feature("u:gold"), true, false),
    ];
    let (v1, v2) = (world(V1), world(V2));
    for (requirement, in_organization, personal) in &table {
        for (organization, is_met) in [(Some("initech"), in_organization), (None, personal)] {
            let expected = if *is_met { 200 } else { 403 };
            let of = |world| status(world, ADA, organization, requirement.clone());
            assert_eq!(of(&v2).await, expected, "{organization:?} {requirement:?}");
            assert_eq!(of(&v1).await, 403, "{organization:?} {requirement:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g5_an_impersonation_is_denied_if_asked_for() {
    for version in [V1, V2] {
        let world = world(version);
        let reverified = || new().reverification(Reverification::Lax);
        assert_eq!(status(&world, EVE, None, reverified()).await, 200, "{version:?}");
        assert_eq!(status(&world, EVE, None, reverified().deny_impersonation()).await, 403, "{version:?}");
        assert_eq!(status(&world, ADA, None, reverified().deny_impersonation()).await, 200, "{version:?}");
    }
}
