//! No delivery makes the verifier panic (rule W1).

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tower_clerk::Clock;
use tower_clerk::webhook::{WebhookErrorKind, WebhookSecrets, WebhookVerifier};

use super::{SECRET, signature};

const NOW: u64 = 1_900_000_000;

fn verifier() -> WebhookVerifier {
    let now = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(NOW);
    WebhookVerifier::new(WebhookSecrets::parse(SECRET).unwrap()).clock(Clock::starting_at(now))
}

fn name() -> impl Strategy<Value = HeaderName> {
    let names = [
        "svix-id",
        "svix-timestamp",
        "svix-signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ];
    prop::sample::select(names.to_vec()).prop_map(HeaderName::from_static)
}

fn value() -> impl Strategy<Value = HeaderValue> {
    let any = prop::collection::vec(any::<u8>(), 0..200);
    let near = prop_oneof![
        Just(b"1900000000".to_vec()),
        Just(b"-9223372036854775808".to_vec()),
        Just(b"99999999999999999999999999".to_vec()),
        "(v1a?,[A-Za-z0-9+/]{0,50}={0,3} ?){0,12}".prop_map(String::into_bytes),
        "-?[0-9]{0,20}".prop_map(String::into_bytes),
    ];
    prop_oneof![any, near].prop_filter_map("a header's value", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

/// JSON near that of events.
fn near_an_event() -> impl Strategy<Value = String> {
    let number = any::<i64>().prop_map(|number| number.to_string());
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1e300".to_owned()),
        number,
        "\"[ -!#-Z^-~]{0,8}\"",
    ];
    let data = leaf.prop_recursive(3, 20, 5, |inner| {
        let key = prop::sample::select(vec![
            "id",
            "banned",
            "locked",
            "updated_at",
            "email_addresses",
            "email_address",
            "verification",
            "organization",
            "public_user_data",
            "user_id",
            "slug",
            "mfa_enabled_at",
            "password_last_updated_at",
        ]);
        let field = (key, inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(","))),
        ]
    });
    let event_type = prop::sample::select(vec![
        "user.updated",
        "user.deleted",
        "session.ended",
        "organization.updated",
        "organizationMembership.deleted",
        "x",
    ]);
    (event_type, data.clone(), data).prop_map(|(kind, data, time)| {
        format!("{{\"type\":\"{kind}\",\"data\":{data},\"timestamp\":{time}}}")
    })
}

proptest! {
    #[test]
    fn w1_no_header_fields_and_no_body_make_the_verifier_panic(
        fields in prop::collection::vec((name(), value()), 0..8),
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        prop_assert!(verifier().verify(&headers, &body).is_err(), "nobody has guessed a signature");
    }

    #[test]
    fn w3_no_signed_body_makes_the_verifier_panic(
        body in prop_oneof![near_an_event().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..300)],
        cut in 0.0..3.0,
    ) {
        let body = &body[..((body.len() as f64 * cut) as usize).min(body.len())];
        let (id, timestamp) = ("msg_1", NOW.to_string());
        let signature = signature(SECRET, id, &timestamp, body);
        let mut headers = HeaderMap::new();
        for (name, value) in [("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)] {
            headers.insert(name, value.parse().unwrap());
        }
        match verifier().verify(&headers, body) {
            Ok(event) => prop_assert_eq!(event.json().as_bytes(), body),
            Err(error) => prop_assert_eq!(error.kind(), WebhookErrorKind::Body),
        }
    }
}
