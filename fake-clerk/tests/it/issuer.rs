//! The identity provider: its documents, its assertions, and their flaws.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use fake_clerk::{
    AssertionFlaw, ConnectionFault, FakeClock, FakeIssuer, IssuerDocument, IssuerFault, SigningAlgorithm,
};
use http::{Request, Response};
use serde_json::{Value, json};

use super::caller::part;
use super::socket::exchange;

const ISSUER: &str = "https://login.example/tenant";

async fn get(issuer: &FakeIssuer, url: &str) -> Result<Response<Bytes>, ConnectionFault> {
    issuer.handle(Request::get(url).body(Bytes::new()).unwrap()).await
}

async fn json_of(issuer: &FakeIssuer, url: &str) -> Value {
    let response = get(issuer, url).await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    serde_json::from_slice(response.body()).unwrap()
}

async fn keys(issuer: &FakeIssuer) -> Vec<Value> {
    let set = json_of(issuer, &format!("{}/jwks", issuer.issuer())).await;
    set["keys"].as_array().unwrap().clone()
}

/// Whether a token is signed by one of these keys with the algorithm of its header.
fn is_signed_by(token: &str, keys: &[Value]) -> bool {
    let token = json!(token);
    let header = part(&token, 0);
    let (message, signature) = token.as_str().unwrap().rsplit_once('.').unwrap();
    let decode = |value: &Value| BASE64_URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let named = keys.iter().filter(|key| key["kid"] == header["kid"] && key["alg"] == header["alg"]);
    let rsa = |key: &Value, parameters: &'static RsaParameters| {
        let key = PublicKeyComponents { n: decode(&key["n"]), e: decode(&key["e"]) };
        key.verify(parameters, message.as_bytes(), &signature).is_ok()
    };
    named.into_iter().any(|key| match header["alg"].as_str().unwrap() {
        "RS256" => rsa(key, &RSA_PKCS1_2048_8192_SHA256),
        "PS256" => rsa(key, &RSA_PSS_2048_8192_SHA256),
        "ES256" => {
            let point = [vec![4], decode(&key["x"]), decode(&key["y"])].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message.as_bytes(), &signature)
                .is_ok()
        }
        _ => false,
    })
}

#[tokio::test]
async fn the_documents_are_below_the_issuer_and_name_each_other() {
    let issuer = FakeIssuer::new(ISSUER);
    let discovery = json_of(&issuer, "https://login.example/tenant/.well-known/openid-configuration").await;
    assert_eq!(
        (&discovery["issuer"], &discovery["jwks_uri"]),
        (&json!(ISSUER), &json!(format!("{ISSUER}/jwks")))
    );
    // The members that OpenID Connect Discovery 1.0 requires.
    for name in ["authorization_endpoint", "response_types_supported", "subject_types_supported"] {
        assert!(!discovery[name].is_null(), "{name}");
    }
    assert_eq!(keys(&issuer).await.len(), 1);
    assert_eq!((issuer.count(IssuerDocument::Discovery), issuer.count(IssuerDocument::Keys)), (1, 1));
    for elsewhere in
        ["https://login.example/jwks", "https://other.example/tenant/jwks", &format!("{ISSUER}/token")]
    {
        assert_eq!(get(&issuer, elsewhere).await.unwrap().status(), 404, "{elsewhere}");
    }
    let post = Request::post(format!("{ISSUER}/jwks")).body(Bytes::new()).unwrap();
    assert_eq!(issuer.handle(post).await.unwrap().status(), 405);
}

