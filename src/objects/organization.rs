//! An organization.

use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Json;
use super::scalar::Scalar;

/// An organization. Of the event `organization.deleted`, only the id and maybe the slug are set.
#[derive(Clone)]
#[non_exhaustive]
pub struct OrganizationData {
    /// The id (`org_…`).
    pub id: String,
    /// The slug, if there is one.
    pub slug: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The address of the logo, which is there for each organization.
    pub image_url: Option<String>,
    /// Whether the logo is one that the organization has chosen.
    pub has_image: Option<bool>,
    /// The id of the user who has created it.
    pub created_by: Option<String>,
    /// How many members it has. Clerk's lists have it, and most events don't.
    pub members_count: Option<u64>,
    /// How many members it can have; 0 is without a limit.
    pub max_allowed_memberships: Option<u64>,
    /// Metadata that all members see, and that only servers can set.
    pub public_metadata: Option<Json>,
    /// When the organization was created.
    pub created_at: Option<SystemTime>,
    /// When the organization was last changed.
    pub updated_at: Option<SystemTime>,
    /// The whole object as Clerk sent it, without `private_metadata`.
    pub json: Json,
}

impl OrganizationData {
    pub(crate) fn read(json: &str) -> Result<Self, serde_json::Error> {
        let organization: Organization<'_> = serde_json::from_str(json)?;
        Ok(Self {
            id: organization.id,
            slug: organization.slug.text(),
            name: organization.name.text(),
            image_url: organization.image_url.text(),
            has_image: organization.has_image.flag(),
            created_by: organization.created_by.text(),
            members_count: organization.members_count.count(),
            max_allowed_memberships: organization.max_allowed_memberships.count(),
            public_metadata: Json::metadata(organization.public_metadata),
            created_at: organization.created_at.time(),
            updated_at: organization.updated_at.time(),
            json: Json::of_object(json)?,
        })
    }
}

#[derive(Deserialize)]
struct Organization<'a> {
    id: String,
    #[serde(default)]
    slug: Scalar,
    #[serde(default)]
    name: Scalar,
    #[serde(default)]
    image_url: Scalar,
    #[serde(default)]
    has_image: Scalar,
    #[serde(default)]
    created_by: Scalar,
    #[serde(default)]
    members_count: Scalar,
    #[serde(default)]
    max_allowed_memberships: Scalar,
    #[serde(default, borrow)]
    public_metadata: Option<&'a RawValue>,
    #[serde(default)]
    created_at: Scalar,
    #[serde(default)]
    updated_at: Scalar,
}

impl fmt::Debug for OrganizationData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrganizationData")
            .field("id", &self.id)
            .field("slug", &self.slug)
            .finish_non_exhaustive()
    }
}
