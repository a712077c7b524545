//! The claims as Clerk sends them, and their conversion.

use serde::Deserialize;
use serde_json::Value;

use super::{Claims, ClaimsError, Kind};
use crate::organization::{Organization, Permissions};
use crate::packed::Packed;

/// The end of the year 9999. A later time is a mistake, and could overflow.
pub(super) const LATEST: u64 = 253_402_300_799;

impl Claims {
    /// Reads a token's payload. Does not verify the token.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, ClaimsError> {
        // serde also deserializes a struct from an array.
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Err(Kind::NotAnObject.into());
        }
        let wire: Wire = serde_json::from_slice(payload).map_err(|_| Kind::NotAnObject)?;
        let is_v2 = wire.v.as_ref().and_then(Value::as_u64) == Some(2);

        let sub = string("sub", wire.sub.as_ref())?.ok_or(Kind::Missing("sub"))?;
        let iss = string("iss", wire.iss.as_ref())?.ok_or(Kind::Missing("iss"))?;
        let actor = match &wire.act {
            None => None,
            // The session is an impersonation, so the actor must not be lost.
            Some(act) => Some(string("act", act.get("sub"))?.ok_or(Kind::WrongType("act"))?),
        };
        // Version 1 has neither, and a template may use these short names for claims of its own.
        let (plan, features) = if is_v2 {
            (string("pla", wire.pla.as_ref())?, string("fea", wire.fea.as_ref())?)
        } else {
            (None, None)
        };
        let organization = match (is_v2, &wire.o) {
            (false, _) => organization_v1(&wire)?,
            (true, Some(o)) => organization_v2(o, features.unwrap_or_default())?,
            (true, None) => None,
        };
        Ok(Self {
            text: Packed::new([
                Some(sub),
                string("sid", wire.sid.as_ref())?,
                Some(iss),
                string("sts", wire.sts.as_ref())?,
                string("azp", wire.azp.as_ref())?,
                actor,
                plan,
                features,
            ]),
            organization: organization.map(Box::new),
            issued_at: seconds("iat", wire.iat.as_ref())?.ok_or(Kind::Missing("iat"))?,
            expires_at: seconds("exp", wire.exp.as_ref())?.ok_or(Kind::Missing("exp"))?,
            not_before: seconds("nbf", wire.nbf.as_ref())?,
            factor_verification_age: ages(wire.fva.as_ref())?,
            version: 1 + u8::from(is_v2),
        })
    }
}

/// Clerk's claims as sent. Other claims are skipped; a repeated claim is an error.
#[derive(Deserialize)]
struct Wire {
    sub: Option<Value>,
    sid: Option<Value>,
    iss: Option<Value>,
    iat: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    sts: Option<Value>,
    azp: Option<Value>,
    act: Option<Value>,
    fva: Option<Value>,
    v: Option<Value>,
    pla: Option<Value>,
    fea: Option<Value>,
    o: Option<Value>,
    org_id: Option<Value>,
    org_slug: Option<Value>,
    org_role: Option<Value>,
    org_permissions: Option<Value>,
}

fn organization_v1(wire: &Wire) -> Result<Option<Organization>, ClaimsError> {
    // Without an id, a role or a slug is a claim of a template's own.
    let Some(id) = string("org_id", wire.org_id.as_ref())? else {
        return Ok(None);
    };
    let mut listed = Vec::new();
    match &wire.org_permissions {
        None => {}
        Some(Value::Array(list)) => {
            for permission in list {
                listed.push(permission.as_str().ok_or(Kind::WrongType("org_permissions"))?);
            }
        }
        Some(_) => return Err(Kind::WrongType("org_permissions").into()),
    }
    Ok(Some(Organization::new(
        id,
        string("org_slug", wire.org_slug.as_ref())?,
        string("org_role", wire.org_role.as_ref())?,
        &Permissions::listed(listed).map_err(|_| Kind::TooManyPermissions)?,
    )))
}

fn organization_v2(o: &Value, features: &str) -> Result<Option<Organization>, ClaimsError> {
    if !o.is_object() {
        return Err(Kind::WrongType("o").into());
    }
    let field = |name| string("o", o.get(name));
    let Some(id) = field("id")? else {
        return Ok(None);
    };
    let role = field("rol")?.map(|role| format!("org:{role}"));
    let (names, masks) = (field("per")?.unwrap_or_default(), field("fpm")?.unwrap_or_default());
    let permissions = Permissions::mapped(features, names, masks).map_err(|_| Kind::TooManyPermissions)?;
    Ok(Some(Organization::new(id, field("slg")?, role.as_deref(), &permissions)))
}

/// A string claim. An empty string and `null` count as missing.
fn string<'a>(claim: &'static str, value: Option<&'a Value>) -> Result<Option<&'a str>, ClaimsError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(string)) => Ok(Some(string.as_str()).filter(|string| !string.is_empty())),
        Some(_) => Err(Kind::WrongType(claim).into()),
    }
}

/// A `NumericDate`, which may have a fraction (RFC 7519 section 2).
fn seconds(claim: &'static str, value: Option<&Value>) -> Result<Option<u64>, ClaimsError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let seconds = value.as_u64().or_else(|| {
        let seconds = value.as_f64()?;
        (0.0..=LATEST as f64).contains(&seconds).then_some(seconds as u64)
    });
    match seconds {
        Some(seconds) if seconds <= LATEST => Ok(Some(seconds)),
        _ => Err(Kind::WrongType(claim).into()),
    }
}

fn ages(value: Option<&Value>) -> Result<Option<(i64, i64)>, ClaimsError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let age = |index| value.get(index).and_then(Value::as_i64).ok_or(Kind::WrongType("fva"));
    Ok(Some((age(0)?, age(1)?)))
}
