//! Requirements that no session could be judged by.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;

/// A requirement that is malformed or asks for nothing.
///
/// [`ClerkBasicAuthLayer::require`](crate::ClerkBasicAuthLayer::require) returns it in a
/// [`ConfigError`](crate::ConfigError), and [`Role::parse`](crate::Role::parse) and
/// [`Permission::parse`](crate::Permission::parse) return it for a name. Its message names the value and what is
/// allowed.
///
/// ```
/// use tower_clerk::Role;
///
/// let error = Role::parse("org:Admin").unwrap_err();
/// assert_eq!(error.to_string(), r#""org:Admin" is no role: a role is like org:admin, with [a-z0-9_]+ after the org:"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequirementError {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Empty,
    EmptyAnyOf,
    Role {
        name: String,
    },
    TwoRoles {
        names: [String; 2],
    },
    Permission {
        name: String,
    },
    SystemPermission {
        name: String,
    },
    /// `what` is "feature" or "plan".
    Entitlement {
        what: &'static str,
        name: String,
    },
    /// The scope of an API key.
    ScopeOfKey {
        name: String,
    },
    Scope {
        what: &'static str,
        name: String,
    },
    Zero {
        what: &'static str,
    },
}

impl From<Kind> for RequirementError {
    fn from(kind: Kind) -> Self {
        Self { kind }
    }
}

/// For the bound of [`Requirement::role`](crate::guard::Requirement::role), which takes a [`Role`](crate::Role) as well
/// as text.
impl From<Infallible> for RequirementError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for RequirementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str(
                "a requirement that asks for nothing lets every session in: ask for a role, a permission or another of \
                 its dimensions, or leave the guard out",
            ),
            Kind::EmptyAnyOf => f.write_str("an any_of without alternatives lets no session in: give at least one"),
            Kind::Role { name } => {
                write!(f, "{name:?} is no role: a role is like org:admin, with [a-z0-9_]+ after the org:")
            }
            Kind::TwoRoles { names: [one, other] } => write!(
                f,
                "no session has both roles {one} and {other}: a user has one role in an organization, and any_of takes \
                 alternatives"
            ),
            Kind::Permission { name } => write!(
                f,
                "{name:?} is no permission: a permission is like org:invoices:read, with a feature and an action of \
                 [a-z0-9_-]+ after the org:"
            ),
            Kind::SystemPermission { name } => write!(
                f,
                "{name:?} is a system permission of Clerk's, which session tokens don't contain: ask for a role instead"
            ),
            Kind::Entitlement { what, name } => {
                write!(f, "{name:?} is no {what}: a {what} is [A-Za-z0-9_-]+, after a scope and a colon or alone")
            }
            Kind::ScopeOfKey { name } => {
                write!(f, "{name:?} is no scope of an API key: one isn't empty, and has no white space around it")
            }
            Kind::Scope { what, name } => write!(
                f,
                "the scope of the {what} {name:?} is unknown: it must be o, org or organization, or u or user, or be \
                 left out"
            ),
            Kind::Zero { what } => write!(f, "the time of {what} must be longer than zero"),
        }
    }
}

impl StdError for RequirementError {}
