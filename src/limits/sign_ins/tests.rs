use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::key::KeySecret;
use crate::limits::limiter::NoPermit;
use crate::sync::lock;

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(10);

fn limiter(limit: u32) -> Arc<SignInLimiter> {
    SignInLimiter::new(Budget { sign_ins: Some((limit, WINDOW)), wait: WINDOW, queue: 1024 }, Clock::system())
}

fn id(name: impl std::fmt::Display) -> IdentifierKey {
    KeySecret::from([7; 32]).identifier(&name.to_string())
}

fn request(share: Share, name: impl std::fmt::Display) -> PermitRequest {
    PermitRequest { share, identifier: id(name), source: None, renewal: None }
}

fn from(source: u64, name: impl std::fmt::Display) -> PermitRequest {
    PermitRequest { source: Some(source), ..request(Share::Untrusted, name) }
}

/// Waits for a permit, and then makes a sign-in that takes this long. Returns when it started.
async fn sign_in(
    limiter: &Arc<SignInLimiter>,
    request: PermitRequest,
    latency: Duration,
) -> Result<Instant, NoPermit> {
    let mut permit = limiter.permit(request).await?;
    permit.start();
    let started = Instant::now();
    tokio::time::sleep(latency).await;
    Ok(started)
}

fn spawn(limiter: &Arc<SignInLimiter>, request: PermitRequest) -> JoinHandle<Result<Duration, NoPermit>> {
    let (limiter, arrived) = (Arc::clone(limiter), Instant::now());
    tokio::spawn(async move { Ok(sign_in(&limiter, request, Duration::ZERO).await? - arrived) })
}

async fn run_ready_tasks() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Uses `count` permits of the untrusted share.
async fn use_permits(limiter: &Arc<SignInLimiter>, count: usize) {
    for at in 0..count {
        sign_in(limiter, request(Share::Untrusted, format!("filler {at}")), Duration::ZERO).await.unwrap();
    }
}

/// The most instants in any half-open window that begins at one of them.
fn most_in_window(mut at: Vec<Duration>) -> usize {
    at.sort_unstable();
    at.iter()
        .map(|from| at.iter().filter(|to| *to >= from && **to < *from + WINDOW).count())
        .max()
        .unwrap_or(0)
}

proptest! {
    /// Whether Clerk counts a sign-in at its start, at its answer or anywhere in between, no window holds more than the
    /// budget.
    #[test]
    fn p1_no_window_holds_more_than_the_budget(
        limit in 1_u32..7,
        trusted in 0_u64..5,
        // Arrival (ms), latency (ms), when Clerk counts (% of the latency), share, identifier, source.
        arrivals in proptest::collection::vec(
            (0_u64..60_000, 0_u64..6_000, 0_u64..101, any::<bool>(), 0_u8..20, 0_u64..3), 1..60
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (counted, rejected, count) = runtime.block_on(async {
            let (limiter, start) = (limiter(limit), Instant::now());
            limiter.set_trusted(trusted);
            let count = arrivals.len();
            let tasks: Vec<_> = arrivals
                .into_iter()
                .map(|(arrival, latency, part, is_trusted, name, source)| {
                    let limiter = Arc::clone(&limiter);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(arrival)).await;
                        let share = if is_trusted { Share::Trusted } else { Share::Untrusted };
                        let request = PermitRequest { share, ..from(source, name) };
                        let arrived = Instant::now();
                        let latency = Duration::from_millis(latency);
                        let started = sign_in(&limiter, request, latency).await.ok()?;
                        assert!(started - arrived <= WINDOW, "the sign-in waited too long");
                        Some(started - start + latency * u32::try_from(part).unwrap() / 100)
                    })
                })
                .collect();
            let mut counted = Vec::new();
            for task in tasks {
                counted.extend(task.await.unwrap());
            }
            tokio::time::sleep(WINDOW).await;
            let is_idle = limiter.change_policy(false, |queue| queue.is_idle(Instant::now()));
            assert!(is_idle && !limiter.is_driven(), "all permits are back");
            let rejected = count - counted.len();
            (counted, rejected, count)
        });
        prop_assert_eq!(counted.len() + rejected, count);
        prop_assert!(most_in_window(counted) <= limit as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn p1_a_permit_dropped_before_its_start_costs_nothing() {
    let limiter = patient(1);
    for _ in 0..100 {
        drop(limiter.permit(request(Share::Untrusted, "jane")).await.unwrap());
    }
    sign_in(&limiter, request(Share::Untrusted, "jane"), Duration::ZERO).await.unwrap();
    // The same holds if the permit is dropped while another request waits.
    tokio::time::advance(SECOND).await;
    let start = Instant::now();
    let (one, other) = (
        limiter.permit(request(Share::Untrusted, "bob")),
        limiter.permit(request(Share::Untrusted, "carol")),
    );
    let (one, other) = tokio::join!(async { one.await.map(drop) }, other);
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(start.elapsed(), WINDOW - SECOND);
}

#[tokio::test(start_paused = true)]
async fn p1_a_permit_comes_back_a_window_after_the_answer() {
    let limiter = limiter(1);
    let start = Instant::now();
    let first = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { sign_in(&limiter, request(Share::Untrusted, "jane"), 5 * SECOND).await }
    });
    run_ready_tasks().await;
    tokio::time::advance(6 * SECOND).await;
    let started = sign_in(&limiter, request(Share::Untrusted, "bob"), Duration::ZERO).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(started - start, 6 * SECOND + WINDOW, "the first sign-in finished 6 s after its start");
}