#[tokio::test(start_paused = true)]
async fn an_assertion_has_the_claims_of_its_time_and_a_signature_of_the_key_set() {
    let clock = FakeClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
    let issuer = FakeIssuer::new(ISSUER).clock(clock);
    tokio::time::advance(Duration::from_secs(60)).await;
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256, SigningAlgorithm::Es256] {
        issuer.rotate_to(algorithm);
        let token = issuer.assertion("ada", "client").claim("nonce", "n-1").sign();
        let (header, claims) = (part(&json!(token), 0), part(&json!(token), 1));
        assert_eq!((&header["kid"], &header["typ"]), (&json!(issuer.kid()), &json!("JWT")));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(ISSUER), &json!("ada")));
        assert_eq!((&claims["aud"], &claims["nonce"]), (&json!("client"), &json!("n-1")));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_900_000_060), &json!(1_900_000_360)));
        assert!(is_signed_by(&token, &keys(&issuer).await), "{algorithm:?}");
        let other = issuer.assertion("ada", "client").sign();
        assert_ne!(part(&json!(other), 1)["jti"], claims["jti"]);
    }
    let late = issuer.assertion("ada", json!(["a", "b"])).skew(-90).life(Duration::from_secs(60)).sign();
    let claims = part(&json!(late), 1);
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_899_999_970), &json!(1_900_000_030)));
    assert_eq!(claims["aud"], json!(["a", "b"]));
    let odd = issuer.assertion("ada", "client").claim("jti", Value::Null).header("typ", "at+jwt").sign();
    assert!(part(&json!(odd), 1).get("jti").is_none());
    assert_eq!(part(&json!(odd), 0)["typ"], "at+jwt");
}

#[tokio::test]
async fn keys_are_rotated_retired_and_published_beside() {
    let issuer = FakeIssuer::new(ISSUER);
    let old = issuer.assertion("ada", "client").sign();
    issuer.rotate_keys();
    let new = issuer.assertion("ada", "client").sign();
    let both = keys(&issuer).await;
    assert!(both.len() == 2 && is_signed_by(&old, &both) && is_signed_by(&new, &both));
    issuer.retire_old_keys();
    issuer.publish_key(json!({ "kty": "oct", "kid": "shared", "k": "c2VjcmV0" }));
    let left = keys(&issuer).await;
    assert!(!is_signed_by(&old, &left) && is_signed_by(&new, &left));
    assert_eq!(left[1]["kty"], "oct");
    // Two providers share no key, so that their confusion shows.
    let other = FakeIssuer::new("https://other.example");
    assert_ne!(keys(&other).await[0]["n"], keys(&FakeIssuer::new(ISSUER)).await[0]["n"]);
}

#[tokio::test]
async fn each_flaw_is_the_attack_that_it_is_named_after() {
    let issuer = FakeIssuer::new(ISSUER);
    let keys = keys(&issuer).await;
    let flawed = |flaw| issuer.assertion("ada", "client").flaw(flaw).sign();
    let header = |token: &str| part(&json!(token), 0);
    for flaw in [
        AssertionFlaw::AlgNone,
        AssertionFlaw::AlgHs256,
        AssertionFlaw::OwnJwk,
        AssertionFlaw::OwnJku,
        AssertionFlaw::OwnX5c,
        AssertionFlaw::ForeignKey,
        AssertionFlaw::UnknownKid,
        AssertionFlaw::BadSignature,
    ] {
        assert!(!is_signed_by(&flawed(flaw), &keys), "{flaw:?}");
    }
    let none = flawed(AssertionFlaw::AlgNone);
    assert!(none.ends_with('.') && header(&none)["alg"] == "none");

    // A verifier that takes the public key for a secret accepts this one.
    let hmac_signed = flawed(AssertionFlaw::AlgHs256);
    assert_eq!(
        (&header(&hmac_signed)["alg"], &header(&hmac_signed)["kid"]),
        (&json!("HS256"), &json!(issuer.kid()))
    );

    // The key that the header brings has signed it indeed.
    let own = flawed(AssertionFlaw::OwnJwk);
    assert!(is_signed_by(&own, &[header(&own)["jwk"].clone()]));
    let certified = flawed(AssertionFlaw::OwnX5c);
    let certificate = BASE64_STANDARD.decode(header(&certified)["x5c"][0].as_str().unwrap()).unwrap();
    let modulus = BASE64_URL_SAFE_NO_PAD.decode(header(&own)["jwk"]["n"].as_str().unwrap()).unwrap();
    assert!(certificate.windows(modulus.len()).any(|window| window == modulus));
    assert_eq!(header(&flawed(AssertionFlaw::OwnJku))["jku"], "https://attacker.example/jwks");

    assert_eq!(header(&flawed(AssertionFlaw::ForeignKey))["kid"], issuer.kid());
    assert_ne!(header(&flawed(AssertionFlaw::UnknownKid))["kid"], issuer.kid());
    let forged =
        issuer.assertion("ada", "client").flaw(AssertionFlaw::OwnJwk).header("kid", issuer.kid()).sign();
    assert_eq!(header(&forged)["kid"], issuer.kid());
}

