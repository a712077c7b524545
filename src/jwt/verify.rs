//! Verifies a token of Clerk's: first its signature, then its claims.

use super::compact::{Header, Parts};
use super::expected::{Expected, RegisteredClaims};
use super::{Algorithm, JwtError, JwtErrorKind, VerificationKeys};
use crate::claims::Claims;
use crate::token::VerifiedToken;

/// The algorithm of all tokens of Clerk's.
pub(crate) const CLERK_ALGORITHMS: &[Algorithm] = &[Algorithm::Rs256];

/// The `cat` in the header of each class of tokens. All are signed with the same key. `IGNORE` tells nothing: an instance
/// may be set to stamp it on every token. The names are those of Clerk's backend SDK (`JWT_CATEGORY_…` in
/// `packages/backend/src/tokens/machine.ts`).
const SESSION_CATEGORY: &str = "cl_B7d4PD111AAA";
const TEMPLATE_CATEGORY: &str = "cl_B7d4PD222AAA";
const MACHINE_CATEGORY: &str = "cl_B7d4PD333AAA";
const IGNORE_CATEGORY: &str = "cl_I7d4PD111III";

/// The prefix of a machine token's subject, for instances that send no `cat`.
const MACHINE_SUBJECT: &str = "mch_";

/// The claims that a token of Clerk's must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpectedSession<'a> {
    pub(crate) token: Expected<'a>,
    /// The user, if known beforehand.
    pub(crate) subject: Option<&'a str>,
    /// The session, if known beforehand.
    pub(crate) session_id: Option<&'a str>,
    /// Whether a token without `sid` is refused. Tokens of a JWT template have none.
    pub(crate) session_id_required: bool,
    /// Whether a pending session is accepted.
    pub(crate) allow_pending: bool,
}

/// The header of a token, as far as a caller needs it. It is not verified until [`verify`] has accepted the same token.
#[derive(Debug)]
pub(crate) struct TokenHeader {
    /// The id of the key that the token claims to be signed with. It tells whether the key set must be fetched.
    pub(crate) kid: String,
    pub(crate) category: Category,
}

/// The class of a token, by the `cat` in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Session,
    Template,
    /// There is no `cat`, as in older tokens, or the one that tells nothing.
    Unstated,
    Other,
}

/// Reads the header of a token.
///
/// # Errors
///
/// Returns an error if [`verify`] would refuse the token with any keys: it is not a JWT, not signed with RS256, or a
/// machine's.
pub(crate) fn header(jwt: &str) -> Result<TokenHeader, JwtError> {
    let (Header { kid, cat, .. }, _) = header_of(&Parts::split(jwt)?, CLERK_ALGORITHMS)?;
    let category = match cat.as_deref() {
        Some(SESSION_CATEGORY) => Category::Session,
        Some(TEMPLATE_CATEGORY) => Category::Template,
        Some(IGNORE_CATEGORY) | None => Category::Unstated,
        Some(_) => Category::Other,
    };
    Ok(TokenHeader { kid, category })
}

/// Verifies a token's signature, then its claims.
///
/// # Errors
///
/// Returns an error if the token is not accepted; [`JwtErrorKind`] has the reasons.
pub(crate) fn verify(
    jwt: &str,
    keys: &VerificationKeys,
    expected: &ExpectedSession<'_>,
) -> Result<VerifiedToken, JwtError> {
    let parts = Parts::split(jwt)?;
    let (header, algorithm) = header_of(&parts, expected.token.algorithms)?;
    let claims = Claims::from_payload(&parts.verified(&header.kid, algorithm, keys)?)?;
    expected.check(&claims)?;
    Ok(VerifiedToken::new(jwt, claims))
}

fn header_of(parts: &Parts<'_>, algorithms: &[Algorithm]) -> Result<(Header, Algorithm), JwtError> {
    let (header, algorithm) = parts.header(algorithms)?;
    if header.cat.as_deref() == Some(MACHINE_CATEGORY) {
        return Err(JwtErrorKind::WrongCategory.into());
    }
    Ok((header, algorithm))
}

