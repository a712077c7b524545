//! The identity of a session as header fields, for services that can't read extensions (rule A10).

use std::fmt;
use std::fmt::Write as _;

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::api_keys::ClerkApiKey;
use crate::session::ClerkSession;

/// A part of the identity of a session or an API key, which [`IdentityHeaders`] sends as a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityField {
    /// The id of the user, `user_…`: `X-Clerk-User-Id`.
    UserId,
    /// The id of the session, `sess_…`: `X-Clerk-Session-Id`.
    SessionId,
    /// The id of the organization, `org_…`: `X-Clerk-Org-Id`.
    OrganizationId,
    /// The slug of the organization: `X-Clerk-Org-Slug`.
    OrganizationSlug,
    /// The role of the user in the organization, such as `org:admin`: `X-Clerk-Org-Role`.
    OrganizationRole,
    /// The permissions of the user in the organization, such as `org:invoices:read`, separated by commas:
    /// `X-Clerk-Org-Permissions`.
    OrganizationPermissions,
    /// The id of the API key, `ak_…`, which is no secret: `X-Clerk-Api-Key-Id`.
    ApiKeyId,
    /// The id of the user or the organization that the API key is of: `X-Clerk-Api-Key-Subject`.
    ApiKeySubject,
    /// The scopes of the API key, such as `invoices:read`, separated by commas: `X-Clerk-Api-Key-Scopes`.
    ApiKeyScopes,
}

impl IdentityField {
    /// All fields, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::UserId,
        Self::SessionId,
        Self::OrganizationId,
        Self::OrganizationSlug,
        Self::OrganizationRole,
        Self::OrganizationPermissions,
        Self::ApiKeyId,
        Self::ApiKeySubject,
        Self::ApiKeyScopes,
    ];

    fn default_name(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::UserId => "x-clerk-user-id",
            Self::SessionId => "x-clerk-session-id",
            Self::OrganizationId => "x-clerk-org-id",
            Self::OrganizationSlug => "x-clerk-org-slug",
            Self::OrganizationRole => "x-clerk-org-role",
            Self::OrganizationPermissions => "x-clerk-org-permissions",
            Self::ApiKeyId => "x-clerk-api-key-id",
            Self::ApiKeySubject => "x-clerk-api-key-subject",
            Self::ApiKeyScopes => "x-clerk-api-key-scopes",
        })
    }

    /// The encoded value, or `None` if the session has none.
    fn value(self, session: &ClerkSession) -> Option<String> {
        let organization = session.organization();
        let text = match self {
            Self::UserId => Some(session.user_id()),
            Self::SessionId => Some(session.session_id()),
            Self::OrganizationId => Some(organization?.id()),
            Self::OrganizationSlug => organization?.slug(),
            Self::OrganizationRole => organization?.role(),
            Self::OrganizationPermissions => {
                return list(organization?.permissions());
            }
            Self::ApiKeyId | Self::ApiKeySubject | Self::ApiKeyScopes => None,
        };
        text.filter(|text| !text.is_empty()).map(|text| encoded(text, Commas::Keep))
    }

    /// The encoded value of an API key, which has none of a session's.
    fn value_of_key(self, key: &ClerkApiKey) -> Option<String> {
        match self {
            Self::ApiKeyId => Some(encoded(key.id(), Commas::Keep)),
            Self::ApiKeySubject => Some(encoded(key.subject(), Commas::Keep)),
            Self::ApiKeyScopes => list(key.scopes()),
            _ => None,
        }
    }
}

/// The header fields in which the inner service gets the identity of a session.
///
/// Pass it to [`ClerkBasicAuthLayer::identity_headers`](crate::ClerkBasicAuthLayer::identity_headers). It is for proxies
/// and for frameworks that can't read the [`ClerkSession`] in the extensions.
///
/// A client's own copies of these fields never reach the inner service, however the request passes the layer: with a
/// session, as [`Anonymous`](crate::Anonymous), exempt or as a preflight. A name counts as a copy if it differs in case
/// or in its separators only, since some servers take `X_Clerk_User_Id` for `X-Clerk-User-Id`. The names are taken out
/// of `Connection` as well; otherwise a proxy further in would drop the fields that the layer has set.
///
/// The layer doesn't read the request's body and so not its trailers either: an inner service that takes trailers for
/// header fields must drop these names itself, by [`is_copy`](Self::is_copy).
///
/// Characters that a header field can't hold are percent-encoded as UTF-8, and so are `%` and spaces; in a list, so are
/// commas.
///
/// ```
/// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
/// use http::HeaderName;
/// use tower_clerk::ClerkBasicAuthLayer;
/// use tower_clerk::layer::{IdentityField, IdentityHeaders};
///
/// let headers = IdentityHeaders::new()
///     .name(IdentityField::UserId, HeaderName::from_static("x-user"))
///     .send_absent_as_empty();
/// let layer = ClerkBasicAuthLayer::new(clerk).identity_headers(headers);
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct IdentityHeaders {
    names: Vec<(IdentityField, HeaderName)>,
    absent_as_empty: bool,
}