#[tokio::test(start_paused = true)]
async fn p1_a_request_that_is_dropped_while_it_waits_uses_no_permit() {
    let limiter = limiter(1);
    use_permits(&limiter, 1).await;
    let dropped = spawn(&limiter, request(Share::Untrusted, "jane"));
    run_ready_tasks().await;
    dropped.abort();
    run_ready_tasks().await;
    assert_eq!(limiter.waiting(), 0);
    assert_eq!(spawn(&limiter, request(Share::Untrusted, "bob")).await.unwrap(), Ok(WINDOW));
}

#[tokio::test(start_paused = true)]
async fn p1_a_full_queue_rejects_but_not_the_trusted() {
    let clock = Clock::system();
    let limiter =
        SignInLimiter::new(Budget { sign_ins: Some((2, WINDOW)), wait: 6 * WINDOW, queue: 3 }, clock);
    limiter.set_trusted(100);
    use_permits(&limiter, 1).await;
    let waiting: Vec<_> = (0..3).map(|at| spawn(&limiter, request(Share::Untrusted, at))).collect();
    run_ready_tasks().await;
    assert!(spawn(&limiter, request(Share::Untrusted, "late")).await.unwrap().is_err());
    assert_eq!(spawn(&limiter, request(Share::Trusted, "jane")).await.unwrap(), Ok(Duration::ZERO));
    for waits in waiting {
        assert!(waits.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn k12_a_renewal_waits_for_as_long_as_it_may_and_starts_after_requests() {
    let limiter = limiter(1);
    use_permits(&limiter, 1).await;
    let renewal = |name| PermitRequest { renewal: Some(6 * WINDOW), ..request(Share::Trusted, name) };
    let renewals: Vec<_> = (0..3).map(|at| spawn(&limiter, renewal(at))).collect();
    run_ready_tasks().await;
    assert_eq!(spawn(&limiter, request(Share::Trusted, "jane")).await.unwrap(), Ok(WINDOW));
    for (at, waits) in (2..).zip(renewals) {
        assert_eq!(waits.await.unwrap(), Ok(at * WINDOW));
    }
}

#[tokio::test(start_paused = true)]
async fn p1_in_a_full_queue_the_newest_request_of_the_busiest_source_makes_room() {
    let clock = Clock::system();
    let limiter =
        SignInLimiter::new(Budget { sign_ins: Some((2, WINDOW)), wait: 6 * WINDOW, queue: 3 }, clock);
    use_permits(&limiter, 2).await;
    let busiest: Vec<_> = (0..3).map(|at| spawn(&limiter, from(1, at))).collect();
    run_ready_tasks().await;
    let other = spawn(&limiter, from(2, "bob"));
    assert!(other.await.unwrap().is_ok());
    let mut let_through = Vec::new();
    for waits in busiest {
        let_through.push(waits.await.unwrap().is_ok());
    }
    assert_eq!(let_through, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn p1_a_sign_in_that_could_not_start_in_time_gets_an_error_at_once() {
    let limiter = limiter(5);
    use_permits(&limiter, 5).await;
    let waiting: Vec<_> = (0..5).map(|at| spawn(&limiter, request(Share::Untrusted, at))).collect();
    run_ready_tasks().await;
    let start = Instant::now();
    let error = limiter.permit(request(Share::Untrusted, "late")).await.unwrap_err();
    assert_eq!((error, start.elapsed()), (NoPermit { earliest: 2 * WINDOW }, Duration::ZERO));
    for waits in waiting {
        assert_eq!(waits.await.unwrap(), Ok(WINDOW));
    }
    // The time in the error is right.
    tokio::time::sleep_until(start + 2 * WINDOW).await;
    assert_eq!(spawn(&limiter, request(Share::Untrusted, "late")).await.unwrap(), Ok(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn p2_no_sign_in_starts_during_a_pause_and_requests_wait_only_for_a_short_one() {
    let limiter = limiter(5);
    limiter.rate_limited(Some(7 * SECOND));
    // A shorter pause changes nothing.
    limiter.rate_limited(Some(SECOND));
    let error = limiter.permit(request(Share::Trusted, "jane")).await.unwrap_err();
    assert_eq!(error.earliest, 7 * SECOND);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(spawn(&limiter, request(Share::Trusted, "jane")).await.unwrap(), Ok(2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn p2_a_pause_applies_to_a_sign_in_that_already_waits() {
    let limiter = limiter(1);
    use_permits(&limiter, 1).await;
    let waits = spawn(&limiter, request(Share::Untrusted, "jane"));
    run_ready_tasks().await;
    limiter.rate_limited(Some(60 * SECOND));
    let NoPermit { earliest } = waits.await.unwrap().unwrap_err();
    assert_eq!(earliest, 60 * SECOND, "the error came at once");
}

#[tokio::test(start_paused = true)]
async fn k13_three_of_five_permits_are_reserved_for_the_trusted_under_a_flood() {
    let limiter = limiter(5);
    limiter.set_trusted(100);
    let flood: Vec<_> = (0..20).map(|at| spawn(&limiter, request(Share::Untrusted, at))).collect();
    run_ready_tasks().await;
    let trusted: Vec<_> =
        (0..4).map(|at| spawn(&limiter, request(Share::Trusted, format!("trusted {at}")))).collect();
    let mut waits = Vec::new();
    for trusted in trusted {
        waits.push(trusted.await.unwrap().unwrap());
    }
    assert_eq!(waits, [Duration::ZERO, Duration::ZERO, Duration::ZERO, WINDOW]);
    let mut let_through = 0;
    for untrusted in flood {
        let_through += usize::from(untrusted.await.unwrap().is_ok());
    }
    // Two at once, and then the permits that came back during the wait and that no trusted request took.
    assert!((2..=4).contains(&let_through), "{let_through}");
}

#[tokio::test(start_paused = true)]
async fn k13_no_more_is_reserved_than_there_are_trusted_credentials() {
    for (trusted, free) in [(0, 5), (1, 4), (2, 3), (3, 2), (1000, 2)] {
        let limiter = limiter(5);
        limiter.set_trusted(trusted);
        let started = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..10)
            .map(|at| {
                let (limiter, started) = (Arc::clone(&limiter), Arc::clone(&started));
                tokio::spawn(async move {
                    sign_in(&limiter, request(Share::Untrusted, at), Duration::ZERO).await.inspect(|_| {
                        started.fetch_add(1, Ordering::Relaxed);
                    })
                })
            })
            .collect();
        run_ready_tasks().await;
        assert_eq!(started.load(Ordering::Relaxed), free, "{trusted} trusted credentials");
        tasks.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test(start_paused = true)]
async fn k13_a_sign_in_that_succeeds_frees_its_untrusted_permit() {
    let limiter = limiter(5);
    limiter.set_trusted(1000);
    let start = Instant::now();
    for at in 0..5 {
        let mut permit = limiter.permit(request(Share::Untrusted, at)).await.unwrap();
        permit.start();
        permit.proved();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "a cold start with correct passwords has the whole budget");
}

#[tokio::test(start_paused = true)]
async fn k8_an_identifier_has_one_sign_in_at_a_time_and_others_overtake_it() {
    let limiter = limiter(5);
    let mut permit = limiter.permit(request(Share::Untrusted, "jane")).await.unwrap();
    permit.start();
    let again = spawn(&limiter, request(Share::Trusted, "jane"));
    run_ready_tasks().await;
    assert_eq!(spawn(&limiter, request(Share::Untrusted, "bob")).await.unwrap(), Ok(Duration::ZERO));
    tokio::time::advance(3 * SECOND).await;
    assert_eq!(limiter.waiting(), 1);
    drop(permit);
    assert_eq!(again.await.unwrap(), Ok(3 * SECOND));
}

/// The names of the requests in the order in which they start, as one permit after another comes back.
async fn order(
    limiter: &Arc<SignInLimiter>,
    requests: &[(&'static str, PermitRequest)],
) -> Vec<&'static str> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for (name, request) in requests {
        let (limiter, order, name, request) = (Arc::clone(limiter), Arc::clone(&order), *name, *request);
        tasks.push(tokio::spawn(async move {
            if sign_in(&limiter, request, Duration::ZERO).await.is_ok() {
                lock(&order).push(name);
            }
        }));
        run_ready_tasks().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let order = lock(&order);
    order.clone()
}

fn patient(limit: u32) -> Arc<SignInLimiter> {
    SignInLimiter::new(
        Budget { sign_ins: Some((limit, WINDOW)), wait: 100 * WINDOW, queue: 1024 },
        Clock::system(),
    )
}

#[tokio::test(start_paused = true)]
async fn p1_identifiers_are_served_round_robin() {
    let limiter = patient(1);
    use_permits(&limiter, 1).await;
    let untrusted = |name| request(Share::Untrusted, name);
    let requests = [
        ("jane 1", untrusted("jane")),
        ("jane 2", untrusted("jane")),
        ("jane 3", untrusted("jane")),
        ("bob", untrusted("bob")),
        ("carol", untrusted("carol")),
    ];
    assert_eq!(order(&limiter, &requests).await, ["jane 1", "bob", "carol", "jane 2", "jane 3"]);
}

#[tokio::test(start_paused = true)]
async fn p1_sources_are_served_round_robin_whatever_identifiers_they_use() {
    let limiter = patient(1);
    use_permits(&limiter, 1).await;
    let requests = [
        ("a1", from(1, "one")),
        ("a2", from(1, "two")),
        ("a3", from(1, "three")),
        ("b1", from(2, "one of two")),
        ("b2", from(2, "two of two")),
        ("none", request(Share::Untrusted, "of no source")),
    ];
    assert_eq!(order(&limiter, &requests).await, ["a1", "b1", "none", "a2", "b2", "a3"]);
}

#[tokio::test(start_paused = true)]
async fn k13_the_trusted_go_before_all_others_in_the_order_they_came() {
    let limiter = patient(1);
    use_permits(&limiter, 1).await;
    let requests = [
        ("untrusted", request(Share::Untrusted, "a")),
        ("first", request(Share::Trusted, "b")),
        ("second", request(Share::Trusted, "c")),
    ];
    assert_eq!(order(&limiter, &requests).await, ["first", "second", "untrusted"]);
}

/// One source has more requests than can start within the wait, but other sources can still join the queue.
#[tokio::test(start_paused = true)]
async fn p1_a_crowd_from_one_source_does_not_shut_out_the_others() {
    let limiter = limiter(5);
    let crowd: Vec<_> = (0..50).map(|at| spawn(&limiter, from(1, at))).collect();
    run_ready_tasks().await;
    assert!(spawn(&limiter, from(1, "one more")).await.unwrap().is_err());
    assert_eq!(spawn(&limiter, from(2, "another's")).await.unwrap(), Ok(WINDOW));
    let mut through = 0;
    for one in crowd {
        through += usize::from(one.await.unwrap().is_ok());
    }
    assert_eq!(through, 9, "one of the five permits after the first window went to the other source");
}

#[tokio::test(start_paused = true)]
async fn k7_the_round_robin_state_is_bounded_even_under_a_flood() {
    let limiter = patient(100);
    use_permits(&limiter, 100).await;
    let tasks: Vec<_> = (0..2_000).map(|at| spawn(&limiter, from(at / 10, at))).collect();
    for _ in 0..12 {
        tokio::time::sleep(WINDOW).await;
        let remembered = limiter.change_policy(false, |queue| queue.round_robin_len());
        assert!(remembered <= 8 * limiter.waiting().max(128) + 2);
    }
    for task in tasks {
        _ = task.await.unwrap();
    }
    tokio::time::sleep(WINDOW).await;
    assert!(limiter.change_policy(false, |queue| queue.is_idle(Instant::now())));
}
