//! The claims of a verified token, the same for both versions of Clerk's claims.

use std::error::Error as StdError;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::organization::Organization;
use crate::packed::Packed;

mod wire;

/// The claims of a verified session token.
///
/// These are Clerk's own claims, in version 1 or 2 (<https://clerk.com/docs/guides/sessions/session-tokens>). They
/// belong to one token: the next token of the same session may have another role. To read the claims that an instance
/// adds, use [`ClerkSession::custom_claims`](crate::ClerkSession::custom_claims).
///
/// ```
/// use tower_clerk::Claims;
///
/// fn greet(claims: &Claims) -> String {
///     match claims.organization() {
///         Some(organization) => format!("{} at {}", claims.subject(), organization.id()),
///         None => claims.subject().to_owned(),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Claims {
    text: Packed<8>,
    /// Most sessions have none, so it is apart.
    organization: Option<Box<Organization>>,
    issued_at: u64,
    expires_at: u64,
    not_before: Option<u64>,
    factor_verification_age: Option<(i64, i64)>,
    version: u8,
}

// The index of each string in `text`, in the order in which `wire` packs them.
const SUB: usize = 0;
const SID: usize = 1;
const ISS: usize = 2;
const STS: usize = 3;
const AZP: usize = 4;
const ACT: usize = 5;
const PLA: usize = 6;
const FEA: usize = 7;

impl Claims {
    /// The id of the user (`sub`), `user_…`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.text.get(SUB).unwrap_or_default()
    }

    /// The id of the session (`sid`), `sess_…`. Tokens of a JWT template have none.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.text.get(SID)
    }

    /// The address of the instance that issued the token (`iss`).
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.text.get(ISS).unwrap_or_default()
    }

    /// The time when the token was issued (`iat`), in seconds since the Unix epoch by Clerk's clock.
    #[must_use]
    pub fn issued_at(&self) -> u64 {
        self.issued_at
    }

    /// The time when the token expires (`exp`), in seconds since the Unix epoch by Clerk's clock.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// The time when the token becomes valid (`nbf`), in seconds since the Unix epoch by Clerk's clock.
    #[must_use]
    pub fn not_before(&self) -> Option<u64> {
        self.not_before
    }

    /// The organization that the token is for, or `None` for the personal account.
    #[must_use]
    pub fn organization(&self) -> Option<&Organization> {
        self.organization.as_deref()
    }

    /// The status of the session (`sts`), `active` or `pending`, if the token has it.
    ///
    /// The user of a pending session has a task to complete, such as choosing an organization.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.text.get(STS)
    }

    /// The origin that the token was issued for (`azp`). Tokens of a sign-in by a server have none.
    #[must_use]
    pub fn authorized_party(&self) -> Option<&str> {
        self.text.get(AZP)
    }

    /// The minutes since the first and the second factor were verified (`fva`), or -1 for a factor that was not.
    ///
    /// The ages are as of [`issued_at`](Self::issued_at).
    #[must_use]
    pub fn factor_verification_age(&self) -> Option<(i64, i64)> {
        self.factor_verification_age
    }

    /// The id of the actor (`act.sub`), if the session is an impersonation of the user.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.text.get(ACT)
    }

    /// The plan of the user (`u:free`) or of the organization (`o:pro`), as the token names it (`pla`).
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        self.text.get(PLA)
    }

    /// The features of the user (`u:`), the organization (`o:`) or both (`ou:`, `uo:`), as the token lists them
    /// (`fea`).
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.text.get(FEA).into_iter().flat_map(|list| list.split(',')).map(str::trim)
    }

    /// The version of the token's claims, 1 or 2. Tokens of version 1 have no plan and no features.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("subject", &self.subject())
            .field("session_id", &self.session_id())
            .field("organization", &self.organization().map(Organization::id))
            .field("role", &self.organization().and_then(Organization::role))
            .field("status", &self.status())
            .field("actor", &self.actor())
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Deserializes a whole payload.
pub(crate) fn deserialize<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ClaimsError> {
    serde_json::from_slice(payload).map_err(|error| {
        // "missing field `x`" shows a field of the program's type. Other messages of serde may show values of the
        // token.
        let message = error.to_string();
        match message.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
            Some((field, _)) => Kind::MissingField(field.into()).into(),
            None => Kind::Unfit { column: error.column() }.into(),
        }
    })
}

/// A token whose claims cannot be read.
///
/// [`ClerkSession::custom_claims`](crate::ClerkSession::custom_claims) returns it if the payload doesn't fit the type.
/// It names claims but never shows their values, so it is safe to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsError {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    NotAnObject,
    Missing(&'static str),
    WrongType(&'static str),
    TooManyPermissions,
    MissingField(Box<str>),
    Unfit { column: usize },
}

impl From<Kind> for ClaimsError {
    fn from(kind: Kind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::NotAnObject => f.write_str("the token's payload is not a JSON object, or repeats a claim"),
            Kind::Missing(claim) => write!(f, "the token has no claim `{claim}`"),
            Kind::WrongType(claim) => write!(f, "the token's claim `{claim}` is not what it should be"),
            Kind::TooManyPermissions => f.write_str("the token has too many permissions"),
            Kind::MissingField(field) => {
                write!(f, "the token has no claim `{field}`, which the type asks for")
            }
            Kind::Unfit { column } => {
                write!(f, "the token's payload doesn't fit the type, from its byte {column} on")
            }
        }
    }
}

