//! Changes at Clerk, as its dashboard makes them.

use crate::common::{JANE, Pair, World};

/// The path of the app for the organization that is changed.
pub(super) const ACME: &str = "/orgs/acme/me";

const ACME_ID: &str = "org_ojHFcumdg8ZxYa1pebKSFy9ijB5";

/// Jane after a change of her password.
pub(super) const NEW: Pair = (JANE.0, "a new password");

/// The calls of the Backend API that make a change: method, path and body, with names in place of the ids.
pub(super) fn calls(change: &str) -> &'static [&'static str] {
    match change {
        "ban" => &["POST /v1/users/{jane}/ban"],
        "ban lifted" => &["POST /v1/users/{jane}/ban", "POST /v1/users/{jane}/unban"],
        "deleted" => &["DELETE /v1/users/{jane}"],
        "new password" => &[r#"PATCH /v1/users/{jane} {"password":"a new password"}"#],
        "no password" => &["POST /v1/users/{jane}/remove_password {}"],
        "second factor" => &[r#"PATCH /v1/users/{jane} {"totp_secret":"JBSWY3DPEHPK3PXP"}"#],
        "member removed" => &["DELETE /v1/organizations/{acme}/memberships/{jane}"],
        "member added" => &[
            "DELETE /v1/organizations/{acme}/memberships/{jane}",
            r#"POST /v1/organizations/{acme}/memberships {"user_id":"{jane}","role":"org:member"}"#,
        ],
        "role changed" => &[r#"PATCH /v1/organizations/{acme}/memberships/{jane} {"role":"org:member"}"#],
        "slug changed" => &[r#"PATCH /v1/organizations/{acme} {"slug":"acme-two"}"#],
        "organization gone" => &["DELETE /v1/organizations/{acme}"],
        "session revoked" => &["POST /v1/sessions/{session}/revoke"],
        "locked" => &["POST /v1/users/{jane}/lock"],
        "other name" => &[r#"PATCH /v1/users/{jane} {"first_name":"Janet"}"#],
        "other name of org" => &[r#"PATCH /v1/organizations/{acme} {"name":"Another"}"#],
        _ => panic!("no change {change:?}"),
    }
}

/// Puts the ids in, those of Jane and of a session of hers. There is none if she has no session yet.
pub(super) fn with_ids(World { fake, .. }: &World, call: &str) -> Option<String> {
    let jane = fake.user_id(JANE.0).unwrap_or_default();
    let session = fake.sessions().into_iter().rev().find(|session| session.user_id() == jane);
    if session.is_none() && call.contains("{session}") {
        return None;
    }
    let session = session.map(|session| session.id().to_owned()).unwrap_or_default();
    Some(call.replace("{jane}", &jane).replace("{acme}", ACME_ID).replace("{session}", &session))
}
