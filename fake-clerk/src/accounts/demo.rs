//! The demo accounts, one for each possible outcome of a sign-in.

use crate::accounts::api_key::FakeApiKey;
use crate::accounts::organization::FakeOrganization;
use crate::accounts::user::FakeUser;
use crate::ids;

/// The secret of `mfa@example.com`'s authenticator app.
const TOTP_SECRET: &str = "JBSWY3DPEHPK3PXP";

/// Returns a demo account whose id is the same at every start.
fn user(email: &str) -> FakeUser {
    FakeUser::new(email).id(ids::derived("user", email))
}

pub(crate) fn users() -> Vec<FakeUser> {
    vec![
        user("jane@example.com")
            .username("jane")
            .name("Jane", "Doe")
            .password("correct horse battery staple"),
        user("bob@example.com").username("bob").name("Bob", "Roe").password("hunter2hunter2"),
        user("carol@example.com").password("personal account only"),
        user("mfa@example.com").password("second factor please").second_factor_totp(TOTP_SECRET),
        user("newdevice@example.com").password("trust me on a device").device_trust(),
        user("locked@example.com").password("locked out for an hour").locked(),
        user("banned@example.com").password("banned for good").banned(),
        user("expired@example.com").password("please choose a new one").needs_new_password(),
        user("sso@example.com").no_password(),
    ]
}

/// Returns the id of a demo organization, which is the same at every start.
pub(crate) fn organization_id(slug: &str) -> String {
    ids::derived("org", slug)
}

pub(crate) fn organizations() -> Vec<FakeOrganization> {
    let organization = |slug: &str, name: &str| {
        // On Clerk, roles belong to the instance, so both organizations have the same ones.
        FakeOrganization::new(slug)
            .id(organization_id(slug))
            .name(name)
            .role("org:admin", ["org:invoices:read", "org:invoices:manage"])
            .role("org:member", ["org:invoices:read"])
    };
    vec![organization("acme", "Acme"), organization("globex", "Globex")]
}

/// A key of a user and a key of an organization, with fixed secrets.
pub(crate) fn api_keys() -> Vec<FakeApiKey> {
    let key = |subject| FakeApiKey::demo(subject).created_by("jane@example.com");
    vec![
        key("jane").name("jane's laptop").scopes(["invoices:read"]),
        key("acme").name("acme's nightly build").scopes(["invoices:read", "invoices:manage"]),
    ]
}

/// Members, as user, organization and role.
pub(crate) const MEMBERS: [(&str, &str, &str); 3] = [
    ("jane@example.com", "acme", "org:admin"),
    ("jane@example.com", "globex", "org:member"),
    ("bob@example.com", "acme", "org:member"),
];
