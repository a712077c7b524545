//! Clerk's OpenAPI descriptions of the Backend API and of webhooks, as JSON Schema.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

pub(crate) const BACKEND: &str = "bapi-2026-05-12.yml";
pub(crate) const WEBHOOKS: &str = "webhooks-2025-04-15.yml";

/// A description, with nullable values expressed as in JSON Schema.
pub(crate) struct OpenApi {
    document: Value,
    /// Compiled on first use.
    validators: BTreeMap<String, Validator>,
}

impl OpenApi {
    pub(crate) fn load(folder: &Path, file: &str) -> Self {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut document: Value = serde_norway::from_str(&text).expect("YAML that is JSON but for its form");
        for part in ["components", "paths", "x-webhooks"] {
            if let Some(part) = document.get_mut(part) {
                nullable_to_null(part);
            }
        }
        allow_session_events(&mut document);
        Self { document, validators: BTreeMap::new() }
    }

    /// Returns the schema of an operation's response with a status, if there is one.
    pub(crate) fn answer(&mut self, method: &str, path: &str, status: u16) -> Option<&Validator> {
        let name = format!("{method} {path} {status}");
        if !self.validators.contains_key(&name) {
            let operation = &self.document["paths"][path][method.to_ascii_lowercase()];
            assert!(operation.is_object(), "{method} {path} isn't described");
            let answer = self.resolve(&operation["responses"][status.to_string()]);
            let schema = &answer["content"]["application/json"]["schema"];
            // Clerk doesn't list each status of each operation, but all errors have the same shape.
            let schema = match schema.is_object() {
                true => schema.clone(),
                false if status >= 400 => json!({ "$ref": "#/components/schemas/ClerkErrors" }),
                false => return None,
            };
            let validator = self.compile(&name, &schema);
            self.validators.insert(name.clone(), validator);
        }
        self.validators.get(&name)
    }

    /// Returns the schema of a webhook event.
    pub(crate) fn event(&mut self, kind: &str) -> &Validator {
        if !self.validators.contains_key(kind) {
            let event = &self.document["x-webhooks"][kind]["post"]["requestBody"];
            let schema = event["content"]["application/json"]["schema"].clone();
            assert!(schema.is_object(), "{kind} isn't described");
            let validator = self.compile(kind, &schema);
            self.validators.insert(kind.to_owned(), validator);
        }
        &self.validators[kind]
    }

    fn compile(&self, name: &str, schema: &Value) -> Validator {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "components": self.document["components"],
            "allOf": [schema],
        });
        let validator = jsonschema::validator_for(&schema);
        validator.unwrap_or_else(|error| panic!("{name}: the schema is unusable: {error}"))
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).expect("what the description refers to is there"),
            None => value,
        }
    }
}

/// Lets an event's session have a user, and be pending, as in the examples of the description. Its schemas contradict
/// these: `Session` allows no `user`, which the event requires, and lists no status `pending`.
fn allow_session_events(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    if schemas.get("SessionEventPayload").is_none() {
        return;
    }
    let session = &mut schemas["Session"]["properties"];
    session["user"] = json!({ "$ref": "#/components/schemas/User" });
    session["status"]["enum"].as_array_mut().expect("the statuses").push(json!("pending"));
}

/// Turns `nullable: true` of OpenAPI 3.0 into an alternative.
fn nullable_to_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(nullable_to_null),
        Value::Object(object) => {
            // An alternative instead of a list of types, so that errors of the non-null schema are reported together.
            object.values_mut().for_each(nullable_to_null);
            if object.get("nullable") == Some(&json!(true)) {
                object.remove("nullable");
                let rest = value.take();
                *value = json!({ "anyOf": [{ "type": "null" }, rest] });
            }
        }
        _ => {}
    }
}
