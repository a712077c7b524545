//! One normalised row for each object of Clerk's (rule Y4).
//!
//! Events, lists and reads by id show an object in the same form, so that one pure function reads all three.

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::kind::Kind;

/// The value of a mirrored column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Flag(Option<bool>),
    /// Canonical JSON: keys in order, no white space.
    Json(Option<String>),
}

/// An object of Clerk's, as far as it is mirrored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// Clerk's `updated_at`, in milliseconds.
    pub(crate) version: i64,
    /// In the order of [`Kind::columns`].
    pub(crate) values: Vec<Value>,
    /// Over `values`, so that it changes with them even where `updated_at` doesn't.
    pub(crate) hash: String,
}

/// Why an object can't be mirrored. It holds ids and a reason, and nothing of the content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) id: Option<String>,
    pub(crate) organization_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) reason: &'static str,
}

#[derive(Deserialize)]
struct User<'a> {
    id: String,
    updated_at: i64,
    created_at: i64,
    external_id: Option<String>,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    image_url: Option<String>,
    primary_email_address_id: Option<String>,
    #[serde(default)]
    email_addresses: Vec<EmailAddress>,
    primary_phone_number_id: Option<String>,
    #[serde(default)]
    phone_numbers: Vec<PhoneNumber>,
    banned: Option<bool>,
    deprovisioned: Option<bool>,
    #[serde(borrow)]
    public_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EmailAddress {
    id: String,
    email_address: String,
    verification: Option<Verification>,
}

#[derive(Deserialize)]
struct PhoneNumber {
    id: String,
    phone_number: String,
    verification: Option<Verification>,
}

#[derive(Deserialize)]
struct Verification {
    status: Option<String>,
}

#[derive(Deserialize)]
struct Organization<'a> {
    id: String,
    updated_at: i64,
    created_at: i64,
    name: Option<String>,
    slug: Option<String>,
    image_url: Option<String>,
    created_by: Option<String>,
    #[serde(borrow)]
    public_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Membership<'a> {
    id: String,
    updated_at: i64,
    created_at: i64,
    role: Option<String>,
    organization: Id,
    public_user_data: UserId,
    #[serde(borrow)]
    public_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct UserId {
    user_id: String,
}

/// The ids of an object that doesn't fit.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ids {
    id: Json,
    organization: Json,
    public_user_data: Json,
}

impl Record {
    /// Reads an object as Clerk shows it.
    pub(crate) fn read(kind: Kind, json: &str) -> Result<Self, Unfit> {
        let read = match kind {
            Kind::User => serde_json::from_str::<User<'_>>(json).map(User::parts),
            Kind::Organization => serde_json::from_str::<Organization<'_>>(json).map(Organization::parts),
            Kind::Membership => serde_json::from_str::<Membership<'_>>(json).map(Membership::parts),
        };
        let unfit = |reason| Unfit { reason, ..Unfit::of(json) };
        let (id, version, values) = read
            .map_err(|_| unfit("a field is missing, or of another type than Clerk describes"))?
            .map_err(unfit)?;
        if id.is_empty() || id.len() > 255 {
            return Err(unfit("its id is empty or longer than 255 bytes"));
        }
        let holds_nul = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
        if id.contains('\0') || values.iter().any(holds_nul) {
            return Err(unfit("a text holds the character NUL, which PostgreSQL can't store"));
        }
        let hash = hash(&values);
        Ok(Self { kind, id, version, values, hash })
    }

    /// The value of a column.
    pub(crate) fn value(&self, column: &str) -> Option<&Value> {
        let at = self.kind.columns().iter().position(|(name, _)| *name == column)?;
        self.values.get(at)
    }
}

/// Id, version and values.
type Parts = (String, i64, Vec<Value>);