impl IdentityHeaders {
    /// Creates a set of all fields under their default names.
    pub fn new() -> Self {
        let names = IdentityField::ALL.iter().map(|field| (*field, field.default_name())).collect();
        Self { names, absent_as_empty: false }
    }

    /// Sends a field under another name.
    ///
    /// A client's field under the default name is still removed, as the inner service may know that name, too.
    pub fn name(mut self, field: IdentityField, name: HeaderName) -> Self {
        self.names.retain(|(other, _)| *other != field);
        self.names.push((field, name));
        self
    }

    /// Sends a field that the session has no value for as an empty one. By default it is not sent.
    ///
    /// Use it behind a proxy that copies the fields of a forward-auth answer into the request: for a field that the
    /// answer doesn't have, the proxy would leave the client's own.
    pub fn send_absent_as_empty(mut self) -> Self {
        self.absent_as_empty = true;
        self
    }

    /// Returns the fields of a session: names and values.
    pub fn of(&self, session: &ClerkSession) -> HeaderMap {
        self.collect(|field| field.value(session))
    }

    /// Returns the fields of an API key: names and values. They are its own, and none of a session is among them.
    pub fn of_api_key(&self, key: &ClerkApiKey) -> HeaderMap {
        self.collect(|field| field.value_of_key(key))
    }

    fn collect(&self, value: impl Fn(IdentityField) -> Option<String>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (field, name) in &self.names {
            match value(*field).map(HeaderValue::try_from) {
                Some(Ok(value)) => _ = headers.insert(name.clone(), value),
                // `encoded` leaves only visible ASCII, so that a value is never illegal.
                Some(Err(_)) | None if self.absent_as_empty => {
                    _ = headers.insert(name.clone(), HeaderValue::from_static(""));
                }
                Some(Err(_)) | None => {}
            }
        }
        headers
    }

    /// Replaces the client's copies by the fields of the session, or by none.
    pub(super) fn rewrite(&self, headers: &mut HeaderMap, session: Option<&ClerkSession>) {
        self.remove_copies(headers);
        let fields = match session {
            Some(session) => self.of(session),
            None => self.collect(|_| None),
        };
        headers.extend(fields);
    }

    /// Replaces the client's copies by the fields of the API key.
    pub(super) fn rewrite_for_api_key(&self, headers: &mut HeaderMap, key: &ClerkApiKey) {
        self.remove_copies(headers);
        headers.extend(self.of_api_key(key));
    }

    /// Removes the client's copies, and their names from `Connection`.
    fn remove_copies(&self, headers: &mut HeaderMap) {
        let copies: Vec<HeaderName> =
            headers.keys().filter(|name| self.is_copy(name.as_str())).cloned().collect();
        for name in copies {
            headers.remove(name);
        }
        let options =
            || headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
        let names_ours =
            |option: &[u8]| str::from_utf8(option).is_ok_and(|option| self.is_copy(option.trim()));
        if !options().any(names_ours) {
            return;
        }
        let kept: Vec<&[u8]> = options().filter(|option| !names_ours(option)).collect();
        let kept = HeaderValue::from_bytes(kept.join(&b',').trim_ascii());
        headers.remove(CONNECTION);
        if let Ok(kept) = kept
            && !kept.is_empty()
        {
            headers.insert(CONNECTION, kept);
        }
    }

    /// Returns whether an inner service could take a field of this name for one of these: the names are equal but for
    /// case and separators.
    ///
    /// CGI turns each character that is neither a letter nor a digit into an underscore, so that `X.Clerk.User.Id` and
    /// `X-Clerk-User-Id` look alike to the program behind it. The layer removes such header fields itself; a proxy needs
    /// this to drop them from the trailers of a request, too.
    ///
    /// ```
    /// use tower_clerk::layer::IdentityHeaders;
    ///
    /// let headers = IdentityHeaders::new();
    /// assert!(headers.is_copy("x-clerk-user-id") && headers.is_copy("X_Clerk_User_Id"));
    /// assert!(!headers.is_copy("x-clerk-user"));
    /// ```
    #[must_use]
    pub fn is_copy(&self, name: &str) -> bool {
        let alike = |a: u8, b: u8| match (a.is_ascii_alphanumeric(), b.is_ascii_alphanumeric()) {
            (true, true) => a.eq_ignore_ascii_case(&b),
            (a, b) => a == b,
        };
        let is_copy_of =
            |own: &str| own.len() == name.len() && own.bytes().zip(name.bytes()).all(|(a, b)| alike(a, b));
        self.names
            .iter()
            .any(|(field, own)| is_copy_of(own.as_str()) || is_copy_of(field.default_name().as_str()))
    }
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IdentityHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().map(|(_, name)| name.as_str());
        f.debug_struct("IdentityHeaders")
            .field("names", &names.collect::<Vec<_>>())
            .field("absent_as_empty", &self.absent_as_empty)
            .finish()
    }
}

