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

/// Departs, and is answered after so long.
async fn sign_in(
    limiter: &Arc<SignInLimiter>,
    request: PermitRequest,
    takes: Duration,
) -> Result<Instant, NoPermit> {
    let mut permit = limiter.permit(request).await?;
    permit.start();
    let started = Instant::now();
    tokio::time::sleep(takes).await;
    Ok(started)
}

fn spawn(limiter: &Arc<SignInLimiter>, request: PermitRequest) -> JoinHandle<Result<Duration, NoPermit>> {
    let (limiter, came) = (Arc::clone(limiter), Instant::now());
    tokio::spawn(async move { Ok(sign_in(&limiter, request, Duration::ZERO).await? - came) })
}

async fn commit() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Spends all that an engine without trusted credentials has.
async fn spend(limiter: &Arc<SignInLimiter>, count: usize) {
    for at in 0..count {
        sign_in(limiter, request(Share::Untrusted, format!("spender {at}")), Duration::ZERO).await.unwrap();
    }
}

/// The most instants in any window that holds its start and not its end.
fn most_in_window(mut at: Vec<Duration>) -> usize {
    at.sort_unstable();
    at.iter()
        .map(|from| at.iter().filter(|to| *to >= from && **to < *from + WINDOW).count())
        .max()
        .unwrap_or(0)
}

proptest! {
    /// Whenever they come and however long Clerk takes: counted at the start, at the answer or anywhere between, no
    /// window holds more than the budget.
    #[test]
    fn p1_no_window_holds_more_than_the_budget(
        limit in 1_u32..7,
        trusted in 0_u64..5,
        // When it comes, how long Clerk takes, where in between Clerk counts, which share, whose.
        comers in proptest::collection::vec(
            (0_u64..60_000, 0_u64..6_000, 0_u64..101, any::<bool>(), 0_u8..20, 0_u64..3), 1..60
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (counted, refused, count) = runtime.block_on(async {
            let (limiter, start) = (limiter(limit), Instant::now());
            limiter.set_trusted(trusted);
            let count = comers.len();
            let tasks: Vec<_> = comers
                .into_iter()
                .map(|(comes, takes, part, is_proven, name, source)| {
                    let limiter = Arc::clone(&limiter);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(comes)).await;
                        let share = if is_proven { Share::Trusted } else { Share::Untrusted };
                        let request = PermitRequest { share, identifier: id(name), source: Some(source), renewal: None };
                        let came = Instant::now();
                        let takes = Duration::from_millis(takes);
                        let started = sign_in(&limiter, request, takes).await.ok()?;
                        assert!(started - came <= WINDOW, "it waited too long");
                        Some(started - start + takes * u32::try_from(part).unwrap() / 100)
                    })
                })
                .collect();
            let mut counted = Vec::new();
            for task in tasks {
                counted.extend(task.await.unwrap());
            }
            tokio::time::sleep(WINDOW).await;
            let is_idle = limiter.change_policy(false, |queue| queue.is_idle(Instant::now()));
            assert!(is_idle && !limiter.is_driven(), "all is put back");
            let refused = count - counted.len();
            (counted, refused, count)
        });
        prop_assert_eq!(counted.len() + refused, count);
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
    // Nor does one that is dropped by whom it was granted to while another waits.
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
    commit().await;
    tokio::time::advance(6 * SECOND).await;
    let started = sign_in(&limiter, request(Share::Untrusted, "bob"), Duration::ZERO).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(started - start, 6 * SECOND + WINDOW, "it was answered when it was next looked at, 6 s on");
}

#[tokio::test(start_paused = true)]
async fn p1_a_waiter_that_leaves_takes_no_turn_along() {
    let limiter = limiter(1);
    spend(&limiter, 1).await;
    let leaves = spawn(&limiter, request(Share::Untrusted, "jane"));
    commit().await;
    leaves.abort();
    commit().await;
    assert_eq!(limiter.waiting(), 0);
    assert_eq!(spawn(&limiter, request(Share::Untrusted, "bob")).await.unwrap(), Ok(WINDOW));
}

