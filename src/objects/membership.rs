//! A membership.

use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::scalar::Scalar;
use super::{Json, OrganizationData};

/// A user's membership in an organization.
#[derive(Clone)]
#[non_exhaustive]
pub struct MembershipData {
    /// The id (`orgmem_…`). A user who is removed and added again has another one.
    pub id: String,
    /// The id of the user.
    pub user_id: Option<String>,
    /// The organization.
    pub organization: OrganizationData,
    /// The role, such as `org:admin`.
    pub role: Option<String>,
    /// The name of the role, such as `Admin`.
    pub role_name: Option<String>,
    /// The permissions of the role, Clerk's own (`org:sys_…`) included.
    pub permissions: Vec<String>,
    /// Metadata that the members of the organization see, and that only servers can set.
    pub public_metadata: Option<Json>,
    /// When the membership was created.
    pub created_at: Option<SystemTime>,
    /// When the membership was last changed.
    pub updated_at: Option<SystemTime>,
    /// The whole object as Clerk sent it, without any `private_metadata`.
    pub json: Json,
}

impl MembershipData {
    pub(crate) fn read(json: &str) -> Result<Self, serde_json::Error> {
        let membership: Membership<'_> = serde_json::from_str(json)?;
        let permissions = membership.permissions.and_then(|all| serde_json::from_str(all.get()).ok());
        let user = membership.public_user_data.and_then(|user| serde_json::from_str(user.get()).ok());
        Ok(Self {
            id: membership.id,
            user_id: user.and_then(|user: PublicUserData| user.user_id.text()),
            organization: OrganizationData::read(membership.organization.get())?,
            role: membership.role.text(),
            role_name: membership.role_name.text(),
            permissions: permissions.unwrap_or_default(),
            public_metadata: Json::metadata(membership.public_metadata),
            created_at: membership.created_at.time(),
            updated_at: membership.updated_at.time(),
            json: Json::of_object(json)?,
        })
    }
}

#[derive(Deserialize)]
struct Membership<'a> {
    id: String,
    #[serde(borrow)]
    organization: &'a RawValue,
    /// Clerk's description doesn't require it.
    #[serde(default, borrow)]
    public_user_data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    permissions: Option<&'a RawValue>,
    #[serde(default, borrow)]
    public_metadata: Option<&'a RawValue>,
    #[serde(default)]
    role: Scalar,
    #[serde(default)]
    role_name: Scalar,
    #[serde(default)]
    created_at: Scalar,
    #[serde(default)]
    updated_at: Scalar,
}

#[derive(Deserialize)]
struct PublicUserData {
    #[serde(default)]
    user_id: Scalar,
}

impl fmt::Debug for MembershipData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembershipData")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("organization", &self.organization)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
