//! Organization claims of session tokens, in both versions.

use serde_json::{Map, Value, json};

use crate::state::{Membership, Organization, State};

/// Returns the permissions without Clerk's own (`org:sys_…`), which tokens leave out.
fn custom_permissions<'a>(organization: &'a Organization, role: &str) -> Vec<&'a str> {
    let permissions = organization.about.roles.iter().find(|(key, _)| key == role);
    permissions
        .into_iter()
        .flat_map(|(_, permissions)| permissions)
        .map(String::as_str)
        .filter(|permission| !permission.starts_with("org:sys_"))
        .collect()
}

/// Returns the organization that a session token names, and the user's membership in it.
pub(crate) fn active<'a>(
    state: &'a State,
    user: &str,
    organization: Option<&str>,
) -> Option<(&'a Organization, &'a Membership)> {
    let membership = state.membership(user, organization?)?;
    Some((state.organizations.get(&membership.organization)?, membership))
}

/// Inserts `org_id`, `org_slug`, `org_role` and `org_permissions`, or nothing without an organization.
pub(crate) fn version_1(
    claims: &mut Map<String, Value>,
    state: &State,
    user: &str,
    organization: Option<&str>,
) {
    let Some((organization, membership)) = active(state, user, organization) else { return };
    claims.insert("org_id".to_owned(), json!(organization.about.id));
    claims.insert("org_slug".to_owned(), json!(organization.about.slug));
    claims.insert("org_role".to_owned(), json!(membership.role));
    let permissions = custom_permissions(organization, &membership.role);
    claims.insert("org_permissions".to_owned(), json!(permissions));
}

/// Inserts `v`, `o`, `fea` and `pla`.
pub(crate) fn version_2(
    claims: &mut Map<String, Value>,
    state: &State,
    user: &str,
    organization: Option<&str>,
) {
    claims.insert("v".to_owned(), json!(2));
    let account = state.users.get(user).map(|user| &user.account);
    let user_features = account.map_or(&[][..], |account| &account.features);
    let active = active(state, user, organization);
    let mut features: Vec<String> = Vec::new();
    let mut plan = account.and_then(|account| account.plan.as_ref()).map(|plan| format!("u:{plan}"));
    if let Some((organization, membership)) = active {
        let permissions = custom_permissions(organization, &membership.role);
        let packed = pack(&permissions, &organization.about.features);
        let mut about = Map::new();
        about.insert("id".to_owned(), json!(organization.about.id));
        about.insert("slg".to_owned(), json!(organization.about.slug));
        let role = membership.role.strip_prefix("org:").unwrap_or(&membership.role);
        about.insert("rol".to_owned(), json!(role));
        if !packed.permissions.is_empty() {
            about.insert("per".to_owned(), json!(packed.permissions.join(",")));
            about.insert("fpm".to_owned(), json!(packed.masks.join(",")));
        }
        claims.insert("o".to_owned(), Value::Object(about));
        features.extend(packed.features.iter().map(|feature| format!("o:{feature}")));
        if let Some(paid) = &organization.about.plan {
            plan = Some(format!("o:{paid}"));
        }
    }
    features.extend(user_features.iter().map(|feature| format!("u:{feature}")));
    if !features.is_empty() {
        claims.insert("fea".to_owned(), json!(features.join(",")));
    }
    if let Some(plan) = plan {
        claims.insert("pla".to_owned(), json!(plan));
    }
}

/// Permissions packed as in version 2: per feature, a bit mask of permission names, lowest bit first.
struct Packed<'a> {
    features: Vec<&'a str>,
    permissions: Vec<&'a str>,
    masks: Vec<String>,
}

fn pack<'a>(permissions: &[&'a str], more_features: &'a [String]) -> Packed<'a> {
    let (mut features, mut names): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut held: Vec<Vec<usize>> = Vec::new();
    for permission in permissions {
        // `org:invoices:read`. The dashboard creates permissions in this form only.
        let mut parts = permission.splitn(3, ':').skip(1);
        let (Some(feature), Some(name)) = (parts.next(), parts.next()) else { continue };
        let feature = index_of(&mut features, feature);
        held.resize(features.len(), Vec::new());
        held[feature].push(index_of(&mut names, name));
    }
    for feature in more_features {
        index_of(&mut features, feature);
    }
    held.resize(features.len(), Vec::new());
    let masks = held.iter().map(|bits| decimal(bits)).collect();
    Packed { features, permissions: names, masks }
}

fn index_of<'a>(list: &mut Vec<&'a str>, item: &'a str) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// Formats the number with these bits set. The number can exceed any integer type, since an instance can have
/// hundreds of permissions.
fn decimal(bits: &[usize]) -> String {
    let mut digits = vec![0_u8];
    for bit in (0..=bits.iter().copied().max().unwrap_or(0)).rev() {
        let mut carry = u8::from(bits.contains(&bit));
        for digit in &mut digits {
            let doubled = *digit * 2 + carry;
            *digit = doubled % 10;
            carry = doubled / 10;
        }
        if carry > 0 {
            digits.push(carry);
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_become_a_mask_for_each_feature() {
        let packed = pack(&["org:dashboard:manage", "org:dashboard:read", "org:teams:read"], &[]);
        assert_eq!(packed.features, ["dashboard", "teams"]);
        assert_eq!(packed.permissions, ["manage", "read"]);
        assert_eq!(packed.masks, ["3", "2"]);
    }

    #[test]
    fn a_feature_without_permissions_has_an_empty_mask() {
        let features = ["reports".to_owned()];
        let packed = pack(&["org:teams:read"], &features);
        assert_eq!(packed.features, ["teams", "reports"]);
        assert_eq!(packed.masks, ["1", "0"]);
    }

    #[test]
    fn masks_can_exceed_any_integer() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 2]), "5");
        assert_eq!(decimal(&[0, 53]), "9007199254740993");
        assert_eq!(decimal(&[128]), "340282366920938463463374607431768211456");
    }
}