impl User<'_> {
    fn parts(self) -> Result<Parts, &'static str> {
        let primary = self.primary_email_address_id;
        let email = self.email_addresses.into_iter().find(|it| Some(&it.id) == primary.as_ref());
        let primary = self.primary_phone_number_id;
        let phone = self.phone_numbers.into_iter().find(|it| Some(&it.id) == primary.as_ref());
        let email_verified = email.as_ref().map(|it| is_verified(it.verification.as_ref()));
        let phone_verified = phone.as_ref().map(|it| is_verified(it.verification.as_ref()));
        let values = vec![
            Value::Text(self.external_id),
            Value::Text(self.username),
            Value::Text(self.first_name),
            Value::Text(self.last_name),
            Value::Text(email.map(|it| it.email_address)),
            Value::Flag(email_verified),
            Value::Text(phone.map(|it| it.phone_number)),
            Value::Flag(phone_verified),
            Value::Text(self.image_url),
            Value::Flag(self.banned),
            Value::Flag(self.deprovisioned),
            metadata(self.public_metadata)?,
            Value::Integer(Some(self.created_at)),
        ];
        Ok((self.id, self.updated_at, values))
    }
}

impl Organization<'_> {
    fn parts(self) -> Result<Parts, &'static str> {
        let values = vec![
            Value::Text(self.name),
            Value::Text(self.slug),
            Value::Text(self.image_url),
            Value::Text(self.created_by),
            metadata(self.public_metadata)?,
            Value::Integer(Some(self.created_at)),
        ];
        Ok((self.id, self.updated_at, values))
    }
}

impl Membership<'_> {
    fn parts(self) -> Result<Parts, &'static str> {
        let values = vec![
            Value::Text(Some(self.public_user_data.user_id)),
            Value::Text(Some(self.organization.id)),
            Value::Text(self.role),
            metadata(self.public_metadata)?,
            Value::Integer(Some(self.created_at)),
        ];
        Ok((self.id, self.updated_at, values))
    }
}

fn is_verified(verification: Option<&Verification>) -> bool {
    verification.and_then(|it| it.status.as_deref()) == Some("verified")
}

/// Metadata in canonical form, since events and lists may order its keys differently.
fn metadata(metadata: Option<&RawValue>) -> Result<Value, &'static str> {
    let Some(metadata) = metadata else { return Ok(Value::Json(None)) };
    let metadata: Json = serde_json::from_str(metadata.get()).map_err(
        |_| "its public metadata is nested more than 127 levels deep, or holds a number out of range",
    )?;
    if holds_nul(&metadata) {
        return Err("its public metadata holds the character NUL, which PostgreSQL can't store");
    }
    Ok(Value::Json(Some(canonical(metadata))))
}

/// JSON with its keys in order. `serde_json` keeps the order of the text where another crate turns `preserve_order` on.
fn canonical(mut json: Json) -> String {
    json.sort_all_objects();
    json.to_string()
}

/// The canonical form of JSON that the database holds.
pub(crate) fn canonical_text(json: &str) -> String {
    serde_json::from_str(json).map_or_else(|_| json.to_owned(), canonical)
}

fn holds_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(holds_nul),
        Json::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

fn hash(values: &[Value]) -> String {
    let mut hasher = blake3::Hasher::new();
    // A tag and a length before each value: no two rows have the same bytes.
    let mut update = |tag: u8, value: Option<&[u8]>| {
        let length = value.map_or(u64::MAX, |value| value.len() as u64);
        hasher.update(&[tag]).update(&length.to_le_bytes()).update(value.unwrap_or_default());
    };
    for value in values {
        match value {
            Value::Text(text) => update(0, text.as_ref().map(String::as_bytes)),
            Value::Integer(number) => {
                update(1, number.map(i64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
            }
            Value::Flag(flag) => {
                update(2, flag.map(|flag| [u8::from(flag)]).as_ref().map(<[u8; 1]>::as_slice));
            }
            Value::Json(json) => update(3, json.as_ref().map(String::as_bytes)),
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

impl Unfit {
    /// The ids of an object that does not fit, for the reason to come.
    pub(crate) fn of(json: &str) -> Self {
        let text = |json: &Json| {
            json.as_str()
                .filter(|id| !id.is_empty() && id.len() <= 255 && !id.contains('\0'))
                .map(str::to_owned)
        };
        let ids: Ids = serde_json::from_str(json).unwrap_or_default();
        Self {
            id: text(&ids.id),
            organization_id: text(&ids.organization["id"]),
            user_id: text(&ids.public_user_data["user_id"]),
            reason: "",
        }
    }
}
