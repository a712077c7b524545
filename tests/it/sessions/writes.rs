//! A slow device store, such as one on a disk. A sign-in writes its device without holding the lock that mints,
//! revocations and some hits take.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use tower_clerk::ClerkBuilder;
use tower_clerk::store::{DeviceStore, KnownDevice, MemoryDevices};

use crate::common::{BOB, CAROL, JANE, World, session, warm_up};
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

/// The longest that unrelated work may take during a write, in real time.
const LONG: Duration = Duration::from_secs(2);

/// The longest that a write is held, so that a failing test still ends.
const LONGEST: Duration = Duration::from_secs(30);

/// Holds writes until it is opened.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    changed: Condvar,
    arrived: Mutex<Option<mpsc::Sender<()>>>,
}

impl Gate {
    fn shut(&self) -> mpsc::Receiver<()> {
        let (arrived, has_arrived) = mpsc::channel();
        *self.arrived.lock().unwrap() = Some(arrived);
        *self.is_shut.lock().unwrap() = true;
        has_arrived
    }

    fn open(&self) {
        *self.is_shut.lock().unwrap() = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let is_shut = self.is_shut.lock().unwrap();
        if *is_shut && let Some(arrived) = &*self.arrived.lock().unwrap() {
            _ = arrived.send(());
        }
        drop(self.changed.wait_timeout_while(is_shut, LONGEST, |is_shut| *is_shut).unwrap());
    }
}

/// A store whose writes pass a gate.
struct Slow {
    known: MemoryDevices,
    gate: Arc<Gate>,
}

impl DeviceStore for Slow {
    fn get(&self, identifier: &str) -> Option<KnownDevice> {
        self.known.get(identifier)
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        self.gate.pass();
        self.known.put(identifier, device);
    }

    fn remove(&self, identifier: &str) {
        self.known.remove(identifier);
    }

    fn remove_user(&self, user_id: &str) {
        self.known.remove_user(user_id);
    }

    fn clear(&self) {
        self.known.clear();
    }
}

/// Opens the gate even if the test panics. Otherwise the runtime would wait for the blocked write when it is dropped.
struct OpenOnDrop(Arc<Gate>);

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Signs in Jane, with a token for `acme` too, and Bob. Returns the gate of the store as well.
async fn world() -> (World, OpenOnDrop) {
    let gate = Arc::<Gate>::default();
    let store = Slow { known: MemoryDevices::default(), gate: Arc::clone(&gate) };
    let engine = |engine: ClerkBuilder| engine.unlimited_sign_ins().device_store(store);
    let world = World::with(FakeClerkBuilder::no_rate_limit, engine);
    warm_up(&world.fake).await;
    for response in [world.get(JANE).await, world.get_for(JANE, "acme").await, world.get(BOB).await] {
        assert_eq!(response.status(), 200, "both are signed in");
    }
    (world, OpenOnDrop(gate))
}

/// Runs `work` while the store writes the device of Carol's sign-in. Returns whether `work` finished during the write,
/// and its output.
async fn ends_meanwhile<T: Send + 'static>(
    world: &World,
    OpenOnDrop(gate): &OpenOnDrop,
    work: impl Future<Output = T> + Send + 'static,
) -> (bool, T) {
    let arrived = gate.shut();
    let carol = {
        let world = world.clone();
        tokio::spawn(async move { world.get(CAROL).await.status() })
    };
    arrived.recv_timeout(LONGEST).expect("the store is writing");
    let mut work = tokio::spawn(work);
    let ended = tokio::time::timeout(LONG, &mut work).await;
    gate.open();
    let (in_time, outcome) = match ended {
        Ok(outcome) => (true, outcome),
        Err(_) => (false, work.await),
    };
    _ = carol.await.unwrap();
    (in_time, outcome.unwrap())
}

/// A mint stores its token under that lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s10_a_device_store_write_delays_no_mint() {
    let (world, gate) = world().await;
    let minting = world.clone();
    let mint = async move { minting.get_for(JANE, "globex").await.status() };
    let (in_time, status) = ends_meanwhile(&world, &gate, mint).await;
    assert!(in_time, "a mint waited for a write of the device store: {status}");
    assert_eq!(status, 200);
}

/// A revocation takes that lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k9_a_device_store_write_delays_no_revocation() {
    let (world, gate) = world().await;
    let bob = session(&world.get(BOB).await).session_id().to_owned();
    let clerk = world.clerk.clone();
    let revocation = async move { clerk.revoke_session(&bob) };
    let (in_time, ()) = ends_meanwhile(&world, &gate, revocation).await;
    assert!(in_time, "a revocation waited for a write of the device store");
}

/// A hit for an organization takes that lock once any organization has been revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s10_a_device_store_write_delays_no_hit() {
    let (world, gate) = world().await;
    world.clerk.revoke_organization("org_that_is_not_asked_for");
    let calls = world.fake.count(Endpoint::Any);
    let hitting = world.clone();
    let hit = async move { hitting.get_for(JANE, "acme").await.status() };
    let (in_time, status) = ends_meanwhile(&world, &gate, hit).await;
    // The one extra call is Carol's sign-in.
    assert_eq!((status.as_u16(), world.fake.count(Endpoint::Any)), (200, calls + 1), "it is a hit");
    assert!(in_time, "a hit waited for a write of the device store");
}
