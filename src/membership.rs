//! The organizations of a user.

/// An organization that the user is a member of.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) id: Box<str>,
    pub(crate) slug: Option<Box<str>>,
}