impl ExpectedSession<'_> {
    fn check(&self, claims: &Claims) -> Result<(), JwtError> {
        let is = |expected: Option<&str>, found| expected.is_none_or(|expected| expected == found);
        // Clerk's own libraries don't check the issuer, but one key set could come to serve two instances.
        self.token.check_origin(claims)?;
        if !is(self.subject, claims.subject()) || claims.subject().starts_with(MACHINE_SUBJECT) {
            return Err(JwtErrorKind::WrongSubject.into());
        }
        let is_session = match claims.session_id() {
            Some(session_id) => is(self.session_id, session_id),
            None => !self.session_id_required,
        };
        if !is_session {
            return Err(JwtErrorKind::WrongSession.into());
        }
        self.token.check_times(claims)?;
        if !self.allow_pending && claims.status() == Some("pending") {
            return Err(JwtErrorKind::Pending.into());
        }
        Ok(())
    }
}

impl RegisteredClaims for Claims {
    fn issuer(&self) -> &str {
        Self::issuer(self)
    }

    // An audience is a template's alone, and layers compare it (`bearer`).
    fn audiences(&self) -> &[Box<str>] {
        &[]
    }

    fn issued_at(&self) -> u64 {
        Self::issued_at(self)
    }

    fn expires_at(&self) -> u64 {
        Self::expires_at(self)
    }

    fn not_before(&self) -> Option<u64> {
        Self::not_before(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaPublicKeyComponents,
    };
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::super::compact::{MAX_HEADER, MAX_TOKEN};
    use super::JwtErrorKind::*;
    use super::*;

    const NOW: u64 = 1_767_225_600;
    const ISSUER: &str = "https://clerk.example.com";

    struct Signer {
        key: KeyPair,
        keys: VerificationKeys,
    }

    /// Generated once, because RSA keys take long to generate.
    fn signers() -> &'static [Signer; 2] {
        static SIGNERS: OnceLock<[Signer; 2]> = OnceLock::new();
        SIGNERS.get_or_init(|| {
            ["ins_1", "ins_2"].map(|kid| {
                let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
                let keys = set(&[jwk(&key, &json!({ "kid": kid }))]).unwrap();
                Signer { key, keys }
            })
        })
    }