#[tokio::test(start_paused = true)]
async fn p1_a_full_queue_sends_away_and_keeps_a_place_for_the_proven() {
    let clock = Clock::system();
    let limiter =
        SignInLimiter::new(Budget { sign_ins: Some((2, WINDOW)), wait: 6 * WINDOW, queue: 3 }, clock);
    limiter.set_trusted(100);
    spend(&limiter, 1).await;
    let waiting: Vec<_> = (0..3).map(|at| spawn(&limiter, request(Share::Untrusted, at))).collect();
    commit().await;
    assert!(spawn(&limiter, request(Share::Untrusted, "late")).await.unwrap().is_err());
    assert_eq!(spawn(&limiter, request(Share::Trusted, "jane")).await.unwrap(), Ok(Duration::ZERO));
    for waits in waiting {
        assert!(waits.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn k12_a_renewal_waits_as_long_as_there_is_time_and_goes_after_requests() {
    let limiter = limiter(1);
    spend(&limiter, 1).await;
    let renewal = |name| PermitRequest { renewal: Some(6 * WINDOW), ..request(Share::Trusted, name) };
    let renewals: Vec<_> = (0..3).map(|at| spawn(&limiter, renewal(at))).collect();
    commit().await;
    assert_eq!(spawn(&limiter, request(Share::Trusted, "jane")).await.unwrap(), Ok(WINDOW));
    for (at, waits) in (2..).zip(renewals) {
        assert_eq!(waits.await.unwrap(), Ok(at * WINDOW));
    }
}

#[tokio::test(start_paused = true)]
async fn p1_in_a_full_queue_the_newest_of_the_greediest_source_gives_way() {
    let clock = Clock::system();
    let limiter =
        SignInLimiter::new(Budget { sign_ins: Some((2, WINDOW)), wait: 6 * WINDOW, queue: 3 }, clock);
    spend(&limiter, 2).await;
    let greedy: Vec<_> = (0..3).map(|at| spawn(&limiter, from(1, at))).collect();
    commit().await;
    let other = spawn(&limiter, from(2, "bob"));
    assert!(other.await.unwrap().is_ok());
    let mut let_through = Vec::new();
    for waits in greedy {
        let_through.push(waits.await.unwrap().is_ok());
    }
    assert_eq!(let_through, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn p1_a_sign_in_that_could_not_start_in_time_is_told_so_at_once() {
    let limiter = limiter(5);
    spend(&limiter, 5).await;
    let waiting: Vec<_> = (0..5).map(|at| spawn(&limiter, request(Share::Untrusted, at))).collect();
    commit().await;
    let start = Instant::now();
    let told = limiter.permit(request(Share::Untrusted, "late")).await.unwrap_err();
    assert_eq!((told, start.elapsed()), (NoPermit { earliest: 2 * WINDOW }, Duration::ZERO));
    for waits in waiting {
        assert_eq!(waits.await.unwrap(), Ok(WINDOW));
    }
    // The time that it was told is right.
    tokio::time::sleep_until(start + 2 * WINDOW).await;
    assert_eq!(spawn(&limiter, request(Share::Untrusted, "late")).await.unwrap(), Ok(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn p2_no_sign_in_starts_in_a_pause_and_only_the_end_of_a_short_one_is_waited_for() {
    let limiter = limiter(5);
    limiter.rate_limited(Some(7 * SECOND));
    // A shorter one changes nothing.
    limiter.rate_limited(Some(SECOND));
    let told = limiter.permit(request(Share::Trusted, "jane")).await.unwrap_err();
    assert_eq!(told.earliest, 7 * SECOND);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(spawn(&limiter, request(Share::Trusted, "jane")).await.unwrap(), Ok(2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn p2_a_pause_that_comes_while_a_sign_in_waits_holds() {
    let limiter = limiter(1);
    spend(&limiter, 1).await;
    let waits = spawn(&limiter, request(Share::Untrusted, "jane"));
    commit().await;
    limiter.rate_limited(Some(60 * SECOND));
    let NoPermit { earliest } = waits.await.unwrap().unwrap_err();
    assert_eq!(earliest, 60 * SECOND, "it was told at once");
}

#[tokio::test(start_paused = true)]
async fn k13_the_proven_have_three_of_five_whatever_the_others_do() {
    let limiter = limiter(5);
    limiter.set_trusted(100);
    let flood: Vec<_> = (0..20).map(|at| spawn(&limiter, request(Share::Untrusted, at))).collect();
    commit().await;
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
    // Two at once, and the turns that came back within their wait and that no trusted one took.
    assert!((2..=4).contains(&let_through), "{let_through}");
}

#[tokio::test(start_paused = true)]
async fn k13_no_more_is_reserved_than_there_are_proven_credentials() {
    for (trusted, free) in [(0, 5), (1, 4), (2, 3), (3, 2), (1000, 2)] {
        let limiter = limiter(5);
        limiter.set_trusted(trusted);
        let went = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..10)
            .map(|at| {
                let (limiter, went) = (Arc::clone(&limiter), Arc::clone(&went));
                tokio::spawn(async move {
                    sign_in(&limiter, request(Share::Untrusted, at), Duration::ZERO).await.inspect(|_| {
                        went.fetch_add(1, Ordering::Relaxed);
                    })
                })
            })
            .collect();
        commit().await;
        assert_eq!(went.load(Ordering::Relaxed), free, "{trusted} trusted credentials");
        tasks.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test(start_paused = true)]
async fn k13_a_sign_in_that_turns_out_right_leaves_its_place_to_the_next() {
    let limiter = limiter(5);
    limiter.set_trusted(1000);
    let start = Instant::now();
    for at in 0..5 {
        let mut permit = limiter.permit(request(Share::Untrusted, at)).await.unwrap();
        permit.start();
        permit.proved();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "a cold start of honest users has the whole budget");
}

#[tokio::test(start_paused = true)]
async fn k8_one_of_an_identifier_at_a_time_and_others_pass_it_by() {
    let limiter = limiter(5);
    let mut permit = limiter.permit(request(Share::Untrusted, "jane")).await.unwrap();
    permit.start();
    let again = spawn(&limiter, request(Share::Trusted, "jane"));
    commit().await;
    assert_eq!(spawn(&limiter, request(Share::Untrusted, "bob")).await.unwrap(), Ok(Duration::ZERO));
    tokio::time::advance(3 * SECOND).await;
    assert_eq!(limiter.waiting(), 1);
    drop(permit);
    assert_eq!(again.await.unwrap(), Ok(3 * SECOND));
}

/// Who goes in which order, by name, where one permit comes back after another.
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
        commit().await;
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
async fn p1_turns_go_round_between_identifiers() {
    let limiter = patient(1);
    spend(&limiter, 1).await;
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
async fn p1_turns_go_round_between_sources_whatever_names_they_use() {
    let limiter = patient(1);
    spend(&limiter, 1).await;
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
async fn k13_the_proven_go_before_all_others_in_the_order_they_came() {
    let limiter = patient(1);
    spend(&limiter, 1).await;
    let requests = [
        ("untrusted", request(Share::Untrusted, "a")),
        ("first", request(Share::Trusted, "b")),
        ("second", request(Share::Trusted, "c")),
    ];
    assert_eq!(order(&limiter, &requests).await, ["first", "second", "untrusted"]);
}

/// A crowd from one source fills the time that one may wait; others are let into the queue all the same.
#[tokio::test(start_paused = true)]
async fn p1_a_crowd_from_one_source_keeps_no_other_from_waiting() {
    let limiter = limiter(5);
    let crowd: Vec<_> = (0..50).map(|at| spawn(&limiter, from(1, at))).collect();
    commit().await;
    assert!(spawn(&limiter, from(1, "one more")).await.unwrap().is_err());
    assert_eq!(spawn(&limiter, from(2, "another's")).await.unwrap(), Ok(WINDOW));
    let mut through = 0;
    for one in crowd {
        through += usize::from(one.await.unwrap().is_ok());
    }
    assert_eq!(through, 9, "of the five turns after the first window one was another's");
}

#[tokio::test(start_paused = true)]
async fn k7_turns_that_were_had_are_forgotten_also_under_a_flood() {
    let limiter = patient(100);
    spend(&limiter, 100).await;
    let tasks: Vec<_> = (0..2_000).map(|at| spawn(&limiter, from(at / 10, at))).collect();
    for _ in 0..12 {
        tokio::time::sleep(WINDOW).await;
        let remembered = limiter.change_policy(false, |queue| queue.remembered());
        assert!(remembered <= 8 * limiter.waiting().max(128) + 2);
    }
    for task in tasks {
        _ = task.await.unwrap();
    }
    tokio::time::sleep(WINDOW).await;
    assert!(limiter.change_policy(false, |queue| queue.is_idle(Instant::now())));
}
