//! A client of the Frontend API, and the schemas of what it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use jsonschema::Validator;
use serde_json::{Value, json};
use tower_clerk::testing::{FakeClerk, FakeClerkBuilder};
use tower_clerk::transport::Transport;

use super::note;

const FILE: &str = "fapi-2025-11-10.schemas.json";

/// A validator for each kind of answer.
pub(crate) struct Schemas(pub(crate) BTreeMap<String, Validator>);

impl Schemas {
    /// `None` where nobody says where they are.
    pub(crate) fn load() -> Option<Self> {
        let folder = env::var_os("CLERK_SCHEMAS")?;
        let path = Path::new(&folder).join(FILE);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let kinds = document["responses"].as_object().expect("a schema for each kind of answer");
        let validator = |kind: &String| {
            let schema = json!({
                "$schema": document["$schema"],
                "$defs": document["$defs"],
                "$ref": document["responses"][kind]["$ref"],
            });
            let validator = jsonschema::validator_for(&schema);
            validator.unwrap_or_else(|error| panic!("{kind}: the schema is unusable: {error}"))
        };
        Some(Self(kinds.keys().map(|kind| (kind.clone(), validator(kind))).collect()))
    }
}

/// A native client that talks to a stand-in and holds each answer against its schema.
pub(crate) struct Talk<'a> {
    schemas: &'a Schemas,
    pub(crate) clerk: FakeClerk,
    pub(crate) token: Option<String>,
    /// The kinds of answers there were.
    seen: &'a mut BTreeSet<String>,
    /// What is wrong, each once, and the first answer that it was in.
    wrong: &'a mut BTreeMap<String, String>,
}

impl<'a> Talk<'a> {
    pub(crate) fn new(
        schemas: &'a Schemas,
        settings: FakeClerkBuilder,
        seen: &'a mut BTreeSet<String>,
        wrong: &'a mut BTreeMap<String, String>,
    ) -> Self {
        Self { schemas, clerk: settings.build(), token: None, seen, wrong }
    }

    /// Asks, and returns the answer's body.
    pub(crate) async fn ask(
        &mut self,
        kind: &str,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Value {
        let mut request =
            Request::builder().method(&method).uri(format!("{}{path}?_is_native=1", self.clerk.fapi_url()));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let answer = self.clerk.send(request.body(Bytes::from(form)).expect("a request")).await;
        let answer = answer.expect("an answer");
        if let Some(token) = answer.headers().get(AUTHORIZATION) {
            self.token = Some(token.to_str().expect("text").to_owned()).filter(|token| !token.is_empty());
        }
        let what = format!("{method} {path}, {}, as {kind}", answer.status());
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_else(|_| panic!("{what}: no JSON"));
        assert_eq!(answer.status().is_success(), kind != "errors", "{what}: {body}");
        let schema = self.schemas.0.get(kind).unwrap_or_else(|| panic!("there is no schema for {kind}"));
        for error in schema.iter_errors(&body) {
            note(&error, &what, self.wrong);
        }
        self.seen.insert(kind.to_owned());
        body
    }

    pub(crate) async fn get(&mut self, kind: &str, path: &str) -> Value {
        self.ask(kind, Method::GET, path, &[]).await
    }

    pub(crate) async fn post(&mut self, kind: &str, path: &str, form: &[(&str, &str)]) -> Value {
        self.ask(kind, Method::POST, path, form).await
    }

    pub(crate) async fn delete(&mut self, kind: &str, path: &str) -> Value {
        self.ask(kind, Method::DELETE, path, &[]).await
    }

    pub(crate) async fn sign_in(&mut self, kind: &str, identifier: &str, password: &str) -> Value {
        let form = [("strategy", "password"), ("identifier", identifier), ("password", password)];
        self.post(kind, "/v1/client/sign_ins", &form).await
    }
}
