//! A whole program: an app with its route of webhooks, and the stand-in that sends to it, in process or over sockets.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use tower_clerk::testing::{
    Clock, Endpoint, FakeClerk, FakeClerkBuilder, FakeClerkServer, WebhookEndpoint, WebhookSecret,
};
use tower_clerk::{BearerTokens, Clerk, ClerkBuilder, ClerkSession, OrganizationSelector};

use super::{SECOND, SECRET, service};
use crate::common::{Pair, World, authorization, backend_builder, builder, in_time, warm_up};

/// The API that proves passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Frontend,
    Backend,
}

/// The schemes of credentials that the app accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepts {
    Basic,
    BasicAndBearer,
}

/// Of Clerk's limits there are none, so that each call that an event costs is made at once.
pub(super) fn world(provider: Provider) -> World {
    match provider {
        Provider::Frontend => World::unlimited(),
        Provider::Backend => World::backend_with(FakeClerkBuilder::no_rate_limit, unlimited_backend),
    }
}

fn unlimited_backend(engine: ClerkBuilder) -> ClerkBuilder {
    engine.unlimited_sign_ins().backend_rate(10_000, SECOND)
}

/// The same instance, and an app that holds nothing and is told nothing: it answers as Clerk does now.
pub(super) fn fresh(world: &World, provider: Provider) -> App {
    let clerk = match provider {
        Provider::Frontend => builder(&world.fake, world.clock).unlimited_sign_ins(),
        Provider::Backend => unlimited_backend(backend_builder(&world.fake, world.clock)),
    };
    App::of(World { clerk: clerk.build().unwrap(), ..world.clone() }, Accepts::Basic)
}

pub(super) struct App {
    pub(super) world: World,
    router: Router,
    sockets: Option<Sockets>,
}

struct Sockets {
    clerk: FakeClerkServer,
    app: String,
    client: reqwest::Client,
}

#[derive(Clone, Copy)]
enum To {
    App,
    Clerk,
}

impl App {
    /// In process, and without webhooks.
    pub(super) fn of(world: World, accepts: Accepts) -> Self {
        Self { router: router(&world, accepts), world, sockets: None }
    }

    /// In process, on the driven clock.
    pub(super) fn in_process(provider: Provider, accepts: Accepts) -> Self {
        let app = Self::of(world(provider), accepts);
        let webhooks = app.router.clone();
        let endpoint = WebhookEndpoint::in_process(secret(), move |request| {
            let webhooks = webhooks.clone();
            async move { webhooks.oneshot(request.map(Body::from)).await.unwrap().status() }
        });
        app.world.fake.add_webhook(endpoint);
        app
    }