    fn keys() -> &'static VerificationKeys {
        &signers()[0].keys
    }

    fn set(keys: &[Value]) -> Result<VerificationKeys, super::super::JwksError> {
        VerificationKeys::from_jwks(json!({ "keys": keys }).to_string().as_bytes(), CLERK_ALGORITHMS)
    }

    fn merged(mut object: Value, changes: &Value) -> Value {
        let object_mut = object.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => object_mut.remove(name),
                value => object_mut.insert(name.clone(), value.clone()),
            };
        }
        object
    }

    fn jwk(key: &KeyPair, changes: &Value) -> Value {
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        merged(json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "ins_1", "n": n, "e": e}), changes)
    }

    fn signed_with(encoding: &'static dyn RsaEncoding, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let key = &signers()[0].key;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A valid token with these changes; `null` removes a member.
    fn token(header: &Value, claims: &Value) -> String {
        let header =
            merged(json!({"alg": "RS256", "typ": "JWT", "kid": "ins_1", "cat": "cl_B7d4PD111AAA"}), header);
        let claims = merged(
            json!({
                "iss": ISSUER, "sub": "user_1", "sid": "sess_1", "iat": NOW, "nbf": NOW - 5, "exp": NOW + 60,
                "sts": "active",
            }),
            claims,
        );
        signed_with(&RSA_PKCS1_SHA256, &header.to_string(), &claims.to_string())
    }

    const TOKEN: Expected<'static> = Expected {
        issuer: ISSUER,
        audience: None,
        algorithms: CLERK_ALGORITHMS,
        now: NOW,
        leeway: 5,
        longest_life: None,
    };

    const EXPECTED: ExpectedSession<'static> = ExpectedSession {
        token: TOKEN,
        subject: Some("user_1"),
        session_id: Some("sess_1"),
        session_id_required: true,
        allow_pending: false,
    };

    fn kind(jwt: &str, expected: ExpectedSession<'_>) -> Option<JwtErrorKind> {
        verify(jwt, keys(), &expected).err().map(|error| error.kind())
    }

    #[test]
    fn s9_a_valid_token_is_verified_with_its_claims() {
        let jwt = token(&json!({}), &json!({"email": "ada@example.com"}));
        assert_eq!(header(&jwt).unwrap().kid, "ins_1");
        let verified = verify(&jwt, keys(), &EXPECTED).unwrap();
        assert_eq!(verified.jwt(), jwt);
        assert_eq!(verified.claims().subject(), "user_1");
        assert_eq!(verified.deserialize::<serde_json::Value>().unwrap()["email"], "ada@example.com");
        #[derive(Deserialize)]
        struct Custom {
            email: String,
        }
        assert_eq!(verified.deserialize::<Custom>().unwrap().email, "ada@example.com");
        assert!(verified.deserialize::<Vec<u8>>().is_err());
    }

    #[test]
    fn s9_only_rs256_is_accepted() {
        for alg in ["none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256", ""] {
            let jwt = token(&json!({ "alg": alg }), &json!({}));
            assert_eq!(kind(&jwt, EXPECTED), Some(UnsupportedAlgorithm), "{alg}");
            assert_eq!(header(&jwt).unwrap_err().kind(), UnsupportedAlgorithm);
        }
        // The signature must match the `alg` of the header.
        let good = token(&json!({}), &json!({}));
        let [header, payload] = [0, 1].map(|part| {
            String::from_utf8(URL_SAFE_NO_PAD.decode(good.split('.').nth(part).unwrap()).unwrap()).unwrap()
        });
        assert_eq!(kind(&signed_with(&RSA_PKCS1_SHA256, &header, &payload), EXPECTED), None);
        assert_eq!(kind(&signed_with(&RSA_PKCS1_SHA512, &header, &payload), EXPECTED), Some(BadSignature));
        assert_eq!(kind(&signed_with(&RSA_PSS_SHA256, &header, &payload), EXPECTED), Some(BadSignature));
    }

    #[test]
    fn s9_the_signature_comes_before_the_claims() {
        let good = token(&json!({}), &json!({}));
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        for payload in ["", "e30", &URL_SAFE_NO_PAD.encode(r#"{"sub":"user_2"}"#), "not base64!"] {
            assert_eq!(
                kind(&format!("{header}.{payload}.{signature}"), EXPECTED),
                Some(BadSignature),
                "{payload}"
            );
        }
        for signature in ["", "AAAA", &"A".repeat(342)] {
            assert_eq!(kind(&format!("{signed}.{signature}"), EXPECTED), Some(BadSignature));
        }
        // Another key with the same id.
        let other = set(&[jwk(&signers()[1].key, &json!({}))]).unwrap();
        assert_eq!(verify(&good, &other, &EXPECTED).unwrap_err().kind(), BadSignature);
    }

    #[test]
    fn s9_an_unknown_key_has_an_error_of_its_own() {
        let jwt = token(&json!({"kid": "ins_2"}), &json!({}));
        assert_eq!(kind(&jwt, EXPECTED), Some(UnknownKey));
        assert_eq!(verify(&jwt, &signers()[1].keys, &EXPECTED).unwrap_err().kind(), BadSignature);
    }

    #[test]
    fn a_token_is_accepted_up_to_its_longest_size_and_no_further() {
        for (part, most) in [(Part::Header, 2 * 1024), (Part::Whole, 16 * 1024)] {
            // base64url encodes three bytes as four characters, so not every length occurs.
            let lengths: Vec<_> = (0..8).map(|more| padded(part, most - 64, more)).collect();
            let of = |jwt: &String| match part {
                Part::Header => jwt.find('.').unwrap(),
                Part::Whole => jwt.len(),
            };
            assert!(lengths.iter().all(|jwt| kind(jwt, EXPECTED).is_none()), "{part:?}");
            let mut just_over = 0;
            for more in 40..120 {
                let jwt = padded(part, most - 64, more);
                let fits = of(&jwt) <= most;
                just_over += usize::from(!fits && of(&jwt) <= most + 4);
                assert_eq!(kind(&jwt, EXPECTED), (!fits).then_some(Malformed), "{part:?} of {}", of(&jwt));
            }
            assert!(just_over > 0, "{part:?}");
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Part {
        Header,
        Whole,
    }

    /// A valid token in which this part has about this length.
    fn padded(part: Part, about: usize, more: usize) -> String {
        let bare = token(&json!({}), &json!({}));
        let have = match part {
            Part::Header => bare.find('.').unwrap(),
            Part::Whole => bare.len(),
        };
        let x = json!({ "x": "x".repeat((about - have) * 3 / 4 + more) });
        match part {
            Part::Header => token(&x, &json!({})),
            Part::Whole => token(&json!({}), &x),
        }
    }

    #[test]
    fn a_header_with_an_unsupported_member_is_refused() {
        for header in [
            json!({"typ": 7}),
            json!({"kid": null}),
            json!({"kid": ""}),
            json!({"kid": 7}),
            json!({"alg": null}),
            json!({"crit": []}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"cat": 7}),
            json!({"x": "x".repeat(MAX_HEADER)}),
        ] {
            assert_eq!(kind(&token(&header, &json!({})), EXPECTED), Some(Malformed), "{header:.99}");
        }
        for header in [
            json!({"typ": null}),
            json!({"cat": null}),
            json!({"oiat": 7, "x": []}),
            json!({"cat": "cl_B7d4PD222AAA"}),
        ] {
            assert_eq!(kind(&token(&header, &json!({})), EXPECTED), None, "{header}");
        }
        for header in
            [r#"{"alg":"RS256","alg":"RS256","kid":"ins_1"}"#, r#"["RS256","ins_1",null,null]"#, "", "null"]
        {
            assert_eq!(
                kind(&signed_with(&RSA_PKCS1_SHA256, header, "{}"), EXPECTED),
                Some(Malformed),
                "{header}"
            );
        }
    }

    #[test]
    fn a_machines_token_is_refused() {
        let jwt = token(&json!({"cat": MACHINE_CATEGORY}), &json!({}));
        assert_eq!(kind(&jwt, EXPECTED), Some(WrongCategory));
        let jwt = token(&json!({"cat": "cl_I7d4PD111III"}), &json!({"sub": "mch_1"}));
        assert_eq!(kind(&jwt, ExpectedSession { subject: None, ..EXPECTED }), Some(WrongSubject));
    }

    #[test]
    fn b1_a_tokens_class_is_read_from_its_header() {
        for (header_of, category) in [
            (json!({"cat": "cl_B7d4PD111AAA"}), Category::Session),
            (json!({"cat": "cl_B7d4PD222AAA"}), Category::Template),
            (json!({"cat": "cl_I7d4PD111III"}), Category::Unstated),
            (json!({"cat": null}), Category::Unstated),
            (json!({"cat": "cl_B7d4PD444AAA"}), Category::Other),
            (json!({"cat": ""}), Category::Other),
        ] {
            let jwt = token(&header_of, &json!({}));
            assert_eq!(header(&jwt).unwrap().category, category, "{header_of}");
        }
        for typ in ["at+jwt", "application/at+jwt", "jwt", ""] {
            assert_eq!(
                kind(&token(&json!({ "typ": typ }), &json!({})), EXPECTED),
                Some(WrongCategory),
                "{typ}"
            );
        }
    }

    #[test]
    fn b2_a_life_longer_than_the_longest_is_refused() {
        let expected = ExpectedSession { token: Expected { longest_life: Some(60), ..TOKEN }, ..EXPECTED };
        assert_eq!(kind(&token(&json!({}), &json!({"exp": NOW + 60})), expected), None);
        assert_eq!(kind(&token(&json!({}), &json!({"exp": NOW + 61})), expected), Some(LivesTooLong));
    }

    #[test]
    fn s9_a_token_of_another_instance_user_or_session_is_refused() {
        for (claims, error) in [
            (json!({"iss": "https://clerk.example.com/"}), WrongIssuer),
            (json!({"iss": "https://other.example.com"}), WrongIssuer),
            (json!({"iss": null}), Malformed),
            (json!({"sub": "user_2"}), WrongSubject),
            (json!({"sub": null}), Malformed),
            (json!({"sid": "sess_2"}), WrongSession),
            (json!({"sid": null}), WrongSession),
        ] {
            assert_eq!(kind(&token(&json!({}), &claims), EXPECTED), Some(error), "{claims}");
        }
    }

    #[test]
    fn s9_a_template_token_may_lack_a_session_but_must_not_name_another() {
        let expected = ExpectedSession { session_id_required: false, ..EXPECTED };
        assert_eq!(kind(&token(&json!({}), &json!({"sid": null})), expected), None);
        assert_eq!(kind(&token(&json!({}), &json!({"sid": "sess_2"})), expected), Some(WrongSession));
        let bearer = ExpectedSession { subject: None, session_id: None, ..EXPECTED };
        assert_eq!(kind(&token(&json!({}), &json!({"sid": "sess_2", "sub": "user_2"})), bearer), None);
        assert_eq!(kind(&token(&json!({}), &json!({"sid": null})), bearer), Some(WrongSession));
    }

    #[test]
    fn s9_a_pending_session_is_refused_unless_allowed() {
        let jwt = token(&json!({}), &json!({"sts": "pending"}));
        assert_eq!(kind(&jwt, EXPECTED), Some(Pending));
        assert_eq!(kind(&jwt, ExpectedSession { allow_pending: true, ..EXPECTED }), None);
        for sts in [json!(null), json!("active"), json!("unknown")] {
            assert_eq!(kind(&token(&json!({}), &json!({ "sts": sts })), EXPECTED), None);
        }
    }

    #[test]
    fn s9_times_are_checked_with_exactly_the_leeway() {
        let at = |now| ExpectedSession { token: Expected { now, ..TOKEN }, ..EXPECTED };
        let jwt = token(&json!({}), &json!({"iat": NOW, "nbf": NOW, "exp": NOW + 60}));
        assert_eq!(kind(&jwt, at(NOW + 64)), None);
        assert_eq!(kind(&jwt, at(NOW + 65)), Some(Expired));
        assert_eq!(kind(&jwt, at(NOW - 5)), None);
        assert_eq!(kind(&jwt, at(NOW - 6)), Some(NotYetValid));
        assert_eq!(kind(&jwt, at(0)), Some(NotYetValid));
        assert_eq!(kind(&jwt, at(u64::MAX)), Some(Expired));
        assert_eq!(
            kind(
                &jwt,
                ExpectedSession { token: Expected { leeway: u64::MAX, now: u64::MAX, ..TOKEN }, ..EXPECTED }
            ),
            Some(Expired)
        );
        let late = token(&json!({}), &json!({"nbf": NOW + 6}));
        assert_eq!(kind(&late, EXPECTED), Some(NotYetValid));
        assert_eq!(kind(&token(&json!({}), &json!({"nbf": null})), EXPECTED), None);
        for claims in
            [json!({"exp": NOW}), json!({"exp": NOW - 1}), json!({"exp": null}), json!({"iat": null})]
        {
            assert_eq!(kind(&token(&json!({}), &claims), EXPECTED), Some(Malformed), "{claims}");
        }
    }

    #[test]
    fn a_string_that_is_not_a_jwt_is_malformed() {
        let good = token(&json!({}), &json!({}));
        let long = token(&json!({}), &json!({"x": "x".repeat(MAX_TOKEN)}));
        for jwt in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "a.b",
            &format!("{good}."),
            &format!(".{good}"),
            &format!("{good}="),
            &format!(" {good}"),
            &long,
        ] {
            assert_eq!(kind(jwt, EXPECTED), Some(Malformed), "{jwt:.40}");
        }
    }

    #[test]
    fn c6_debug_and_errors_show_no_token() {
        let jwt = token(&json!({}), &json!({"email": "ada@example.com"}));
        let verified = format!("{:?}", verify(&jwt, keys(), &EXPECTED).unwrap());
        let error =
            verify(&jwt, keys(), &ExpectedSession { token: Expected { issuer: "x", ..TOKEN }, ..EXPECTED })
                .unwrap_err();
        let shown = format!("{verified} {error} {error:?} {:?}", keys());
        assert!(shown.contains("user_1") && shown.contains("ins_1"), "{shown}");
        assert!(!shown.contains("eyJ") && !shown.contains("ada@"), "{shown}");
        let error = verify(&token(&json!({}), &json!({"sub": 7})), keys(), &EXPECTED).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "the token's claim `sub` is not what it should be");
    }

    #[test]
    fn keys_that_cannot_have_signed_are_skipped() {
        let key = &signers()[0].key;
        let number = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        for changes in [
            json!({"kty": "EC"}),
            json!({"kty": null}),
            json!({"use": "enc"}),
            json!({"alg": "RS512"}),
            json!({"kid": ""}),
            json!({"kid": null}),
            json!({"n": null}),
            json!({"n": ""}),
            json!({"n": "AA"}),
            json!({"n": "?"}),
            json!({"e": ""}),
            json!({"e": "AQ"}),
            json!({"e": "AQAA"}),
            json!({"e": number(5)}),
            json!({"n": number(128)}),
            json!({"n": number(255)}),
            json!({"n": number(1025)}),
            json!({"n": 7}),
        ] {
            let error = set(&[jwk(key, &changes)]).unwrap_err();
            assert_eq!(error, super::super::JwksError::NoUsableKey, "{changes}");
            assert_eq!(set(&[jwk(key, &changes), json!(7), jwk(key, &json!({}))]).unwrap().len(), 1);
        }
        for changes in [json!({"use": null}), json!({"alg": null}), json!({"x5c": [], "d": 7})] {
            assert_eq!(set(&[jwk(key, &changes)]).unwrap().len(), 1, "{changes}");
        }
    }

    #[cfg(feature = "token-endpoint")]
    #[test]
    fn e6_a_published_key_has_its_public_members_alone() {
        let [one, other] = signers();
        let private =
            json!({"kid": "ins_2", "d": "AQAB", "p": "AQAB", "x5c": ["x"], "use": null, "alg": null});
        let is_left_out =
            [jwk(&one.key, &json!({"kid": "ins_3", "kty": "EC"})), jwk(&one.key, &json!({"n": "AA"}))];
        let all = [&[jwk(&one.key, &json!({})), jwk(&other.key, &private)][..], &is_left_out].concat();
        let published: Value = serde_json::from_slice(&set(&all).unwrap().published()).unwrap();
        let public = [jwk(&one.key, &json!({})), jwk(&other.key, &json!({"kid": "ins_2"}))];
        assert_eq!(published, json!({ "keys": public }));
    }

    #[test]
    fn a_key_set_is_bounded_and_the_first_key_of_an_id_counts() {
        let [one, other] = signers();
        let keys = set(&[jwk(&one.key, &json!({})), jwk(&other.key, &json!({}))]).unwrap();
        assert!(verify(&token(&json!({}), &json!({})), &keys, &EXPECTED).is_ok());
        let many: Vec<_> = (0..100).map(|kid| jwk(&one.key, &json!({"kid": kid.to_string()}))).collect();
        let keys = set(&many).unwrap();
        assert_eq!(keys.len(), 64);
        assert!(keys.contains("63") && !keys.contains("64"));
        for jwks in ["", "{}", "[]", r#"{"keys":7}"#, "<html>"] {
            let error = VerificationKeys::from_jwks(jwks.as_bytes(), CLERK_ALGORITHMS).unwrap_err();
            assert_eq!(error, super::super::JwksError::NotAKeySet, "{jwks}");
        }
    }

    #[test]
    fn leading_zeros_of_a_number_are_ignored() {
        let key = &signers()[0].key;
        let RsaPublicKeyComponents { n, e: _ } = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
        let padded = URL_SAFE_NO_PAD.encode([&[0, 0], &n[..]].concat());
        let keys = set(&[jwk(key, &json!({"n": padded, "e": "AAEAAQ"}))]).unwrap();
        assert!(verify(&token(&json!({}), &json!({})), &keys, &EXPECTED).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_tokens_never_panic(
            text in any::<String>(), parts in prop::array::uniform3("[A-Za-z0-9_-]{0,40}"),
            header in any::<String>(), payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            prop_assert!(verify(&text, keys(), &EXPECTED).is_err());
            prop_assert!(verify(&parts.join("."), keys(), &EXPECTED).is_err());
            let header = json!({"alg": "RS256", "kid": "ins_1", "x": header}).to_string();
            let jwt = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload), parts[2]);
            prop_assert!(verify(&jwt, keys(), &EXPECTED).is_err());
            let _ = super::header(&jwt);
            let _ = VerificationKeys::from_jwks(text.as_bytes(), CLERK_ALGORITHMS);
        }

        #[test]
        fn s9_a_token_with_one_character_changed_is_refused(
            at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]",
        ) {
            static GOOD: OnceLock<String> = OnceLock::new();
            let good = GOOD.get_or_init(|| token(&json!({}), &json!({})));
            let at = at.index(good.len());
            let changed = [&good[..at], &to, &good[at + 1..]].concat();
            prop_assert_eq!(verify(&changed, keys(), &EXPECTED).is_ok(), changed == *good);
        }
    }
}
