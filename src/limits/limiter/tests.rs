//! The limiter on runtimes that end, shut down or don't exist. These tests use real time and real threads, so that a
//! deadlock fails a test after [`BOUND`] instead of hanging it.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::key::KeySecret;
use crate::limits::{Budget, CallLimiter, PermitRequest, Share, SignInLimiter, Urgency};

const WINDOW: Duration = Duration::from_millis(100);

/// Each test must finish within this. A sign-in without a permit waits longer, and a call to the Backend API times out.
const BOUND: Duration = Duration::from_secs(20);

/// Waits for a permit and makes the call. Returns whether there was a permit.
type Call = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Makes calls under a limit of one per window.
#[derive(Clone)]
struct Calls {
    call: Arc<dyn Fn() -> Call + Send + Sync>,
    waiting: Arc<dyn Fn() -> usize + Send + Sync>,
    close: Arc<dyn Fn() + Send + Sync>,
}

impl Calls {
    fn of<P: Policy>(
        limiter: &Arc<Limiter<P>>,
        request: impl Fn() -> P::Request + Send + Sync + 'static,
    ) -> Self {
        let [calls, waits, closes] = [limiter; 3].map(Arc::clone);
        Self {
            call: Arc::new(move || {
                let (limiter, request) = (Arc::clone(&calls), request());
                Box::pin(
                    async move { limiter.own_permit(request).await.map(|mut permit| permit.start()).is_ok() },
                )
            }),
            waiting: Arc::new(move || waits.waiting()),
            close: Arc::new(move || closes.close()),
        }
    }

    fn sign_ins() -> Self {
        let budget = Budget { sign_ins: Some((1, WINDOW)), wait: 3 * BOUND, queue: 1024 };
        let (limiter, names) = (SignInLimiter::new(budget, Clock::system()), AtomicU64::new(0));
        Self::of(&limiter, move || sign_in(&names.fetch_add(1, Ordering::Relaxed).to_string()))
    }

    fn backend() -> Self {
        Self::of(&CallLimiter::new((1, WINDOW), None, Clock::system()), || Urgency::Proof)
    }

    fn call(&self) -> Call {
        (self.call)()
    }

    /// Makes a call on a new runtime.
    fn make(&self) {
        assert!(runtime().block_on(self.call()), "the call has a permit");
    }
}

fn sign_in(name: &str) -> PermitRequest {
    let identifier = KeySecret::from([7; 32]).identifier(name);
    PermitRequest { share: Share::Untrusted, identifier, source: None, renewal: None }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Runs a test for both limiters after their limit is used up.
fn for_both(test: fn(&Calls)) {
    let (done, all) = mpsc::channel();
    for calls in [Calls::sign_ins(), Calls::backend()] {
        let done = done.clone();
        thread::spawn(move || {
            calls.make();
            test(&calls);
            done.send(()).unwrap();
        });
    }
    drop(done);
    for _ in 0..2 {
        all.recv_timeout(BOUND).expect("no thread has deadlocked or panicked");
    }
}

fn poll_once<T>(future: &mut Pin<Box<impl Future<Output = T> + ?Sized>>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a call once on the current thread, and drops it. It may panic, as timers do without a runtime, but not under
/// the lock.
fn poll_and_drop(mut call: Call) {
    let poll = || poll_once(&mut call).is_ready();
    _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll));
}

/// Polls a call `polls` times on a runtime, which runs its other tasks in between.
fn poll_on(runtime: &Runtime, call: &mut Call, mut polls: usize) {
    runtime.block_on(poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        polls -= 1;
        if polls == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
}

#[test]
fn p1_a_task_dropped_inside_spawn_does_not_deadlock() {
    for_both(|calls| {
        let closed = runtime().handle().clone();
        let entered = closed.enter();
        poll_and_drop(calls.call());
        drop(entered);
        calls.make();
    });
}

#[test]
fn p1_a_call_on_a_runtime_that_shuts_down_does_not_deadlock() {
    for_both(|calls| {
        let closing = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let (begun, begin) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let call = calls.call();
        closing.spawn(async move {
            begun.send(()).unwrap();
            // Wait until the runtime refuses tasks.
            while !tokio::spawn(pending::<()>()).is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            poll_and_drop(call);
            ended.send(()).unwrap();
        });
        begin.recv().unwrap();
        closing.shutdown_background();
        end.recv().unwrap();
        calls.make();
    });
}

#[test]
fn p1_a_call_without_a_runtime_gets_no_permit_and_does_not_deadlock() {
    for_both(|calls| {
        let polled = poll_once(&mut calls.call());
        assert_eq!(polled, Poll::Ready(false));
        calls.make();
    });
}

#[test]
fn p1_a_free_permit_needs_no_runtime() {
    for_both(|calls| {
        thread::sleep(2 * WINDOW);
        let polled = poll_once(&mut calls.call());
        assert_eq!(polled, Poll::Ready(true));
    });
}

/// The runtime ends before the task runs, or while it waits for the end of the window.
#[test]
fn p1_the_limit_works_on_a_new_runtime_after_the_old_one_ends() {
    for_both(|calls| {
        for polls in 1..4 {
            let (ending, mut call) = (runtime(), calls.call());
            poll_on(&ending, &mut call, polls);
            drop(call);
            drop(ending);
            calls.make();
        }
    });
}

/// While a sign-in is under way, the task waits only for that to finish.
#[test]
fn p1_the_limit_works_after_its_runtime_ends_while_a_sign_in_is_under_way() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let budget = Budget { sign_ins: Some((1, WINDOW)), wait: 3 * BOUND, queue: 1024 };
        let limiter = SignInLimiter::new(budget, Clock::system());
        let mut under_way = runtime().block_on(limiter.permit(sign_in("ada"))).unwrap();
        under_way.start();
        let ending = runtime();
        let of_ending = Arc::clone(&limiter);
        let mut waits: Call = Box::pin(async move { of_ending.permit(sign_in("bob")).await.is_ok() });
        poll_on(&ending, &mut waits, 3);
        assert!(limiter.is_driven());
        let next = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || runtime().block_on(limiter.permit(sign_in("carol"))).is_ok()
        });
        while limiter.waiting() < 2 {
            thread::sleep(Duration::from_millis(1));
        }
        drop(waits);
        drop(ending);
        drop(under_way);
        done.send(next.join().unwrap()).unwrap();
    });
    assert_eq!(wait.recv_timeout(BOUND), Ok(true));
}