/// The encoded values of a list, or `None` if it is empty.
fn list<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let encoded: Vec<String> = values.map(|value| encoded(value, Commas::Encode)).collect();
    (!encoded.is_empty()).then(|| encoded.join(","))
}

/// Whether commas are encoded, because they separate values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commas {
    Keep,
    Encode,
}

/// Visible ASCII without `%`; everything else percent-encoded.
fn encoded(text: &str, commas: Commas) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_kept = byte.is_ascii_graphic() && byte != b'%' && (byte != b',' || commas == Commas::Keep);
        if is_kept {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        IdentityHeaders::new().rewrite(&mut headers, None);
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn a10_a_clients_copies_are_removed_in_any_spelling() {
        for name in [
            "X-Clerk-User-Id",
            "x-clerk-user-id",
            "X_Clerk_User_Id",
            "x-clerk_user-id",
            "x.clerk.user.id",
            "x~clerk|user^id",
            "X-CLERK-ORG-PERMISSIONS",
            "x_clerk_org_role",
        ] {
            assert_eq!(rewritten(&[(name, "user_1"), (name, "user_2")]), [], "{name}");
        }
        for other in ["x-clerk-user", "x-clerk-user-ids", "xclerkuserid", "x-clerk-auth-status"] {
            assert_eq!(rewritten(&[(other, "1")]), [(other.to_owned(), "1".to_owned())], "{other}");
        }
    }

    #[test]
    fn a10_no_connection_option_names_a_field_that_is_set() {
        for (option, rest) in [
            ("X-Clerk-User-Id", None),
            (" x_clerk_user_id ", None),
            ("close, X-Clerk-User-Id", Some("close")),
            ("X-Clerk-Org-Id,upgrade,x-clerk-org-role", Some("upgrade")),
            ("Upgrade, keep-alive", Some("Upgrade, keep-alive")),
        ] {
            let left = rewritten(&[("connection", option)]);
            let rest: Vec<_> =
                rest.map(|rest| ("connection".to_owned(), rest.to_owned())).into_iter().collect();
            assert_eq!(left, rest, "{option}");
        }
        let lines = rewritten(&[("connection", "upgrade"), ("connection", "X-Clerk-Org-Slug")]);
        assert_eq!(lines, [("connection".to_owned(), "upgrade".to_owned())]);
    }

    #[test]
    fn a10_a_field_without_a_value_is_left_out_or_empty() {
        let mut headers = HeaderMap::new();
        IdentityHeaders::new().rewrite(&mut headers, None);
        assert!(headers.is_empty());
        IdentityHeaders::new().send_absent_as_empty().rewrite(&mut headers, None);
        assert_eq!(headers.len(), IdentityField::ALL.len());
        assert!(headers.values().all(HeaderValue::is_empty));
    }

    #[test]
    fn a10_a_field_has_one_name() {
        let renamed = IdentityHeaders::new().name(IdentityField::UserId, HeaderName::from_static("x-user"));
        assert_eq!(renamed.names.len(), IdentityField::ALL.len());
        assert!(
            renamed.is_copy("X_User")
                && renamed.is_copy("x-clerk-user-id")
                && !renamed.is_copy("x-clerk-user")
        );
    }

    #[test]
    fn a10_values_are_encoded() {
        for (text, expected) in [
            ("org:admin", "org:admin"),
            ("100%", "100%25"),
            ("a b", "a%20b"),
            ("Z\u{fc}rich", "Z%C3%BCrich"),
            ("a\r\nb: c", "a%0D%0Ab:%20c"),
        ] {
            assert_eq!(encoded(text, Commas::Keep), expected);
        }
        assert_eq!(
            (encoded("a,b", Commas::Keep), encoded("a,b", Commas::Encode)),
            ("a,b".into(), "a%2Cb".into())
        );
    }

    proptest! {
        #[test]
        fn a10_an_encoded_value_is_a_legal_field_and_decodes_to_its_text(text in any::<String>()) {
            let value = encoded(&text, Commas::Encode);
            prop_assert!(HeaderValue::try_from(value.as_str()).is_ok() && value.is_ascii());
            let mut decoded = Vec::new();
            let mut rest = value.as_bytes();
            while let [byte, tail @ ..] = rest {
                rest = tail;
                if *byte == b'%' {
                    let hex = str::from_utf8(&tail[..2]).unwrap();
                    decoded.push(u8::from_str_radix(hex, 16).unwrap());
                    rest = &tail[2..];
                } else {
                    decoded.push(*byte);
                }
            }
            prop_assert_eq!(decoded, text.as_bytes());
        }

        #[test]
        fn a10_no_connection_field_panics(line in "[ -~]{0,40}") {
            let _ = rewritten(&[("connection", &line)]);
        }
    }
}
