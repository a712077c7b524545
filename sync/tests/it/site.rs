//! A stand-in, a mirror and a client on one clock that the test drives.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::{Request, StatusCode};
use tower::ServiceExt as _;
use tower_clerk::Clock;
use tower_clerk::backend::BackendClient;
use tower_clerk::testing::{FakeClerk, FakeClerkBuilder, WebhookEndpoint, WebhookSecret};
use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};
use tower_clerk_sync::{Backfill, Mirror, Progress, Reconcile, ReconcileMode, ReconcileReport};

/// The time that passes for each step of [`Site::drive`].
const STEP: Duration = Duration::from_millis(1);

/// The real time that a step waits for the database.
const REAL_STEP: Duration = Duration::from_micros(200);

pub(crate) struct Site {
    pub(crate) fake: FakeClerk,
    pub(crate) clock: Clock,
    pub(crate) mirror: Mirror,
    pub(crate) client: BackendClient,
    /// Milliseconds that are to pass at once, since a run waits for them and for nothing else.
    skip: Arc<AtomicU64>,
}

impl Site {
    /// An empty instance, whose events come to the mirror.
    pub(crate) async fn new(url: &str, host: &str) -> Self {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
        Self::with(url, clock, FakeClerk::builder().empty().no_rate_limit().host(host)).await
    }

    pub(crate) async fn with(url: &str, clock: Clock, fake: FakeClerkBuilder) -> Self {
        let fake = fake.clock(clock).build();
        let client = client(&fake, clock);
        let skip = Arc::<AtomicU64>::default();
        let opened = async {
            let instance = client.instance().await.unwrap().value.id;
            // Of this clock, which a busy machine's database doesn't keep up with.
            let mirror = Mirror::builder(url).instance(instance).clock(clock).max_connections(4);
            mirror.acquire_timeout(Duration::from_secs(24 * 60 * 60)).connect().await.unwrap()
        };
        let mirror = driven(&skip, opened).await;
        let secret = WebhookSecret::random();
        let secrets = WebhookSecrets::parse(secret.expose()).unwrap();
        let service = ClerkWebhookService::without_engine(secrets).clock(clock).sink(mirror.clone());
        fake.add_webhook(WebhookEndpoint::in_process(secret, move |request: Request<_>| {
            let service = service.clone();
            async move {
                let answer = service.oneshot(request.map(http_body_util::Full::new)).await;
                answer.map_or(StatusCode::INTERNAL_SERVER_ERROR, |answer| answer.status())
            }
        }));
        Self { fake, clock, mirror, client, skip }
    }

    /// Runs a future to its end while time passes.
    pub(crate) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        driven(&self.skip, work).await
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    pub(crate) async fn backfill(&self) {
        self.drive(Backfill::new(self.mirror.clone(), self.client.clone()).page_size(5).run()).await.unwrap();
    }

    /// A run that tells the clock when it waits.
    pub(crate) fn reconcile(&self, mode: ReconcileMode) -> Reconcile {
        let skip = Arc::clone(&self.skip);
        Reconcile::new(self.mirror.clone(), self.client.clone()).mode(mode).page_size(5).on_progress(
            move |step| {
                if let Progress::Waiting { time } = step {
                    skip.store(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
                }
            },
        )
    }

    pub(crate) async fn report(&self) -> ReconcileReport {
        self.drive(self.reconcile(ReconcileMode::Report).run()).await.unwrap()
    }

    pub(crate) async fn repair(&self) -> ReconcileReport {
        self.drive(self.reconcile(ReconcileMode::Repair).run()).await.unwrap()
    }
}

/// A client without limits, which calls the stand-in in process.
pub(crate) fn client(fake: &FakeClerk, clock: Clock) -> BackendClient {
    BackendClient::builder(fake.secret_key())
        .backend_url(fake.backend_url())
        .transport(fake.clone())
        .clock(clock)
        .backend_rate(1_000_000, Duration::from_secs(1))
        .list_rate(1_000_000, Duration::from_secs(1))
        .build()
        .unwrap()
}

/// Runs a future on the paused clock.
///
/// A paused clock jumps to the next timer whenever nothing is to do, also while a task waits for the database: the timeouts of the
/// pool would run out at once. A blocking task keeps it from that, and time passes in small steps instead.
async fn driven<T>(skip: &AtomicU64, work: impl Future<Output = T>) -> T {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let keeper = tokio::task::spawn_blocking(move || ended.recv());
    let mut work = pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            () = step(skip) => {}
        }
    };
    drop(end);
    _ = keeper.await;
    done
}

async fn step(skip: &AtomicU64) {
    tokio::task::spawn_blocking(|| std::thread::sleep(REAL_STEP)).await.unwrap();
    let at_once = skip.load(Ordering::Relaxed).min(1_000);
    skip.fetch_sub(at_once, Ordering::Relaxed);
    tokio::time::advance(STEP + Duration::from_millis(at_once)).await;
}
