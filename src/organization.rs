//! The organization of a session, with the user's role and permissions.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::authorization::is_same_name;
use crate::packed::Packed;

/// The organization of a session, with the user's role and permissions in it.
///
/// [`ClerkSession::organization`](crate::ClerkSession::organization) and
/// [`Claims::organization`](crate::Claims::organization) return it. Roles and permissions have their full names in both
/// versions of Clerk's claims, such as `org:admin` and `org:invoices:read`. Clerk's system permissions, such as
/// `org:sys_memberships:read`, are not part of a token
/// (<https://clerk.com/docs/organizations/roles-permissions#system-permissions>): check the role instead.
///
/// ```
/// use tower_clerk::Organization;
///
/// fn may_read_invoices(organization: &Organization) -> bool {
///     organization.has_role("org:admin") || organization.has_permission("org:invoices:read")
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Organization(Packed<4>);

impl Organization {
    pub(crate) fn new(id: &str, slug: Option<&str>, role: Option<&str>, permissions: &Permissions) -> Self {
        let permissions = Some(permissions.joined.as_str()).filter(|joined| !joined.is_empty());
        Self(Packed::new([Some(id), slug, role, permissions]))
    }

    /// The id of the organization, `org_…`. It never changes.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.get(0).unwrap_or_default()
    }

    /// The organization's name in URLs, if the instance uses slugs. Admins can change it, so store the id instead.
    #[must_use]
    pub fn slug(&self) -> Option<&str> {
        self.0.get(1)
    }

    /// The role of the user in the organization, such as `org:admin`.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.0.get(2)
    }

    /// The permissions of the user in the organization, such as `org:invoices:read`.
    pub fn permissions(&self) -> impl Iterator<Item = &str> {
        self.0.get(3).into_iter().flat_map(|joined| joined.split(SEPARATOR))
    }

    /// Returns whether the user has this role: a [`Role`](crate::Role), or its name.
    ///
    /// The `org:` in front of a name may be missing, as with Clerk's own `has()`: `admin` and `org:admin` are one role.
    #[must_use]
    pub fn has_role(&self, role: impl AsRef<str>) -> bool {
        self.role().is_some_and(|held| is_same_name(held, role.as_ref()))
    }

    /// Returns whether the user has this permission: a [`Permission`](crate::Permission), or its name.
    ///
    /// The `org:` in front of a name may be missing, as with Clerk's own `has()`: `invoices:read` and
    /// `org:invoices:read` are one permission.
    #[must_use]
    pub fn has_permission(&self, permission: impl AsRef<str>) -> bool {
        self.permissions().any(|held| is_same_name(held, permission.as_ref()))
    }
}

impl fmt::Debug for Organization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Organization")
            .field("id", &self.id())
            .field("slug", &self.slug())
            .field("role", &self.role())
            .field("permissions", &self.permissions().collect::<Vec<_>>())
            .finish()
    }
}

impl Serialize for Organization {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Organization", 4)?;
        fields.serialize_field("id", self.id())?;
        fields.serialize_field("slug", &self.slug())?;
        fields.serialize_field("role", &self.role())?;
        fields.serialize_field("permissions", &self.permissions().collect::<Vec<_>>())?;
        fields.end()
    }
}

/// Separates the stored permissions. A permission that contains it is skipped.
const SEPARATOR: char = '\n';

/// More than any instance can define. A token's lists of features and permissions multiply, so without a limit a small
/// token could name millions.
const MAX_PERMISSIONS: usize = 10_000;
const MAX_PERMISSIONS_LEN: usize = 256 * 1024;

/// The longest accepted mask in decimal digits, enough for 13,600 permissions.
const MAX_MASK: usize = 4096;

/// Collects the permissions of an [`Organization`].
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    joined: String,
    count: usize,
}

/// A token with more permissions than this crate stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyPermissions;

impl Permissions {
    /// The permissions of claims of version 1, which list them.
    pub(crate) fn listed<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, TooManyPermissions> {
        let mut permissions = Self::default();
        for permission in list {
            if !permission.is_empty() {
                permissions.push(&[permission])?;
            }
        }
        Ok(permissions)
    }

    /// The permissions of claims of version 2: features (`fea`), permissions (`o.per`), and for each feature of the
    /// organization a mask over the permissions (`o.fpm`), a decimal number whose lowest bit is the first permission.
    ///
    /// Follows Clerk's own `jwtPayloadParser.ts`. Unreadable parts grant nothing: an invalid mask grants no permission
    /// of its feature, and a list of features that makes Clerk's parser throw grants no permission at all.
    pub(crate) fn mapped(features: &str, names: &str, masks: &str) -> Result<Self, TooManyPermissions> {
        let mut permissions = Self::default();
        if names.is_empty() || masks.is_empty() {
            return Ok(permissions);
        }
        let Some(features) = organization_features(features) else {
            return Ok(permissions);
        };
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        // The masks belong to the organization's features only; features of the user alone have none.
        for (feature, mask) in features.into_iter().zip(masks.split(',')) {
            for name in set_bits(mask.trim()).map_while(|bit| names.get(bit)) {
                if !name.is_empty() {
                    permissions.push(&["org:", feature, ":", name])?;
                }
            }
        }
        Ok(permissions)
    }

