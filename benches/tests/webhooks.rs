//! The examples in Clerk's description of its webhooks, as signed deliveries.
//!
//! The description belongs to Clerk and isn't part of this repository. `CLERK_SCHEMAS` names the folder with
//! `webhooks-2025-04-15.yml`.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use serde_json::Value;
use tower_clerk::Clock;
use tower_clerk::webhook::{Event, EventData, WebhookSecrets, WebhookVerifier};

const FILE: &str = "webhooks-2025-04-15.yml";
const NOW: u64 = 1_900_000_000;
const KEY: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";

/// The events of the description, each with its example.
fn examples(folder: &Path) -> Vec<(String, Value)> {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let document: Value = serde_norway::from_str(&text).expect("YAML that is JSON but for its form");
    let events = document["x-webhooks"].as_object().expect("the events");
    let example = |event: &Value| {
        let content = &event["post"]["requestBody"]["content"]["application/json"];
        let reference = content["examples"]["default"]["$ref"].as_str();
        match reference.and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => document.pointer(pointer).expect("the example")["value"].clone(),
            None => content["example"].clone(),
        }
    };
    events.iter().map(|(name, event)| (name.clone(), example(event))).collect()
}

fn delivered(body: &str) -> Event {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let tag = hmac::sign(&key, format!("msg_1.{NOW}.{body}").as_bytes());
    let mut headers = HeaderMap::new();
    headers.insert("svix-id", "msg_1".parse().expect("a value"));
    headers.insert("svix-timestamp", NOW.into());
    let signature = format!("v1,{}", BASE64_STANDARD.encode(tag));
    headers.insert("svix-signature", signature.parse().expect("a value"));
    let secrets = WebhookSecrets::parse(&BASE64_STANDARD.encode(KEY)).expect("a secret");
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
    WebhookVerifier::new(secrets).clock(clock).verify(&headers, body.as_bytes()).expect("an event")
}

fn at(value: &Value) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_millis(value.as_u64()?))
}

/// Compares an object with its example, field by field.
fn compare(event: &Event, data: &Value) {
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str);
    match event.data() {
        EventData::User(user) => {
            assert_eq!(Some(&*user.id), text("/id"));
            assert_eq!(user.username.as_deref(), text("/username"));
            let flags = [user.banned, user.locked, user.password_enabled];
            assert_eq!(flags, ["banned", "locked", "password_enabled"].map(|name| data[name].as_bool()));
            assert_eq!(user.mfa_enabled_at, at(&data["mfa_enabled_at"]));
            assert_eq!(user.updated_at, at(&data["updated_at"]));
        }
        EventData::Session(session) => {
            assert_eq!(Some(&*session.id), text("/id"));
            assert_eq!(
                (session.user_id.as_deref(), session.status.as_deref()),
                (text("/user_id"), text("/status"))
            );
            assert_eq!(session.updated_at, at(&data["updated_at"]));
        }
        EventData::Organization(organization) => {
            assert_eq!(Some(&*organization.id), text("/id"));
            assert_eq!(organization.slug.as_deref(), text("/slug"));
            assert_eq!(organization.updated_at, at(&data["updated_at"]));
        }
        EventData::Membership(membership) => {
            assert_eq!(Some(&*membership.id), text("/id"));
            assert_eq!(membership.user_id.as_deref(), text("/public_user_data/user_id"));
            assert_eq!(Some(&*membership.organization.id), text("/organization/id"));
            assert_eq!(membership.role.as_deref(), text("/role"));
            assert_eq!(membership.updated_at, at(&data["updated_at"]));
        }
        _ => {}
    }
}

#[test]
fn the_examples_of_clerks_description_are_read_field_by_field() {
    let Some(folder) = env::var_os("CLERK_SCHEMAS") else {
        let skipped =
            "skipped: CLERK_SCHEMAS names no folder with Clerk's description, so nothing was checked";
        return writeln!(std::io::stderr(), "{skipped}").expect("stderr is open");
    };
    let examples = examples(Path::new(&folder));
    let mut read = 0;
    for (name, example) in &examples {
        let event = delivered(&example.to_string());
        assert_eq!((event.event_type(), event.instance_id()), (&**name, example["instance_id"].as_str()));
        // In seconds, though the description of other times says milliseconds.
        assert_eq!(
            event.time(),
            at(&(example["timestamp"].as_u64().expect("a time") * 1000).into()),
            "{name}"
        );
        let objects = ["user", "session", "organization", "organizationMembership"];
        let is_read = objects.iter().any(|object| name.split('.').next() == Some(object));
        assert_eq!(!matches!(event.data(), EventData::Unknown), is_read, "{name}");
        compare(&event, &example["data"]);
        read += usize::from(is_read);
    }
    assert_eq!((examples.len(), read), (45, 14), "all events have an example");
}