    /// Each request on a socket: to the app, to Clerk, and Clerk's to the app.
    pub(super) async fn on_sockets(provider: Provider, accepts: Accepts) -> Self {
        let fake = FakeClerk::builder().no_rate_limit().build();
        warm_up(&fake).await;
        let clerk = fake.serve("127.0.0.1:0").await.unwrap();
        let engine = Clerk::builder(clerk.url());
        let engine = match provider {
            Provider::Frontend => engine.unlimited_sign_ins(),
            Provider::Backend => {
                unlimited_backend(engine.secret_key(fake.secret_key()).backend_url(clerk.url()))
            }
        };
        let world = World { clock: Clock::system(), fake, clerk: engine.build().unwrap() };
        let router = router(&world, accepts);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router.clone()).into_future());
        let url = format!("{app}/webhooks");
        world.fake.add_webhook(WebhookEndpoint::at(&url, secret()).unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { world, router, sockets: Some(Sockets { clerk, app, client }) }
    }

    /// The `iss` of Clerk's tokens, which is the address that the app knows Clerk by.
    pub(super) fn issuer(&self) -> String {
        self.sockets.as_ref().map_or_else(|| self.world.fake.issuer(), |sockets| sockets.clerk.url())
    }

    /// Asks the app: the role, `personal` outside of an organization, or the code of the rejection.
    pub(super) async fn ask(&self, path: &str, pair: Pair) -> String {
        self.ask_with(path, &authorization(pair)).await
    }

    /// Asks the app with any field `Authorization`.
    pub(super) async fn ask_with(&self, path: &str, authorization: &str) -> String {
        let request = Request::get(path).header(AUTHORIZATION, authorization);
        let (status, body) = in_time(self.send(To::App, request.body(Bytes::new()).unwrap())).await;
        if status.is_success() {
            return body;
        }
        let problem: Value = serde_json::from_str(&body).unwrap();
        problem["code"].as_str().unwrap().to_owned()
    }

    /// Makes a call of the Backend API, and returns when the webhooks of it are delivered.
    pub(super) async fn change(&self, call: &str) {
        self.make(call).await;
        self.settle().await;
    }

    /// Makes a call of the Backend API, `METHOD PATH BODY`, as Clerk's dashboard makes it.
    pub(super) async fn make(&self, call: &str) {
        let mut parts = call.splitn(3, ' ');
        let request = Request::builder().method(parts.next().unwrap()).uri(parts.next().unwrap());
        let request = request
            .header(AUTHORIZATION, format!("Bearer {}", self.world.fake.secret_key()))
            .header(CONTENT_TYPE, "application/json");
        let request = request.body(Bytes::from(parts.next().unwrap_or_default().to_owned())).unwrap();
        let (status, body) = self.send(To::Clerk, request).await;
        assert!(status.is_success(), "{call}: {status} {body}");
    }

    /// Returns when the webhooks that are due are delivered.
    pub(super) async fn settle(&self) {
        self.world.fake.settle_webhooks().await;
        for delivery in self.world.fake.deliveries() {
            let last = delivery.attempts().last().and_then(tower_clerk::testing::WebhookAttempt::status);
            assert_eq!(last, Some(StatusCode::NO_CONTENT), "{delivery:?}");
        }
    }

    /// The calls in the stand-in's log: proofs of a password, sign-ins, and mints of tokens. At the Frontend API a sign-in
    /// is the proof.
    pub(super) fn cost(&self) -> [usize; 3] {
        let count = |endpoint| self.world.fake.count(endpoint);
        let mints = [Endpoint::Tokens, Endpoint::Touch, Endpoint::BackendTokens].map(count);
        [count(Endpoint::VerifyPassword), count(Endpoint::SignIns), mints.iter().sum()]
    }

    async fn send(&self, to: To, mut request: Request<Bytes>) -> (StatusCode, String) {
        let Some(sockets) = &self.sockets else {
            return match to {
                To::App => {
                    let response = self.router.clone().oneshot(request.map(Body::from)).await.unwrap();
                    let status = response.status();
                    text(status, &response.into_body().collect().await.unwrap().to_bytes())
                }
                To::Clerk => {
                    *request.uri_mut() =
                        format!("{}{}", self.world.fake.backend_url(), request.uri()).parse().unwrap();
                    let response = self.world.fake.handle(request).await.unwrap();
                    text(response.status(), response.body())
                }
            };
        };
        let base = match to {
            To::App => sockets.app.clone(),
            To::Clerk => sockets.clerk.url(),
        };
        let call = sockets.client.request(request.method().clone(), format!("{base}{}", request.uri()));
        let response =
            call.headers(request.headers().clone()).body(request.into_body()).send().await.unwrap();
        let status = response.status();
        text(status, &response.bytes().await.unwrap())
    }
}

fn text(status: StatusCode, body: &Bytes) -> (StatusCode, String) {
    (status, String::from_utf8(body.to_vec()).unwrap())
}

pub(super) fn secret() -> WebhookSecret {
    SECRET.parse().unwrap()
}

fn router(world: &World, accepts: Accepts) -> Router {
    let layer = match accepts {
        Accepts::Basic => world.layer(),
        Accepts::BasicAndBearer => world.layer().accept_bearer(BearerTokens::new()).unwrap(),
    };
    let layer = layer.problem_json();
    let of_path = layer.clone().organization_by(OrganizationSelector::path("/orgs/{org}/me")).unwrap();
    Router::new()
        .route("/me", get(role).layer(layer))
        .route("/orgs/{org}/me", get(role).layer(of_path))
        .route_service("/webhooks", service(world))
}

async fn role(session: ClerkSession) -> String {
    let organization = session.organization();
    organization.map_or("personal", |it| it.role().unwrap()).to_owned()
}