    fn push(&mut self, parts: &[&str]) -> Result<(), TooManyPermissions> {
        if parts.iter().any(|part| part.contains(SEPARATOR)) {
            return Ok(());
        }
        let len = self.joined.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        if self.count == MAX_PERMISSIONS || len >= MAX_PERMISSIONS_LEN {
            return Err(TooManyPermissions);
        }
        if self.count > 0 {
            self.joined.push(SEPARATOR);
        }
        self.count += 1;
        self.joined.extend(parts.iter().copied());
        Ok(())
    }
}

/// The features of the organization (`o:`, `ou:`, `uo:`), or `None` if a feature has no scope.
fn organization_features(features: &str) -> Option<Vec<&str>> {
    let mut of_organization = Vec::new();
    for feature in features.split(',').filter(|_| !features.is_empty()) {
        let (scope, name) = feature.trim().split_once(':')?;
        if matches!(scope, "o" | "ou" | "uo") {
            of_organization.push(name);
        }
    }
    Some(of_organization)
}

/// The set bits of a decimal number, lowest first. An invalid or too long number has none.
fn set_bits(decimal: &str) -> impl Iterator<Item = usize> {
    let is_number = (1..=MAX_MASK).contains(&decimal.len()) && decimal.bytes().all(|b| b.is_ascii_digit());
    let mut limbs: Vec<u32> = Vec::new();
    if is_number {
        // Nine digits at a time are the most that fit into a limb, so neither sum nor carry can overflow.
        for digits in decimal.as_bytes().chunks(9) {
            let mut carry = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            let scale = digits.iter().fold(1, |scale, _| scale * 10);
            for limb in &mut limbs {
                let scaled = u64::from(*limb) * scale + carry;
                *limb = (scaled & u64::from(u32::MAX)) as u32;
                carry = scaled >> 32;
            }
            if carry > 0 {
                limbs.push(carry as u32);
            }
        }
    }
    (0..limbs.len() * 32).filter(move |bit| limbs[bit / 32] >> (bit % 32) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authorization::{Permission, Role};

    fn mapped(features: &str, names: &str, masks: &str) -> Vec<String> {
        let permissions = Permissions::mapped(features, names, masks).unwrap();
        let organization = Organization::new("org_1", None, None, &permissions);
        organization.permissions().map(str::to_owned).collect()
    }

    #[test]
    fn masks_are_read_as_clerks_own_library_reads_them() {
        for (features, names, masks, expected) in [
            (
                "o:impersonation,o:memberships",
                "read,manage",
                "1,3",
                &["org:impersonation:read", "org:memberships:read", "org:memberships:manage"][..],
            ),
            (
                "o:repositories,o:projects",
                "read,create,update,delete,revoke",
                "7,21",
                &[
                    "org:repositories:read",
                    "org:repositories:create",
                    "org:repositories:update",
                    "org:projects:read",
                    "org:projects:update",
                    "org:projects:revoke",
                ],
            ),
            (
                "o:dashboard,o:teams",
                "manage,read",
                "3,2",
                &["org:dashboard:manage", "org:dashboard:read", "org:teams:read"],
            ),
            // The user's feature comes last, so its mask is not reached.
            (
                "o:repositories,uo:projects,u:gold",
                "read,create,update,delete,revoke",
                "7,21,0",
                &[
                    "org:repositories:read",
                    "org:repositories:create",
                    "org:repositories:update",
                    "org:projects:read",
                    "org:projects:update",
                    "org:projects:revoke",
                ],
            ),
            (
                "ou:memberships,u:impersonation",
                "read,manage",
                "3,0",
                &["org:memberships:read", "org:memberships:manage"],
            ),
            // The user's feature comes first, and still has no mask.
            ("u:gold,o:teams", "read,manage", "2,3", &["org:teams:manage"]),
            // White space, bits beyond the list, a feature without a mask, a mask without a feature.
            (" o:teams , x:other ", " read , manage ", " 7 ", &["org:teams:read", "org:teams:manage"]),
            ("o:a,o:b", "read", "1", &["org:a:read"]),
            ("o:a", "read", "1,1", &["org:a:read"]),
            ("o:a", "read", "0001", &["org:a:read"]),
            ("o:a", "read", "0", &[]),
            ("o:a:b", "read", "1", &["org:a:b:read"]),
        ] {
            assert_eq!(mapped(features, names, masks), expected, "{features} {names} {masks}");
        }
    }

    #[test]
    fn masks_may_be_larger_than_a_float_holds() {
        let names: Vec<String> = (0..200).map(|index| format!("p{index}")).collect();
        let names = names.join(",");
        assert_eq!(mapped("o:a", &names, "9007199254740993"), ["org:a:p0", "org:a:p53"]);
        // 2^64 + 2^32 and 2^199.
        assert_eq!(mapped("o:a", &names, "18446744078004518912"), ["org:a:p32", "org:a:p64"]);
        let mask = "803469022129495137770981046170581301261101496891396417650688";
        assert_eq!(mapped("o:a", &names, mask), ["org:a:p199"]);
    }

    #[test]
    fn unreadable_masks_and_features_grant_nothing() {
        for mask in
            ["-1", "1.5", "1invalid", "", " ", "+1", "0x1", "1e3", "\u{661}", &"1".repeat(MAX_MASK + 1)]
        {
            assert_eq!(mapped("o:a", "read", mask), [""; 0], "{mask}");
        }
        // The next feature still gets its mask.
        assert_eq!(mapped("o:a,o:b", "read", "-1,1"), ["org:b:read"]);
        for features in ["", "a", "o:a,b", "o:a,", "a,o:b"] {
            assert_eq!(mapped(features, "read", "1,1"), [""; 0], "{features}");
        }
        assert_eq!(mapped("o:a", "", "1"), [""; 0]);
        assert_eq!(mapped("o:a", "read,,\n", "7"), ["org:a:read"]);
        assert_eq!(mapped("o:a\nb,o:c", "read", "1,1"), ["org:c:read"]);
    }

    #[test]
    fn a_small_token_cannot_name_very_many_permissions() {
        let features = vec!["o:a"; 2000].join(",");
        let names = vec!["x"; 64].join(",");
        let masks = vec!["18446744073709551615"; 2000].join(",");
        assert_eq!(Permissions::mapped(&features, &names, &masks).unwrap_err(), TooManyPermissions);
        let long = format!("o:{}", "a".repeat(8000));
        assert_eq!(
            Permissions::mapped(&long, &names, "18446744073709551615").unwrap_err(),
            TooManyPermissions
        );
        assert!(Permissions::listed(vec!["a"; MAX_PERMISSIONS]).is_ok());
        assert!(Permissions::listed(vec!["a"; MAX_PERMISSIONS + 1]).is_err());
    }

    #[test]
    fn g1_roles_and_permissions_are_compared_with_one_prefix_in_front() {
        let permissions = Permissions::listed(["org:a:read", "org:b:manage", "", "org:\nadmin"]).unwrap();
        let organization = Organization::new("org_1", Some("acme"), Some("org:admin"), &permissions);
        assert_eq!((organization.id(), organization.slug()), ("org_1", Some("acme")));
        assert!(["org:admin", "admin", "org:org:admin"].iter().all(|role| organization.has_role(role)));
        assert!(
            organization.has_role(Role::new("org:admin")) && !organization.has_role(Role::new("org:member"))
        );
        assert!(!organization.has_role("org:ADMIN") && !organization.has_role("org:"));
        assert!(organization.has_permission("org:a:read") && organization.has_permission("b:manage"));
        assert!(organization.has_permission(Permission::new("org:a:read")));
        for other in ["", "org:", "org:a", "read", ":a:read", "org:a:read\norg:b:manage", "org:a:readx"] {
            assert!(!organization.has_permission(other), "{other}");
        }
        // Roles of instances from before Clerk's prefix.
        let old = Organization::new("org_1", None, Some("basic_member"), &Permissions::default());
        assert!(old.has_role("basic_member") && old.has_role(Role::new("org:basic_member")));
        let bare = Organization::new("org_1", None, None, &Permissions::default());
        assert!(!bare.has_role("") && !bare.has_permission(""));
        assert_eq!(bare.permissions().count(), 0);
    }

    #[test]
    fn an_organization_is_serialized_with_its_permissions() {
        let permissions = Permissions::listed(["org:a:read"]).unwrap();
        let organization = Organization::new("org_1", None, Some("org:admin"), &permissions);
        let json = serde_json::to_string(&organization).unwrap();
        assert_eq!(json, r#"{"id":"org_1","slug":null,"role":"org:admin","permissions":["org:a:read"]}"#);
    }

    proptest! {
        #[test]
        fn a_mask_has_the_bits_of_its_number(mask in any::<u128>(), zeros in 0usize..20) {
            let decimal = "0".repeat(zeros) + &mask.to_string();
            let expected: Vec<usize> = (0..128).filter(|bit| mask >> bit & 1 == 1).collect();
            prop_assert_eq!(set_bits(&decimal).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn arbitrary_permissions_never_panic(
            features in any::<String>(), names in any::<String>(), masks in any::<String>(),
        ) {
            let _ = Permissions::mapped(&features, &names, &masks);
            let _ = Permissions::mapped("o:a,o:b", &names, "9007199254740993,3");
        }
    }
}
