//! Tokens and key sets (rules S9, B1).

use crate::jwt::{CLERK_ALGORITHMS, Expected, ExpectedSession, VerificationKeys, header, verify};

/// The modulus of a key whose private part was thrown away, so that nothing but [`VALID`] can be valid.
const MODULUS: &str = "wc4qYGQ7FzFfY57K-ZVPml_BVXd1xtqgQIk3UFbJMDnkhZT4dxQVihtnibsOFCfgLOFawkPf8p9iuT2AU7ajiZmhwYXT8rwImlh3Vj7b0oGe3b\
    MtBGdhzXen86kH5W_8qa0tlNAOzPxBEfM0pKX-rDiGxWhKUzCWAIqK7BRxUY9a-edB5FmXW3DAKz9BF7kXy2RBM_RgYZ88ipecCvnfqhHMOCBz\
    Akdcwf7PevmuJIfqkU5U4z4_5UMARS_gFmv5rXLblJkQazzOZMMRZXzAGFZa815GLP3mLVAdmx4BdevmJOW7lT3LCQFwXHDWoBd92qgeFiVqM9\
    GP1EB5LChR1w";

/// The tokens that were signed with the key: a plain one, and one with an organization.
const VALID: [&str; 2] = [
    "eyJhbGciOiJSUzI1NiIsImNhdCI6ImNsX0I3ZDRQRDExMUFBQSIsImtpZCI6Imluc19mdXp6IiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwcz\
     ovL2NsZXJrLmV4YW1wbGUuY29tIiwic3ViIjoidXNlcl8xIiwic2lkIjoic2Vzc18xIiwiaWF0IjoxOTAwMDAwMDAwLCJuYmYiOjE4OTk5OTk5\
     OTAsImV4cCI6MTkwMDAwMDA2MCwidiI6MiwiZnZhIjpbMCwtMV0sInN0cyI6ImFjdGl2ZSJ9.Q38LeqKRqzeR45lYJCvsFJZtgl79x3g968Xxa\
     RoKetuQmB7dyutE-K1kf47k7TyrmxbCeBowX6w7NwXlKbZgeGaTTCpFyo5-rFO2I71-4StJnGWLG6iOhg2bcuFFep2Iy_L1JJ2Lz3thLsajIPC\
     U5aER4mm5I3Z0cN6zo0WYijuNMDUF2Bs3svChS_tAR7kBhzNZ8ignaAk-cH_hOj0cEP2dFHpx6hMRLCXgSfydZ6G4lbfsMkClw5g79RhtxK8Oi\
     DynjN8QLUCevGMF_xv1FJ6E_0cB9p2siTwgDJOnsMs2UGBPDahLNkEXI4i-PTOJRBk0EuYlke8tlXKfjGl5dg",
    "eyJhbGciOiJSUzI1NiIsImNhdCI6ImNsX0I3ZDRQRDExMUFBQSIsImtpZCI6Imluc19mdXp6IiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwcz\
     ovL2NsZXJrLmV4YW1wbGUuY29tIiwic3ViIjoidXNlcl8xIiwic2lkIjoic2Vzc18xIiwiaWF0IjoxOTAwMDAwMDAwLCJuYmYiOjE4OTk5OTk5\
     OTAsImV4cCI6MTkwMDAwMDA2MCwidiI6MiwiZnZhIjpbMCwtMV0sInN0cyI6ImFjdGl2ZSIsIm8iOnsiaWQiOiJvcmdfMSIsInNsZyI6ImFjbW\
     UiLCJyb2wiOiJhZG1pbiIsInBlciI6InJlYWQsbWFuYWdlIiwiZnBtIjoiMyJ9LCJmZWEiOiJvOmJpbGxpbmcifQ.RqpgqniPa2mRdnZNadn6T\
     naWV8C36-2-NqNaB2PbRRkPp3yTFVhZ4qFQp1yDpqAG-CLfDIfhB_OvAcA6gPb9ykKVa7i9F6wgunXqMR4xfDBXOOjPrf_EITH33qs1nZSEBfh\
     1aAGRDpBHJ_wSjtaijqDbUph2gt4L7rnZpxeoin9heepGkj999Iy1Hb2592iUZ9-I_Y5q7A7BXxgFwp7wqZip8NTVV7zRP02KEIUQwjwL_-Hqy\
     1ZrVw8g-OP-6cP0X1ZwM1aucoMeeobHyBnFnQl_bEHLvxZ09Wh1iNnstViNYn_qswbcBMFOhZPIJ-uuDXxbSZBMHHoAokdmhrUc-A",
];

thread_local! {
    static KEYS: VerificationKeys = keys();
}

fn keys() -> VerificationKeys {
    let jwks = format!(
        r#"{{"keys":[{{"kty":"RSA","use":"sig","alg":"RS256","kid":"ins_fuzz","n":"{MODULUS}","e":"AQAB"}}]}}"#
    );
    VerificationKeys::from_jwks(jwks.as_bytes(), CLERK_ALGORITHMS).expect("a key set")
}

/// A token that claims to be Clerk's.
pub fn jwt(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    let read = header(token);
    let expected = Expected {
        issuer: "https://clerk.example.com",
        audience: None,
        algorithms: CLERK_ALGORITHMS,
        now: 1_900_000_010,
        leeway: 5,
        longest_life: None,
    };
    let expected = ExpectedSession {
        token: expected,
        subject: None,
        session_id: None,
        session_id_required: false,
        allow_pending: false,
    };
    let verified = KEYS.with(|keys| verify(token, keys, &expected));
    assert_eq!(verified.is_ok(), VALID.contains(&token), "only what was signed is accepted");
    assert!(read.is_ok() || verified.is_err(), "the header of an accepted token can be read");
    #[cfg(feature = "federation")]
    {
        _ = crate::jwt::claimed_issuer(token);
        _ = crate::jwt::key_id(token, &[crate::jwt::Algorithm::Es256, crate::jwt::Algorithm::Ps256]);
    }
}

/// A key set.
pub fn jwks(bytes: &[u8]) {
    let Ok(keys) = VerificationKeys::from_jwks(bytes, CLERK_ALGORITHMS) else { return };
    // A key set from which only the keys of Clerk's algorithm were taken can be published, and read again as the same.
    #[cfg(feature = "token-endpoint")]
    {
        let again = VerificationKeys::from_jwks(&keys.published(), CLERK_ALGORITHMS).expect("a key set");
        assert_eq!(format!("{keys:?}").len(), format!("{again:?}").len());
    }
    #[cfg(not(feature = "token-endpoint"))]
    drop(keys);
}