#[test]
fn p1_a_waiting_call_takes_over_from_a_runtime_that_ends() {
    for_both(|calls| {
        for polls in 1..4 {
            let (ending, mut call) = (runtime(), calls.call());
            poll_on(&ending, &mut call, polls);
            let waits = thread::spawn({
                let calls = calls.clone();
                move || calls.make()
            });
            thread::sleep(WINDOW / 4);
            drop(call);
            drop(ending);
            waits.join().unwrap();
        }
    });
}

#[test]
fn p1_calls_get_their_permits_while_runtimes_come_and_go() {
    for_both(|calls| {
        let threads: Vec<_> = (0..4)
            .map(|at| {
                let calls = calls.clone();
                thread::spawn(move || {
                    for polls in 1..4 {
                        let (ending, mut call) = (runtime(), calls.call());
                        let polled = ending.block_on(async {
                            for _ in 0..(polls + at) % 4 {
                                tokio::task::yield_now().await;
                            }
                            poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await
                        });
                        drop(call);
                        drop(ending);
                        if polled.is_pending() {
                            calls.make();
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        calls.make();
    });
}

/// A waker that runs a hook once.
struct Hook(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for Hook {
    fn wake(self: Arc<Self>) {
        let hook = lock(&self.0).take();
        hook.into_iter().for_each(|hook| hook());
    }
}

fn on_wake(hook: impl FnOnce() + Send + 'static) -> Waker {
    Arc::new(Hook(Mutex::new(Some(Box::new(hook))))).into()
}

#[test]
fn p1_a_waker_may_call_the_limiter() {
    for_both(|calls| {
        let (woken, wakes) = mpsc::channel();
        let reads_waiting = || {
            let (waiting, woken) = (Arc::clone(&calls.waiting), woken.clone());
            on_wake(move || woken.send(waiting()).unwrap())
        };
        // The tasks of this runtime never run, so only joining calls grant permits.
        let runtime = runtime();
        let _entered = runtime.enter();
        let mut first = calls.call();
        assert!(first.as_mut().poll(&mut Context::from_waker(&reads_waiting())).is_pending());
        thread::sleep(2 * WINDOW);
        let mut second = calls.call();
        assert!(second.as_mut().poll(&mut Context::from_waker(&reads_waiting())).is_pending());
        assert_eq!(wakes.try_recv(), Ok(1), "the first has its permit");
        assert_eq!(poll_once(&mut first), Poll::Ready(true));
        (calls.close)();
        assert_eq!(wakes.try_recv(), Ok(0), "the second has been removed");
        assert_eq!(poll_once(&mut second), Poll::Ready(false));
    });
}

#[test]
fn p1_an_undelivered_permit_goes_to_the_next_request() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let budget = Budget { sign_ins: Some((2, WINDOW)), wait: 3 * BOUND, queue: 1024 };
        let limiter = SignInLimiter::new(budget, Clock::system());
        let permit = |name| {
            let (limiter, request) = (Arc::clone(&limiter), sign_in(name));
            Box::pin(async move { limiter.permit(request).await.unwrap() })
        };
        let runtime = runtime();
        ["ada", "bob"].into_iter().for_each(|name| runtime.block_on(permit(name)).start());
        let entered = runtime.enter();
        // Both get a permit at once. The waker of the first drops the second before the second permit is sent.
        let (mut first, second) = (permit("carol"), Arc::new(Mutex::new(Some(permit("dan")))));
        let drops = Arc::clone(&second);
        let waker = on_wake(move || *lock(&drops) = None);
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let poll = |second: &mut Pin<Box<_>>| poll_once(second).is_pending();
        assert!(lock(&second).as_mut().is_some_and(poll));
        thread::sleep(2 * WINDOW);
        let mut third = permit("eve");
        assert!(poll_once(&mut third).is_pending());
        assert!(lock(&second).is_none());
        // This permit is not given back, so the third request can only get that of the second.
        let Poll::Ready(_first) = poll_once(&mut first) else { panic!("the first has its permit") };
        drop(entered);
        drop(runtime.block_on(third));
        done.send(()).unwrap();
    });
    wait.recv_timeout(BOUND).expect("the thread has not deadlocked or panicked");
}
