//! Names of roles and permissions.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::error::{Kind, RequirementError};

const PREFIX: &str = "org:";

/// Whether two names are the same with exactly one `org:` in front of each (rule G1), as after `prefixWithOrg` in
/// Clerk's `authorization.ts`. An empty name is the same as none.
pub(crate) fn is_same_name(held: &str, asked: &str) -> bool {
    let asked = bare(asked);
    !asked.is_empty() && bare(held) == asked
}

/// The name without any `org:` in front.
fn bare(mut name: &str) -> &str {
    while let Some(rest) = name.strip_prefix(PREFIX) {
        name = rest;
    }
    name
}

/// Whether the bytes from `from` to `to` are lower-case letters, digits and underscores, at least one.
const fn is_segment(bytes: &[u8], from: usize, to: usize, hyphens: bool) -> bool {
    let mut at = from;
    while at < to {
        let byte = bytes[at];
        if !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || (hyphens && byte == b'-'))
        {
            return false;
        }
        at += 1;
    }
    from < to
}

const fn has_prefix(bytes: &[u8]) -> bool {
    matches!(bytes, [b'o', b'r', b'g', b':', ..])
}

/// Whether the name is `org:` and the key of a role, as Clerk's Backend API wants it for `POST /organization_roles`.
const fn is_role(name: &str) -> bool {
    let bytes = name.as_bytes();
    has_prefix(bytes) && is_segment(bytes, PREFIX.len(), bytes.len(), false)
}

/// Whether the name is `org:`, a feature, a colon and an action, as Clerk's Backend API wants it for
/// `POST /organization_permissions`. Hyphens are for the slugs of features that are older than this format.
const fn is_permission(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut colon = PREFIX.len();
    while colon < bytes.len() && bytes[colon] != b':' {
        colon += 1;
    }
    has_prefix(bytes)
        && is_segment(bytes, PREFIX.len(), colon, true)
        && colon < bytes.len()
        && is_segment(bytes, colon + 1, bytes.len(), true)
}

/// <https://clerk.com/docs/guides/organizations/control-access/roles-and-permissions#system-permissions>
const fn is_system_permission(name: &str) -> bool {
    matches!(name.as_bytes(), [b'o', b'r', b'g', b':', b's', b'y', b's', b'_', ..])
}

/// The role of a user in an organization, such as `org:admin`.
///
/// Name your roles once, as constants, and use them in guards and handlers alike; a misspelt name then doesn't compile:
///
/// ```
/// use tower_clerk::{ClerkSession, Role};
///
/// const ADMIN: Role = Role::new("org:admin");
///
/// fn may_delete(session: &ClerkSession) -> bool {
///     session.has_role(ADMIN)
/// }
/// ```
///
/// ```compile_fail,E0080
/// # use tower_clerk::Role;
/// const ADMIN: Role = Role::new("org:Admin");
/// # fn main() { assert_eq!(ADMIN.as_ref(), "org:Admin") }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role(Cow<'static, str>);

impl Role {
    /// Creates a role from its full name, such as `org:admin`.
    ///
    /// # Panics
    ///
    /// Panics unless the name is `org:` and `[a-z0-9_]+`. In a `const` this is an error of the compiler.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(is_role(name), "a role is like org:admin, with [a-z0-9_]+ after the org:");
        Self(Cow::Borrowed(name))
    }

    /// Parses the name of a role, from a configuration file for example. The `org:` may be missing.
    ///
    /// # Errors
    ///
    /// Returns an error if the name isn't `[a-z0-9_]+` after the `org:`.
    ///
    /// ```
    /// use tower_clerk::Role;
    ///
    /// const ADMIN: Role = Role::new("org:admin");
    /// assert_eq!(Role::parse("admin")?, ADMIN);
    /// # Ok::<(), tower_clerk::error::RequirementError>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self, RequirementError> {
        let full = format!("{PREFIX}{}", bare(name));
        if !is_role(&full) {
            return Err(Kind::Role { name: name.to_owned() }.into());
        }
        Ok(Self(full.into()))
    }
}

/// A permission of a user in an organization, such as `org:invoices:read`.
///
/// Like a [`Role`], it is best a constant. Clerk's system permissions (`org:sys_…`) are refused: session tokens don't
/// contain them, so a check would fail for every user.
///
/// ```
/// use tower_clerk::{ClerkSession, Permission};
///
/// const READ_INVOICES: Permission = Permission::new("org:invoices:read");
///
/// fn may_read(session: &ClerkSession) -> bool {
///     session.has_permission(READ_INVOICES)
/// }
/// ```
///
/// ```compile_fail,E0080
/// # use tower_clerk::Permission;
/// const READ_INVOICES: Permission = Permission::new("org:invoices");
/// # fn main() { assert_eq!(READ_INVOICES.as_ref(), "org:invoices") }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission(Cow<'static, str>);

