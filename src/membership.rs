//! Organization memberships of a user.

use crate::scope::OrganizationName;

/// An organization that the user is a member of.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) id: Box<str>,
    pub(crate) slug: Option<Box<str>>,
}

impl Membership {
    /// The id of the organization with this id or slug, if it is among the memberships.
    pub(crate) fn find<'a>(memberships: &'a [Self], organization: &OrganizationName) -> Option<&'a str> {
        Self::place(memberships, organization).map(|place| &*memberships[place].id)
    }

    /// The place of the organization with this id or slug among the memberships.
    pub(crate) fn place(memberships: &[Self], organization: &OrganizationName) -> Option<usize> {
        let is_it = |it: &&Self| match organization {
            OrganizationName::Id(id) => it.id == *id,
            OrganizationName::Slug(slug) => it.slug.as_deref() == Some(&**slug),
            OrganizationName::Malformed | OrganizationName::Unlisted => false,
        };
        memberships.iter().position(|it| is_it(&it))
    }
}