impl StdError for ClaimsError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::wire::LATEST;
    use super::*;

    fn read(claims: &Value) -> Result<Claims, String> {
        Claims::from_payload(claims.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    fn with(changes: &Value) -> Value {
        let mut claims = json!({
            "iss": "https://clerk.example.com", "sub": "user_2abc", "sid": "sess_2abc",
            "iat": 1_767_225_600, "exp": 1_767_225_660, "nbf": 1_767_225_595,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    }

    #[test]
    fn version_2_is_read() {
        let claims = Claims::from_payload(
            br#"{"azp":"https://app.example.com","exp":1767225660,"fva":[0,-1],"iat":1767225600,
            "iss":"https://clerk.example.com","jti":"1a2b3c","nbf":1767225595,"sid":"sess_2abc","sts":"active",
            "sub":"user_2abc","v":2,"pla":"o:pro","fea":"o:dashboard,o:teams",
            "o":{"id":"org_2abc","slg":"acme","rol":"admin","per":"manage,read","fpm":"3,2"}}"#,
        )
        .unwrap();
        assert_eq!((claims.subject(), claims.session_id()), ("user_2abc", Some("sess_2abc")));
        assert_eq!(claims.issuer(), "https://clerk.example.com");
        assert_eq!((claims.issued_at(), claims.expires_at()), (1_767_225_600, 1_767_225_660));
        assert_eq!(claims.not_before(), Some(1_767_225_595));
        assert_eq!((claims.status(), claims.actor()), (Some("active"), None));
        assert_eq!(claims.authorized_party(), Some("https://app.example.com"));
        assert_eq!(claims.factor_verification_age(), Some((0, -1)));
        assert_eq!((claims.plan(), claims.version()), (Some("o:pro"), 2));
        assert_eq!(claims.features().collect::<Vec<_>>(), ["o:dashboard", "o:teams"]);
        let organization = claims.organization().unwrap();
        assert_eq!((organization.id(), organization.slug()), ("org_2abc", Some("acme")));
        assert_eq!(organization.role(), Some("org:admin"));
        let permissions: Vec<_> = organization.permissions().collect();
        assert_eq!(permissions, ["org:dashboard:manage", "org:dashboard:read", "org:teams:read"]);
    }

    #[test]
    fn version_1_is_read_as_the_same() {
        let claims = read(&with(&json!({
            "org_id": "org_2abc", "org_slug": "acme", "org_role": "org:admin",
            "org_permissions": ["org:dashboard:manage", "org:dashboard:read", "org:teams:read"],
        })))
        .unwrap();
        let v2 = read(&with(&json!({
            "v": 2, "fea": "o:dashboard,o:teams",
            "o": {"id": "org_2abc", "slg": "acme", "rol": "admin", "per": "manage,read", "fpm": "3,2"},
        })))
        .unwrap();
        assert_eq!(claims.organization(), v2.organization());
        assert_eq!((claims.version(), v2.version()), (1, 2));
    }

    #[test]
    fn claims_without_an_organization_id_have_no_organization() {
        for claims in [
            json!({}),
            json!({"org_role": "org:admin", "org_slug": "acme", "org_permissions": ["org:a:read"]}),
            json!({"org_id": null, "org_role": "org:admin"}),
            json!({"org_id": ""}),
            json!({"v": 2, "o": null}),
            json!({"v": 2, "o": {}}),
            json!({"v": 2, "o": {"id": "", "rol": "admin"}}),
            json!({"v": 2, "o": {"rol": "admin"}}),
            // The other version's claims don't count.
            json!({"v": 2, "org_id": "org_1", "org_role": "org:admin"}),
            json!({"o": {"id": "org_1", "rol": "admin"}}),
            json!({"v": 1, "o": {"id": "org_1"}, "fea": 7, "pla": []}),
        ] {
            assert_eq!(read(&with(&claims)).unwrap().organization(), None, "{claims}");
        }
    }

    #[test]
    fn a_role_may_be_missing() {
        for o in [json!({"id": "org_1"}), json!({"id": "org_1", "rol": "", "slg": null})] {
            let claims = read(&with(&json!({"v": 2, "o": o}))).unwrap();
            let organization = claims.organization().unwrap();
            assert_eq!((organization.role(), organization.slug()), (None, None));
            assert_eq!(organization.permissions().count(), 0);
        }
    }

    #[test]
    fn unknown_claims_are_skipped_and_null_is_missing() {
        let claims = read(&with(&json!({
            "custom": {"deep": [1, 2, {"x": null}]}, "sts": null, "azp": null, "act": null, "fva": null, "nbf": null,
        })))
        .unwrap();
        assert_eq!((claims.status(), claims.actor(), claims.not_before()), (None, None, None));
    }

    #[test]
    fn an_actor_is_never_lost() {
        let claims =
            read(&with(&json!({"act": {"iss": "x", "sid": "sess_1", "sub": "user_admin"}}))).unwrap();
        assert_eq!(claims.actor(), Some("user_admin"));
        for act in [json!({}), json!("user_admin"), json!({"sub": 7}), json!({"sub": ""}), json!([])] {
            assert!(read(&with(&json!({ "act": act }))).is_err(), "{act}");
        }
    }

    #[test]
    fn required_claims_must_be_present() {
        for claim in ["sub", "iss", "iat", "exp"] {
            for missing in [json!(null), json!("")] {
                if missing == json!("") && matches!(claim, "iat" | "exp") {
                    continue;
                }
                let error = read(&with(&json!({ claim: missing }))).unwrap_err();
                assert_eq!(error, format!("the token has no claim `{claim}`"));
            }
        }
    }

    #[test]
    fn claims_must_have_the_right_type() {
        for claims in [
            json!({"sub": 7}),
            json!({"sid": []}),
            json!({"iss": {}}),
            json!({"sts": true}),
            json!({"azp": 1}),
            json!({"fva": 1}),
            json!({"fva": [1]}),
            json!({"fva": ["1", "2"]}),
            json!({"fva": [1.5, 2]}),
            json!({"org_id": 7}),
            json!({"org_id": "o", "org_role": 7}),
            json!({"org_id": "o", "org_permissions": "p"}),
            json!({"org_id": "o", "org_permissions": [7]}),
            json!({"v": 2, "fea": 7}),
            json!({"v": 2, "o": "org_1"}),
            json!({"v": 2, "o": {"id": 7}}),
            json!({"v": 2, "o": {"id": "o", "per": [], "fpm": "1"}}),
        ] {
            assert!(read(&with(&claims)).is_err(), "{claims}");
        }
    }

    #[test]
    fn times_may_have_a_fraction_but_must_be_in_range() {
        let claims = read(&with(&json!({"iat": 1.0, "exp": 1_767_225_660.9, "nbf": 0}))).unwrap();
        assert_eq!(
            (claims.issued_at(), claims.expires_at(), claims.not_before()),
            (1, 1_767_225_660, Some(0))
        );
        for time in
            [json!(-1), json!(-0.5), json!(LATEST + 1), json!(u64::MAX), json!(1e300), json!("1767225660")]
        {
            for claim in ["iat", "exp", "nbf"] {
                assert!(read(&with(&json!({ claim: time }))).is_err(), "{claim} {time}");
            }
        }
        assert!(Claims::from_payload(br#"{"sub":"u","iss":"i","iat":1,"exp":1e999}"#).is_err());
    }

    #[test]
    fn a_payload_that_is_not_an_object_or_repeats_a_claim_is_refused() {
        for payload in [
            "",
            "null",
            "[]",
            "\"x\"",
            "{",
            "{}x",
            r#"["user_1",null,"https://clerk.example.com",1,2]"#,
            r#"{"sub":"user_1","iss":"i","iat":1,"exp":2,"sub":"user_2"}"#,
        ] {
            assert!(Claims::from_payload(payload.as_bytes()).is_err(), "{payload}");
        }
        let deep = format!(r#"{{"x":{}"#, "[".repeat(100_000));
        assert!(Claims::from_payload(deep.as_bytes()).is_err());
    }

    #[test]
    fn c6_debug_and_errors_show_no_custom_claims() {
        let claims =
            read(&with(&json!({"email": "ada@example.com", "org_id": "org_1", "org_role": "org:x"})))
                .unwrap();
        let shown = format!("{claims:?}");
        assert!(shown.contains("user_2abc") && shown.contains("org_1") && shown.contains("org:x"), "{shown}");
        assert!(!shown.contains("ada@"), "{shown}");

        #[derive(Debug, Deserialize)]
        struct Custom {
            #[expect(dead_code)]
            email: u64,
        }
        let payload = br#"{"email":"ada@example.com"}"#;
        let error = deserialize::<Custom>(payload).unwrap_err();
        assert_eq!(error.to_string(), "the token's payload doesn't fit the type, from its byte 26 on");
        assert!(!format!("{error:?}").contains("ada@"));
        let error = deserialize::<Custom>(b"{}").unwrap_err();
        assert_eq!(error.to_string(), "the token has no claim `email`, which the type asks for");
    }

    // Each stored session holds one.
    #[test]
    fn claims_stay_small() {
        assert!(size_of::<Organization>() <= 40, "{}", size_of::<Organization>());
        assert!(size_of::<Claims>() <= 160, "{}", size_of::<Claims>());
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in any::<String>()) {
            let _ = Claims::from_payload(&bytes);
            let _ = Claims::from_payload(&[b"{", &bytes[..], b"}"].concat());
            for claim in ["sub", "iss", "iat", "exp", "o", "fea", "org_id", "org_permissions", "act", "fva"] {
                let _ = read(&with(&json!({"v": 2, claim: text})));
                let _ = read(&with(&json!({ claim: text })));
            }
        }
    }
}
