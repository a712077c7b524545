//! A random history of an instance: a hundred users, ten organizations and their memberships.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use fake_clerk::{FakeClerk, FakeClock, FakeOrganization, FakeUser, WebhookEndpoint, WebhookSecret};
use http::{Request, StatusCode};
use serde_json::{Value as Json, json};

use super::{INSTANCE, Random, T};
use crate::kind::Kind;
use crate::time::{millis, time};

const USERS: usize = 100;
const ORGANIZATIONS: usize = 10;
const CHANGES: usize = 500;

/// An event, a list or a read that the mirror is told.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Event { id: String, event_type: String, at: i64, body: String },
    List { kind: Kind, read_at: i64, entries: Vec<String> },
}

/// All events and some lists, in the order in which they occurred, and the state at the end.
pub(crate) struct History {
    pub(crate) steps: Vec<Step>,
    /// The objects as Clerk shows them at the end.
    pub(crate) last: Vec<(Kind, String)>,
}

impl Step {
    /// The objects whose state it shows.
    pub(crate) fn objects(&self) -> Vec<(Kind, String)> {
        match self {
            Self::Event { event_type, body, .. } => match Kind::of_event(event_type) {
                Some(kind) if kind == Kind::Membership || !event_type.ends_with(".deleted") => {
                    vec![(kind, data(body).to_string())]
                }
                _ => Vec::new(),
            },
            Self::List { kind, entries, .. } => entries.iter().map(|entry| (*kind, entry.clone())).collect(),
        }
    }

    pub(crate) fn object_id(&self) -> String {
        match self {
            Self::Event { body, .. } => data(body)["id"].as_str().unwrap().to_owned(),
            Self::List { .. } => String::new(),
        }
    }
}

fn data(body: &str) -> Json {
    serde_json::from_str::<Json>(body).unwrap()["data"].take()
}

impl History {
    /// Makes a history under a clock that this function drives, in a thread of its own.
    pub(crate) fn make(seed: u64) -> Self {
        let make = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            runtime.unwrap().block_on(Instance::history(seed))
        };
        std::thread::spawn(make).join().unwrap()
    }
}

/// The stand-in, and who is there.
struct Instance {
    fake: FakeClerk,
    random: Random,
    users: Vec<String>,
    organizations: Vec<String>,
    members: BTreeSet<(String, String)>,
    names: usize,
    steps: Vec<Step>,
    /// Deliveries that are steps already.
    delivered: usize,
}

impl Instance {
    async fn history(seed: u64) -> History {
        let fake =
            FakeClerk::builder().empty().no_rate_limit().clock(FakeClock::starting_at(time(T))).build();
        fake.add_webhook(WebhookEndpoint::in_process(WebhookSecret::random(), |_| async {
            StatusCode::NO_CONTENT
        }));
        fake.hold_webhooks();
        let mut instance = Self {
            fake,
            random: Random::new(seed),
            users: Vec::new(),
            organizations: Vec::new(),
            members: BTreeSet::new(),
            names: 0,
            steps: Vec::new(),
            delivered: 0,
        };
        for _ in 0..CHANGES {
            // Two changes of an object in the same millisecond could not be told apart.
            tokio::time::advance(Duration::from_millis(1 + instance.random.below(700) as u64)).await;
            instance.change().await;
            instance.take_events();
            if instance.random.percent(3) {
                instance.list().await;
            }
        }
        let last = instance.objects().await;
        History { steps: instance.steps, last }
    }

