//! A stand-in whose webhooks go to a mirror, in process.

use std::sync::Arc;

use bytes::Bytes;
use fake_clerk::{FakeClerk, WebhookEndpoint, WebhookSecret};
use http::{Request, StatusCode};
use http_body_util::Full;
use sqlx::{AnyPool, AssertSqlSafe, Row as _};
use tower::ServiceExt as _;
use tower_clerk::testing;
use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};
use tower_clerk_sync::Mirror;

/// A secret of a webhook endpoint.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The service and the mirror, as an application has them.
pub(crate) struct World {
    pub(crate) fake: FakeClerk,
    pub(crate) mirror: Mirror,
    pub(crate) service: Arc<ClerkWebhookService>,
}

impl World {
    /// A stand-in without accounts, and an empty mirror.
    pub(crate) async fn new(url: &str) -> Self {
        let fake = FakeClerk::builder().empty().no_rate_limit().build();
        let mirror = Mirror::connect(url).await.unwrap();
        Self::of(fake, mirror)
    }

    pub(crate) fn of(fake: FakeClerk, mirror: Mirror) -> Self {
        let clerk = testing::unlimited_builder(&fake).build().unwrap();
        let service =
            ClerkWebhookService::new(clerk, WebhookSecrets::parse(SECRET).unwrap()).sink(mirror.clone());
        let world = Self { fake, mirror, service: Arc::new(service) };
        let service = Arc::clone(&world.service);
        world.fake.add_webhook(WebhookEndpoint::in_process(secret(), move |request| {
            let service = Arc::clone(&service);
            async move { post(&service, request).await }
        }));
        world
    }
}

pub(crate) fn secret() -> WebhookSecret {
    SECRET.parse().unwrap()
}

pub(crate) async fn post(service: &ClerkWebhookService, request: Request<Bytes>) -> StatusCode {
    service.clone().oneshot(request.map(Full::new)).await.unwrap().status()
}

/// The application's own connection.
pub(crate) async fn texts(url: &str, sql: &str) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(url).await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&pool).await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}
