//! The parts of verifying a JWT of another issuer than Clerk, whose claims the caller knows.

use serde::Deserialize;

use super::compact::Parts;
use super::{Algorithm, JwtError, VerificationKeys};

/// The id of the key that a token claims to be signed with.
///
/// # Errors
///
/// Returns an error if [`verified_payload`] would refuse the token with any keys.
pub(crate) fn key_id(jwt: &str, algorithms: &[Algorithm]) -> Result<String, JwtError> {
    let (header, _) = Parts::split(jwt)?.header(algorithms)?;
    Ok(header.kid)
}

/// The payload of a token whose header is acceptable, and which one of the keys has signed.
///
/// # Errors
///
/// Returns an error if the token is not a JWT, is of another type, needs an extension, or isn't signed by one of the keys
/// with one of these algorithms.
pub(crate) fn verified_payload(
    jwt: &str,
    keys: &VerificationKeys,
    algorithms: &[Algorithm],
) -> Result<Vec<u8>, JwtError> {
    let parts = Parts::split(jwt)?;
    let (header, algorithm) = parts.header(algorithms)?;
    parts.verified(&header.kid, algorithm, keys)
}

/// The part that is signed: it identifies a token that was verified. Of an ECDSA signature there are always two that
/// verify, so the whole JWT doesn't.
///
/// # Errors
///
/// Returns an error if the token is not a JWT.
pub(crate) fn signed_part(jwt: &str) -> Result<&str, JwtError> {
    Parts::split(jwt).map(|parts| parts.signed)
}