impl Permission {
    /// Creates a permission from its full name, such as `org:invoices:read`.
    ///
    /// # Panics
    ///
    /// Panics unless the name is `org:`, a feature, a colon and an action, both `[a-z0-9_-]+`, or if it is a system
    /// permission (`org:sys_…`). In a `const` this is an error of the compiler.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(
            is_permission(name),
            "a permission is like org:invoices:read: org:, a feature, and an action"
        );
        assert!(!is_system_permission(name), "session tokens don't contain system permissions (org:sys_)");
        Self(Cow::Borrowed(name))
    }

    /// Parses the name of a permission, from a configuration file for example. The `org:` may be missing.
    ///
    /// # Errors
    ///
    /// Returns an error if the name isn't a feature, a colon and an action, both `[a-z0-9_-]+`, after the `org:`, or if
    /// it is a system permission.
    ///
    /// ```
    /// use tower_clerk::Permission;
    ///
    /// assert_eq!(Permission::parse("invoices:read")?, Permission::new("org:invoices:read"));
    /// assert!(Permission::parse("org:sys_memberships:read").is_err());
    /// # Ok::<(), tower_clerk::error::RequirementError>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self, RequirementError> {
        let full = format!("{PREFIX}{}", bare(name));
        if !is_permission(&full) {
            return Err(Kind::Permission { name: name.to_owned() }.into());
        }
        if is_system_permission(&full) {
            return Err(Kind::SystemPermission { name: name.to_owned() }.into());
        }
        Ok(Self(full.into()))
    }
}

macro_rules! a_name {
    ($name:ident) => {
        /// The full name, with its `org:`.
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }

        impl FromStr for $name {
            type Err = RequirementError;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::parse(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = RequirementError;

            fn try_from(name: &str) -> Result<Self, Self::Error> {
                Self::parse(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = RequirementError;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                Self::parse(&name)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = RequirementError;

            fn try_from(name: &String) -> Result<Self, Self::Error> {
                Self::parse(name)
            }
        }
    };
}

a_name!(Role);
a_name!(Permission);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn g1_a_malformed_name_is_refused_and_named() {
        for role in
            ["", "org:", "org:org:", "org:Admin", "org:a b", "org:a:b", "org:ä", "org:a-b", "admin,member"]
        {
            let error = Role::parse(role).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{role:?} is no role: ")), "{error}");
        }
        for permission in [
            "",
            "org:",
            "org:invoices",
            "org:invoices:",
            "org::read",
            "org:a:b:c",
            "org:A:read",
            "org: a:read",
        ] {
            let error = Permission::parse(permission).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{permission:?} is no permission: ")), "{error}");
        }
        for system in ["org:sys_memberships:read", "sys_profile:delete"] {
            let error = Permission::parse(system).unwrap_err().to_string();
            assert!(error.contains("system permission") && error.contains(system), "{error}");
        }
    }

    #[test]
    fn g1_a_parsed_name_is_the_constant_whatever_its_prefix() {
        for name in ["admin", "org:admin", "org:org:admin"] {
            assert_eq!(Role::parse(name).unwrap(), Role::new("org:admin"), "{name}");
        }
        for name in ["team-a:read_all", "org:team-a:read_all"] {
            assert_eq!(name.parse::<Permission>().unwrap(), Permission::new("org:team-a:read_all"), "{name}");
        }
        assert_eq!(Role::new("org:admin").to_string(), "org:admin");
    }

    #[test]
    fn g1_an_empty_name_is_nobodys() {
        for name in ["", "org:", "org:org:"] {
            assert!(!is_same_name(name, name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn g1_prefixing_is_idempotent(name in "[a-z:]{0,12}", held in 0usize..4, asked in 0usize..4) {
            let prefixed = |times: usize| PREFIX.repeat(times) + &name;
            prop_assert_eq!(is_same_name(&prefixed(held), &prefixed(asked)), !bare(&name).is_empty());
        }

        #[test]
        fn g1_other_names_stay_other_names(one in "[a-z_:]{0,8}", other in "[a-z_:]{0,8}") {
            prop_assume!(bare(&one) != bare(&other));
            let prefixed = format!("org:{one}");
            prop_assert!(!is_same_name(&one, &other) && !is_same_name(&prefixed, &other));
        }

        #[test]
        fn g1_arbitrary_names_never_panic(name in any::<String>()) {
            let _ = (Role::parse(&name), Permission::parse(&name), is_same_name(&name, &name));
        }
    }
}