    async fn change(&mut self) {
        match self.random.below(20) {
            0..=6 if self.users.len() < USERS => self.add_user(),
            7 | 8 if self.organizations.len() < ORGANIZATIONS => self.add_organization(),
            0..=3 => self.rename_user().await,
            4 => self.with_user(|fake, user| fake.ban(user)),
            5 => self.with_user(|fake, user| fake.unban(user)),
            6 => self.delete_user(),
            7 => self.rename_organization().await,
            8 if self.random.percent(30) => self.delete_organization(),
            9..=13 => self.add_member(),
            14..=16 => self.remove_member(),
            _ => self.rename_user().await,
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("Name{}", self.names)
    }

    fn add_user(&mut self) {
        let name = self.name();
        let user =
            FakeUser::new(format!("{}@example.com", name.to_lowercase())).no_password().name(name, "Doe");
        self.users.push(self.fake.add_user(user));
    }

    fn add_organization(&mut self) {
        let name = self.name();
        self.organizations
            .push(self.fake.add_organization(FakeOrganization::new(name.to_lowercase()).name(name)));
    }

    fn any<'a>(random: &mut Random, of: &'a [String]) -> Option<&'a String> {
        if of.is_empty() { None } else { of.get(random.below(of.len())) }
    }

    fn with_user(&mut self, change: impl FnOnce(&FakeClerk, &str)) {
        if let Some(user) = Self::any(&mut self.random, &self.users) {
            change(&self.fake, user);
        }
    }

    async fn rename_user(&mut self) {
        let name = self.name();
        let Some(user) = Self::any(&mut self.random, &self.users).cloned() else { return };
        self.call("PATCH", &format!("/v1/users/{user}"), &json!({ "first_name": name })).await;
    }

    async fn rename_organization(&mut self) {
        let name = self.name();
        let Some(id) = Self::any(&mut self.random, &self.organizations).cloned() else { return };
        self.call("PATCH", &format!("/v1/organizations/{id}"), &json!({ "name": name })).await;
    }

    fn delete_user(&mut self) {
        let Some(user) = Self::any(&mut self.random, &self.users).cloned() else { return };
        self.fake.delete_user(&user);
        self.users.retain(|other| *other != user);
        self.members.retain(|(member, _)| *member != user);
    }

    fn delete_organization(&mut self) {
        let Some(id) = Self::any(&mut self.random, &self.organizations).cloned() else { return };
        self.fake.delete_organization(&id);
        self.organizations.retain(|other| *other != id);
        self.members.retain(|(_, organization)| *organization != id);
    }

    fn add_member(&mut self) {
        let user = Self::any(&mut self.random, &self.users).cloned();
        let organization = Self::any(&mut self.random, &self.organizations).cloned();
        let (Some(user), Some(organization)) = (user, organization) else { return };
        // One who is a member gets the role.
        let role = if self.random.percent(50) { "org:admin" } else { "org:member" };
        self.fake.add_member(&user, &organization, role);
        self.members.insert((user, organization));
    }

    fn remove_member(&mut self) {
        let at = if self.members.is_empty() { return } else { self.random.below(self.members.len()) };
        let Some((user, organization)) = self.members.iter().nth(at).cloned() else { return };
        self.fake.remove_member(&user, &organization);
        self.members.remove(&(user, organization));
    }

    fn take_events(&mut self) {
        let deliveries = self.fake.deliveries();
        for delivery in &deliveries[self.delivered..] {
            let body = String::from_utf8(delivery.body().to_vec()).unwrap();
            let mut envelope: Json = serde_json::from_str(&body).unwrap();
            let at = envelope["timestamp"].as_i64().unwrap();
            envelope["instance_id"] = json!(INSTANCE);
            self.steps.push(Step::Event {
                id: delivery.id().to_owned(),
                event_type: delivery.event_type().to_owned(),
                at,
                body: envelope.to_string(),
            });
        }
        self.delivered = deliveries.len();
    }

    /// Reads lists, as a backfill does.
    async fn list(&mut self) {
        let date = httpdate::fmt_http_date(self.fake_now());
        let read_at = millis(httpdate::parse_http_date(&date).unwrap());
        let objects = self.objects().await;
        for kind in Kind::ALL {
            let of_kind = objects.iter().filter(|(of, _)| *of == kind).map(|(_, json)| json.clone());
            let entries: Vec<String> = of_kind.collect();
            self.steps.push(Step::List { kind, read_at, entries });
        }
    }

    fn fake_now(&self) -> std::time::SystemTime {
        self.fake.clock().wall()
    }

    /// All objects as Clerk shows them.
    async fn objects(&self) -> Vec<(Kind, String)> {
        let mut objects = Vec::new();
        for user in &self.users {
            let path = format!("/v1/users/{user}");
            objects.push((Kind::User, self.get(&path).await.to_string()));
            let memberships = self.get(&format!("{path}/organization_memberships?limit=100")).await;
            let memberships = memberships["data"].as_array().unwrap().iter();
            objects.extend(memberships.map(|it| (Kind::Membership, it.to_string())));
        }
        for id in &self.organizations {
            let organization = self.get(&format!("/v1/organizations/{id}")).await;
            objects.push((Kind::Organization, organization.to_string()));
        }
        objects
    }

    async fn get(&self, path: &str) -> Json {
        self.call("GET", path, &Json::Null).await
    }

    async fn call(&self, method: &str, path: &str, body: &Json) -> Json {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.fake.backend_url()))
            .header("authorization", format!("Bearer {}", self.fake.secret_key()))
            .header("content-type", "application/json");
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let response = self.fake.handle(request.body(body).unwrap()).await.unwrap();
        assert!(response.status().is_success(), "{method} {path}: {:?}", response.body());
        serde_json::from_slice(response.body()).unwrap()
    }
}
