//! A store of devices that takes its time to write, as a disk does: a sign-in hands its device over outside the lock that
//! mints, revocations and some hits take.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use tower_clerk::ClerkBuilder;
use tower_clerk::store::{DeviceStore, KnownDevice, MemoryDevices};

use crate::common::{BOB, CAROL, JANE, World, session, warm_up};
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

/// How long something may wait for a write that is none of its own, in real time.
const LONG: Duration = Duration::from_secs(2);

/// No write is held longer, so that a test which fails ends nevertheless.
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

/// Opens the gate also where a test panics: its runtime ends with the last of its threads.
struct Opened(Arc<Gate>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Jane and Bob are signed in, she for `acme`. Returns the gate of the store.
async fn world() -> (World, Opened) {
    let gate = Arc::<Gate>::default();
    let store = Slow { known: MemoryDevices::default(), gate: Arc::clone(&gate) };
    let engine = |engine: ClerkBuilder| engine.unlimited_sign_ins().device_store(store);
    let world = World::with(FakeClerkBuilder::no_rate_limit, engine);
    warm_up(&world.fake).await;
    for response in [world.get(JANE).await, world.get_for(JANE, "acme").await, world.get(BOB).await] {
        assert_eq!(response.status(), 200, "both are signed in");
    }
    (world, Opened(gate))
}

/// Whether this comes to its end while the store writes what Carol's sign-in has brought.
async fn ends_meanwhile<T: Send + 'static>(
    world: &World,
    Opened(gate): &Opened,
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

/// A token is stored under that lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s10_a_write_of_the_device_store_holds_up_no_mint() {
    let (world, gate) = world().await;
    let minting = world.clone();
    let mint = async move { minting.get_for(JANE, "globex").await.status() };
    let (in_time, status) = ends_meanwhile(&world, &gate, mint).await;
    assert!(in_time, "a mint waited for a write of the device store: {status}");
    assert_eq!(status, 200);
}

/// A revocation is made under that lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k9_a_write_of_the_device_store_holds_up_no_revocation() {
    let (world, gate) = world().await;
    let bob = session(&world.get(BOB).await).session_id().to_owned();
    let clerk = world.clerk.clone();
    let revocation = async move { clerk.revoke_session(&bob) };
    let (in_time, ()) = ends_meanwhile(&world, &gate, revocation).await;
    assert!(in_time, "a revocation waited for a write of the device store");
}

/// A hit for an organization looks under that lock, once any organization was revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s10_a_write_of_the_device_store_holds_up_no_hit() {
    let (world, gate) = world().await;
    world.clerk.revoke_organization("org_that_is_not_asked_for");
    let calls = world.fake.count(Endpoint::Any);
    let hitting = world.clone();
    let hit = async move { hitting.get_for(JANE, "acme").await.status() };
    let (in_time, status) = ends_meanwhile(&world, &gate, hit).await;
    // The other one is Carol's sign-in.
    assert_eq!((status.as_u16(), world.fake.count(Endpoint::Any)), (200, calls + 1), "it is a hit");
    assert!(in_time, "a hit waited for a write of the device store");
}