#[tokio::test]
async fn the_hmac_secret_is_the_public_key_as_a_verifier_may_hold_it() {
    let issuer = FakeIssuer::new(ISSUER);
    issuer.rotate_to(SigningAlgorithm::Es256);
    let token = issuer.assertion("ada", "client").flaw(AssertionFlaw::AlgHs256).sign();
    let key = keys(&issuer).await[1].clone();
    let decode = |value: &Value| BASE64_URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap();
    let secret = [vec![4], decode(&key["x"]), decode(&key["y"])].concat();
    let (message, tag) = token.rsplit_once('.').unwrap();
    let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes(), &tag).unwrap();
}

#[tokio::test(start_paused = true)]
async fn documents_lie_redirect_and_fail_until_the_fault_is_taken_away() {
    let issuer = FakeIssuer::new(ISSUER);
    let url = format!("{ISSUER}/.well-known/openid-configuration");
    let fault = |fault| issuer.set_fault(IssuerDocument::Discovery, fault);
    fault(Some(IssuerFault::Members(json!({ "issuer": "https://accounts.example", "jwks_uri": null }))));
    for _ in 0..2 {
        let lie = json_of(&issuer, &url).await;
        assert_eq!(lie["issuer"], "https://accounts.example");
        assert!(lie.get("jwks_uri").is_none());
    }
    fault(Some(IssuerFault::Redirect("https://accounts.example/".to_owned())));
    let response = get(&issuer, &url).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (302, &"https://accounts.example/".parse().unwrap())
    );
    fault(Some(IssuerFault::Status(503)));
    assert_eq!(get(&issuer, &url).await.unwrap().status(), 503);
    fault(Some(IssuerFault::NotJson));
    assert!(serde_json::from_slice::<Value>(get(&issuer, &url).await.unwrap().body()).is_err());
    fault(Some(IssuerFault::Padded(70_000)));
    let response = get(&issuer, &url).await.unwrap();
    assert!(response.body().len() > 70_000 && serde_json::from_slice::<Value>(response.body()).is_ok());
    fault(Some(IssuerFault::Reset));
    assert!(matches!(get(&issuer, &url).await, Err(ConnectionFault::Reset)));
    fault(Some(IssuerFault::Hang));
    assert!(tokio::time::timeout(Duration::from_secs(3600), get(&issuer, &url)).await.is_err());
    assert_eq!(keys(&issuer).await.len(), 1, "the other document is in order");
    fault(None);
    assert_eq!(json_of(&issuer, &url).await["issuer"], ISSUER);
    assert_eq!(issuer.count(IssuerDocument::Discovery), 9);
}

#[tokio::test]
async fn a_provider_on_a_socket_is_named_by_its_address() {
    let server = FakeIssuer::serve("127.0.0.1:0").await.unwrap();
    let issuer = server.issuer().issuer().to_owned();
    let address = issuer.strip_prefix("http://").unwrap().to_owned();
    let request = format!(
        "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    let answer = exchange(address.parse().unwrap(), &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["jwks_uri"], format!("{issuer}/jwks"));
    server.issuer().set_fault(IssuerDocument::Discovery, IssuerFault::Reset);
    assert_eq!(exchange(address.parse().unwrap(), &request).await, "");
    server.shutdown().await;
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}