/// The `iss` that a token claims, which nothing has verified yet. It tells whose keys to verify the token with.
pub(crate) fn claimed_issuer(jwt: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Payload {
        iss: String,
    }
    let payload = Parts::split(jwt).ok()?.unverified_payload().ok()?;
    serde_json::from_slice::<Payload>(&payload).ok().map(|payload| payload.iss)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use aws_lc_rs::hmac;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaPublicKeyComponents,
    };
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::super::JwtErrorKind::{self, *};
    use super::*;

    const ALL: &[Algorithm] = &[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256];

    struct Provider {
        rsa: KeyPair,
        ec: EcdsaKeyPair,
    }

    /// Generated once, because RSA keys take long to generate.
    fn provider() -> &'static Provider {
        static PROVIDER: OnceLock<Provider> = OnceLock::new();
        PROVIDER.get_or_init(|| Provider {
            rsa: KeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        })
    }

    fn rsa_jwk() -> Value {
        let components = RsaPublicKeyComponents::<Vec<u8>>::from(provider().rsa.public_key());
        let (n, e) = (URL_SAFE_NO_PAD.encode(components.n), URL_SAFE_NO_PAD.encode(components.e));
        json!({"kty": "RSA", "kid": "rsa", "n": n, "e": e})
    }

    fn ec_jwk() -> Value {
        let point = provider().ec.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": x, "y": y})
    }

    fn keys(jwks: &[Value], algorithms: &[Algorithm]) -> VerificationKeys {
        let jwks = json!({ "keys": jwks }).to_string();
        VerificationKeys::from_jwks(jwks.as_bytes(), algorithms).unwrap()
    }

    fn changed(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    /// Signs with the key and the algorithm that these names ask for.
    fn signed(by: &str, header: &Value) -> String {
        let content = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(r#"{"iss":"i"}"#)
        );
        let Provider { rsa, ec } = provider();
        let random = SystemRandom::new();
        let signature = match by {
            "ES256" => ec.sign(&random, content.as_bytes()).unwrap().as_ref().to_vec(),
            "HS256" => {
                let public = rsa_jwk()["n"].as_str().unwrap().to_owned();
                let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
                hmac::sign(&key, content.as_bytes()).as_ref().to_vec()
            }
            "none" => Vec::new(),
            by => {
                let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if by == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; rsa.public_modulus_len()];
                rsa.sign(encoding, &random, content.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn kind(jwt: &str, keys: &VerificationKeys, algorithms: &[Algorithm]) -> Option<JwtErrorKind> {
        verified_payload(jwt, keys, algorithms).err().map(|error| error.kind())
    }

    fn kid(alg: &str) -> &'static str {
        if alg == "ES256" { "ec" } else { "rsa" }
    }

    #[test]
    fn x1_a_signature_counts_only_for_the_algorithm_that_the_header_names_and_the_provider_has() {
        let all = keys(&[rsa_jwk(), ec_jwk()], ALL);
        for (at, alg) in ["RS256", "PS256", "ES256"].into_iter().enumerate() {
            let jwt = signed(alg, &json!({"alg": alg, "kid": kid(alg)}));
            assert_eq!(verified_payload(&jwt, &all, ALL).unwrap(), br#"{"iss":"i"}"#);
            for other in ["RS256", "PS256", "ES256"].into_iter().filter(|other| *other != alg) {
                let posing = signed(alg, &json!({"alg": other, "kid": kid(other)}));
                assert_eq!(kind(&posing, &all, ALL), Some(BadSignature), "{alg} as {other}");
                let wrong_key = signed(alg, &json!({"alg": alg, "kid": kid(other)}));
                let is_same = kid(alg) == kid(other);
                assert_eq!(kind(&wrong_key, &all, ALL), (!is_same).then_some(UnknownKey), "{alg} {other}");
            }
            let without: Vec<_> = ALL.iter().copied().filter(|it| *it != ALL[at]).collect();
            let keys = keys(&[rsa_jwk(), ec_jwk()], &without);
            assert_eq!(kind(&jwt, &keys, &without), Some(UnsupportedAlgorithm), "{alg}");
        }
        for alg in ["none", "HS256", "RS384", "ES384", "EdDSA", "rs256", ""] {
            let by = if alg == "none" || alg == "HS256" { alg } else { "RS256" };
            let jwt = signed(by, &json!({"alg": alg, "kid": "rsa"}));
            assert_eq!(kind(&jwt, &all, ALL), Some(UnsupportedAlgorithm), "{alg}");
            assert_eq!(key_id(&jwt, ALL).unwrap_err().kind(), UnsupportedAlgorithm, "{alg}");
        }
        let posing = signed("HS256", &json!({"alg": "RS256", "kid": "rsa"}));
        assert_eq!(kind(&posing, &all, ALL), Some(BadSignature));
    }

    #[test]
    fn x1_a_key_is_for_its_own_algorithm_use_and_curve() {
        let [rs, ps, es] =
            ["RS256", "PS256", "ES256"].map(|alg| signed(alg, &json!({"alg": alg, "kid": kid(alg)})));
        let bound = keys(&[changed(rsa_jwk(), "alg", json!("PS256")), ec_jwk()], ALL);
        assert_eq!((kind(&rs, &bound, ALL), kind(&ps, &bound, ALL)), (Some(UnknownKey), None));
        for (name, value) in [
            ("crv", json!("P-384")),
            ("crv", json!(null)),
            ("kty", json!("OKP")),
            ("use", json!("enc")),
            ("alg", json!("ES384")),
            ("x", json!("AA")),
            ("x", json!(URL_SAFE_NO_PAD.encode([7; 32]))),
            ("y", json!(null)),
            ("kid", json!("")),
        ] {
            let skipped = keys(&[changed(ec_jwk(), name, value.clone()), rsa_jwk()], ALL);
            assert_eq!(kind(&es, &skipped, ALL), Some(UnknownKey), "{name} {value}");
            assert_eq!(kind(&rs, &skipped, ALL), None);
        }
        // One key for both, as many providers publish it.
        assert_eq!(keys(&[rsa_jwk()], ALL).len(), 2);
    }

    #[test]
    fn x1_a_key_in_the_header_is_no_key() {
        let own = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let components = RsaPublicKeyComponents::<Vec<u8>>::from(own.public_key());
        let (n, e) = (URL_SAFE_NO_PAD.encode(components.n), URL_SAFE_NO_PAD.encode(components.e));
        let jwk = json!({"kty": "RSA", "kid": "own", "n": n, "e": e});
        for (kid, expected) in [("own", UnknownKey), ("rsa", BadSignature)] {
            let header =
                json!({"alg": "RS256", "kid": kid, "jwk": jwk, "jku": "https://evil.example", "x5c": ["AA"]});
            let content =
                format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode("{}"));
            let mut signature = vec![0; own.public_modulus_len()];
            own.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), content.as_bytes(), &mut signature).unwrap();
            let jwt = format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature));
            assert_eq!(kind(&jwt, &keys(&[rsa_jwk()], ALL), ALL), Some(expected), "{kid}");
        }
    }

    #[test]
    fn x1_another_signature_of_the_same_content_is_the_same_assertion() {
        let jwt = signed("ES256", &json!({"alg": "ES256", "kid": "ec"}));
        let again = signed("ES256", &json!({"alg": "ES256", "kid": "ec"}));
        assert_ne!(jwt, again, "ECDSA signs with a random number");
        let all = keys(&[ec_jwk()], ALL);
        assert_eq!((kind(&jwt, &all, ALL), kind(&again, &all, ALL)), (None, None));
        assert_eq!(signed_part(&jwt).unwrap(), signed_part(&again).unwrap());
        assert!(signed_part("a.b.c.d").is_err());
    }

    #[test]
    fn x1_the_claimed_issuer_is_read_from_anything_that_looks_like_a_jwt() {
        let payload = |json: &str| format!("e30.{}.AA", URL_SAFE_NO_PAD.encode(json));
        assert_eq!(claimed_issuer(&payload(r#"{"iss":"https://idp"}"#)).as_deref(), Some("https://idp"));
        for other in [payload(r#"{"iss":7}"#), payload("{}"), payload("[]"), "".to_owned(), "a.b".to_owned()]
        {
            assert_eq!(claimed_issuer(&other), None, "{other}");
        }
    }
}
