//! Devices that Clerk knows (rule S10).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::common::{JANE, Pair, World, ask, basic, builder, code, session, settle};
use tower_clerk::testing::{Clock, Endpoint, FakeClerk, FakeClerkBuilder, FakeUser, Fault, RetryAfter};
use tower_clerk::{
    Builder, Credentials, DeviceFile, DeviceStore, KnownDevice, MemoryDevices, RejectionKind, StoreErrorKind,
};

const NEWDEVICE: Pair = ("newdevice@example.com", "trust me on a device");
const HOUR: Duration = Duration::from_secs(3600);

/// A store that several engines use in turn, as a file is.
#[derive(Clone, Default)]
struct Shared(Arc<MemoryDevices>);

impl DeviceStore for Shared {
    fn get(&self, identifier: &str) -> Option<KnownDevice> {
        self.0.get(identifier)
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        self.0.put(identifier, device);
    }

    fn remove(&self, identifier: &str) {
        self.0.remove(identifier);
    }

    fn remove_user(&self, user_id: &str) {
        self.0.remove_user(user_id);
    }

    fn clear(&self) {
        self.0.clear();
    }
}

/// An instance, and an engine whose devices are in a store that outlives it.
fn world(devices: &Shared, fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder) -> World {
    World::with(fake, |engine| engine.device_store(devices.clone()))
}

/// The process is killed and started again: nothing is ended, and nothing but the store is left.
fn killed(world: &World, devices: &Shared) -> World {
    let clerk = builder(&world.fake, world.clock).device_store(devices.clone()).build().unwrap();
    World { clock: world.clock, fake: world.fake.clone(), clerk }
}

async fn enroll(world: &World, (identifier, password): Pair) {
    let credentials = Credentials::new(identifier, password).unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    if enrollment.is_done() {
        return;
    }
    let factor = enrollment.factors()[0].clone();
    assert!(factor.is_sent() && factor.sent_to().is_some_and(|to| to.contains('*')), "{factor:?}");
    assert!(!enrollment.has_second_factor());
    enrollment.send_code(&factor).await.unwrap();
    let wrong = enrollment.confirm(&factor, "000000").await.unwrap_err();
    assert_eq!(wrong.kind(), RejectionKind::CredentialsRejected);
    assert!(!enrollment.is_done());
    let sent = world.fake.last_code(identifier).unwrap();
    enrollment.confirm(&factor, &format!(" {sent}\n")).await.unwrap();
    assert!(enrollment.is_done());
}

async fn rest() {
    tokio::time::sleep(Duration::from_secs(30)).await;
}

#[tokio::test(start_paused = true)]
async fn s10_an_unknown_device_is_told_what_to_do_and_gets_in_once_enrolled() {
    let world = world(&Shared::default(), |fake| fake);
    let response = world.get(NEWDEVICE).await;
    assert_eq!(code(&response), "account_action_required");
    rest().await;
    enroll(&world, NEWDEVICE).await;
    assert_eq!(world.fake.live_sessions(), 0, "the session of the enrolment is ended");
    rest().await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::PrepareSecondFactor), 1, "nobody is mailed without being asked");
}

/// However often the account was refused before, and however long that is remembered.
#[tokio::test(start_paused = true)]
async fn k11_a_refusal_for_want_of_a_device_ends_with_the_enrolment() {
    let world = world(&Shared::default(), |fake| fake);
    for _ in 0..200 {
        assert_eq!(code(&world.get(NEWDEVICE).await), "account_action_required");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let asked = world.fake.count(Endpoint::SignIns);
    assert!(asked < 12, "asked {asked} times");
    enroll(&world, NEWDEVICE).await;
    rest().await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    // What is refused for another reason stays refused.
    let expired = ("expired@example.com", "please choose a new one");
    world.fake.clear_log();
    for _ in 0..10 {
        assert_eq!(code(&world.get(expired).await), "account_action_required");
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

/// A file is one process' at a time.
#[tokio::test(start_paused = true)]
async fn s10_two_processes_on_one_device_file_never_end_each_others_sessions() {
    let path = std::env::temp_dir().join(format!("tower-clerk-devices-{}", std::process::id()));
    let file = DeviceFile::open(&path).unwrap();
    let first = World::with(|fake| fake, |engine| engine.device_store(file));
    let refused = DeviceFile::open(&path).unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::InUse, "{refused}");
    let second = killed(&first, &Shared::default());
    for world in [&first, &second] {
        enroll(world, NEWDEVICE).await;
        rest().await;
    }
    for _ in 0..300 {
        assert_eq!(first.get(NEWDEVICE).await.status(), 200);
        assert_eq!(second.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(first.fake.live_sessions(), 2);
    // The first is killed, and started again: the file is free, and has its device.
    drop(first.clerk);
    settle().await;
    let again =
        builder(&second.fake, second.clock).device_store(DeviceFile::open(&path).unwrap()).build().unwrap();
    let again = World { clerk: again, ..second.clone() };
    rest().await;
    assert_eq!(again.get(NEWDEVICE).await.status(), 200);
    assert_eq!(second.get(NEWDEVICE).await.status(), 200);
    drop(again);
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn s10_a_known_device_stays_known_over_proofs_and_ends() {
    let world = world(&Shared::default(), |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    for _ in 0..3 {
        for _ in 0..90 {
            assert_eq!(world.get(NEWDEVICE).await.status(), 200);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        // Long enough for the proof to run out and the session to be ended.
        tokio::time::sleep(3 * HOUR).await;
        assert_eq!(world.fake.live_sessions(), 0);
    }
    assert_eq!(world.fake.count(Endpoint::PrepareSecondFactor), 1);
    tokio::time::sleep(29 * 24 * HOUR).await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200, "within 30 days of its last good sign-in");
    tokio::time::sleep(31 * 24 * HOUR).await;
    assert_eq!(code(&world.get(NEWDEVICE).await), "account_action_required", "and no longer");
}

#[tokio::test(start_paused = true)]
async fn s10_a_killed_process_is_the_same_device_when_it_is_started_again() {
    let devices = Shared::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    let before = first.get(NEWDEVICE).await;
    assert_eq!(before.status(), 200);
    let id = session(&before).session_id().to_owned();
    for _ in 0..3 {
        let again = killed(&first, &devices);
        rest().await;
        let response = again.get(NEWDEVICE).await;
        assert_eq!(response.status(), 200, "{:?}", crate::common::rejection(&response));
        assert_eq!(session(&response).session_id(), id, "the session that was left behind is gone on with");
    }
    assert_eq!(first.fake.live_sessions(), 1);
    assert_eq!(first.fake.count(Endpoint::End), 1, "but that of the enrolment none was ended");
}

#[tokio::test(start_paused = true)]
async fn s10_a_wrong_password_ends_nothing_and_gets_nobody_in() {
    let devices = Shared::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    let wrong = (NEWDEVICE.0, "not it");
    // While the session is live, and after a restart that knows nothing of it.
    for world in [first.clone(), killed(&first, &devices)] {
        rest().await;
        assert_eq!(code(&world.get(wrong).await), "credentials_rejected");
        settle().await;
        assert_eq!(first.fake.live_sessions(), 1);
    }
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s10_another_spelling_of_the_user_shares_the_session_and_does_not_end_it() {
    let devices = Shared::default();
    let world = world(&devices, |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let first = world.get(NEWDEVICE).await;
    let other = world.get(("NewDevice@example.com", NEWDEVICE.1)).await;
    assert_eq!(session(&first).session_id(), session(&other).session_id());
    let credentials = Credentials::new("NewDevice@example.com", NEWDEVICE.1).unwrap();
    // One of the two is let go: the other one's session goes on.
    world.clerk.authenticate(&credentials, &tower_clerk::Access::new()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(50 * 60)).await;
    for _ in 0..40 {
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn s10_two_engines_with_stores_of_their_own_never_end_each_others_sessions() {
    let first = world(&Shared::default(), |fake| fake);
    let second = killed(&first, &Shared::default());
    enroll(&first, NEWDEVICE).await;
    rest().await;
    enroll(&second, NEWDEVICE).await;
    rest().await;
    for _ in 0..200 {
        assert_eq!(first.get(NEWDEVICE).await.status(), 200);
        assert_eq!(second.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(first.fake.live_sessions(), 2);
}

#[tokio::test(start_paused = true)]
async fn s10_a_client_that_clerk_has_forgotten_is_dropped() {
    for device_trust in [false, true] {
        let devices = Shared::default();
        let world = world(&devices, |fake| fake.device_trust(device_trust));
        let device = KnownDevice::new("user_somebody", "eyJhbGciOiJub25lIn0.e30.x", SystemTime::now());
        devices
            .put("jane@example.com", KnownDevice::new("user_x", device.client_token(), world.clock.wall()));
        let response = world.get(JANE).await;
        assert_eq!(code(&response), if device_trust { "account_action_required" } else { "" });
        let kept = devices.get("jane@example.com");
        assert!(kept.is_none_or(|kept| kept.client_token() != device.client_token()));
    }
}

#[tokio::test(start_paused = true)]
async fn s10_an_answer_about_another_user_drops_the_device() {
    let devices = Shared::default();
    let world = world(&devices, |fake| fake);
    assert_eq!(world.get(JANE).await.status(), 200);
    world.clerk.shutdown(Duration::from_secs(5)).await;
    let again = killed(&world, &devices);
    again.fake.change_email("jane", "jane@example.com", "jane@elsewhere.example");
    let other = tower_clerk::testing::FakeUser::new("jane@example.com").password(JANE.1);
    let other = again.fake.add_user(other);
    rest().await;
    assert_eq!(session(&again.get(JANE).await).user_id(), other);
    let kept = devices.get("jane@example.com").unwrap();
    assert_eq!(kept.user_id(), other);
}

#[tokio::test(start_paused = true)]
async fn s10_who_has_an_address_now_does_not_get_the_session_of_who_had_it() {
    let devices = Shared::default();
    let first = world(&devices, FakeClerkBuilder::no_rate_limit);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    first.fake.change_email(NEWDEVICE.0, NEWDEVICE.0, "elsewhere@example.com");
    first.fake.add_user(FakeUser::new(NEWDEVICE.0).device_trust().password("the successor's"));
    for world in [killed(&first, &devices), first] {
        let response = world.get((NEWDEVICE.0, "the successor's")).await;
        assert_eq!(code(&response), "account_action_required", "{}", response.body());
    }
}

/// Of two users one has a name that is the other's number but for what stands between the digits.
const NUMBER: Pair = ("+1 555 555 0123", "the one with the number");
const NAME: Pair = ("1-555-555-0123", "the one with the name");

/// Both users, the device of the one with the number enrolled. Returns that one's id.
async fn number_and_name(world: &World) -> String {
    let about = FakeUser::new("+15555550123").email("number@example.com").device_trust();
    let number = world.fake.add_user(about.password(NUMBER.1));
    world.fake.add_user(FakeUser::new(NAME.0).email("name@example.com").device_trust().password(NAME.1));
    let credentials = Credentials::new(NUMBER.0, NUMBER.1).unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    let factor = enrollment.factors()[0].clone();
    enrollment.send_code(&factor).await.unwrap();
    enrollment.confirm(&factor, &world.fake.last_code(&number).unwrap()).await.unwrap();
    rest().await;
    number
}

#[tokio::test(start_paused = true)]
async fn s10_a_name_that_reads_like_a_number_does_not_get_that_numbers_session() {
    let devices = Shared::default();
    let first = world(&devices, FakeClerkBuilder::no_rate_limit);
    let number = number_and_name(&first).await;
    assert_eq!(session(&first.get(NUMBER).await).user_id(), number);
    rest().await;
    // While a session of ours hangs on the device, and after a restart that knows nothing of it.
    for world in [first.clone(), killed(&first, &devices)] {
        let response = world.get(NAME).await;
        assert_eq!(code(&response), "account_action_required", "{}", response.body());
    }
}

#[tokio::test(start_paused = true)]
async fn s10_a_name_that_reads_like_a_number_takes_no_device_away() {
    let world = world(&Shared::default(), FakeClerkBuilder::no_rate_limit);
    let number = number_and_name(&world).await;
    assert_eq!(code(&world.get(NAME).await), "account_action_required");
    assert_eq!(session(&world.get(NUMBER).await).user_id(), number);
}

/// Wrong codes and passwords of an enrolment are attempts like any other.
#[tokio::test(start_paused = true)]
async fn p3_an_enrolment_is_no_way_to_guess_and_honours_what_clerk_asks_for() {
    let world = World::unlimited();
    for guess in 0..20 {
        let credentials = Credentials::new(JANE.0, format!("guess {guess}")).unwrap();
        world.clerk.enroll(&credentials).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(world.fake.count(Endpoint::SignIns) <= 4, "asked {}", world.fake.count(Endpoint::SignIns));
    let limited = Fault::RateLimited { retry_after: RetryAfter::Seconds(30) };
    world.fake.script(Endpoint::SignIns, limited);
    let credentials = Credentials::new(NEWDEVICE.0, NEWDEVICE.1).unwrap();
    let refused = world.clerk.enroll(&credentials).await.unwrap_err();
    assert_eq!(refused.kind(), RejectionKind::UpstreamRateLimited);
    world.fake.clear_log();
    assert_eq!(code(&world.get(crate::common::BOB).await), "upstream_rate_limited");
    assert_eq!(world.fake.count(Endpoint::SignIns), 0);
}

/// One of two entries that share a session goes: the other one's is still in use.
#[tokio::test(start_paused = true)]
async fn s10_a_shared_session_is_in_use_until_the_last_entry_goes() {
    let world = world(&Shared::default(), |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    assert_eq!(world.get(("NewDevice@example.com", NEWDEVICE.1)).await.status(), 200);
    for _ in 0..70 {
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.clerk.stats().sessions, 1, "the second has run out");
    world.fake.clear_log();
    assert_eq!(world.get(("NEWDEVICE@example.com", NEWDEVICE.1)).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1, "it is tried from a fresh client first");
    assert_eq!(world.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn k9_a_revoked_user_is_no_known_device_any_more() {
    let devices = Shared::default();
    let world = world(&devices, |fake| fake);
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let user = session(&world.get(NEWDEVICE).await).user_id().to_owned();
    world.clerk.revoke_user(&user);
    rest().await;
    assert!(devices.get(NEWDEVICE.0).is_none());
    assert_eq!(code(&world.get(NEWDEVICE).await), "account_action_required");
}

#[tokio::test(start_paused = true)]
async fn s10_devices_cost_no_sign_in_where_nobody_asks_for_them() {
    let devices = Shared::default();
    let world = world(&devices, FakeClerkBuilder::no_rate_limit);
    for _ in 0..5 {
        assert_eq!(world.get(JANE).await.status(), 200);
        tokio::time::sleep(3 * HOUR).await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 5, "one for each proof");
    assert_eq!(world.fake.count(Endpoint::Client), 0);
    let layer = world.layer();
    assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s5_at_most_one_sign_in_follows_from_an_answer() {
    // A killed process' session on a client that nobody here knows anything of: looked at, not tried.
    let devices = Shared::default();
    let first = world(&devices, |fake| fake);
    assert_eq!(first.get(JANE).await.status(), 200);
    let again = killed(&first, &devices);
    rest().await;
    first.fake.clear_log();
    assert_eq!(again.get(JANE).await.status(), 200);
    assert_eq!(first.fake.count(Endpoint::SignIns), 1);
    assert_eq!(first.fake.count(Endpoint::Client), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_with_a_second_factor_is_told_that_enrolment_is_not_enough() {
    let world = World::with(|fake| fake, Builder::unlimited_sign_ins);
    let credentials = Credentials::new("mfa@example.com", "second factor please").unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    assert!(enrollment.has_second_factor());
    let factor = enrollment.factors().iter().find(|factor| factor.strategy() == "totp").cloned().unwrap();
    assert!(!factor.is_sent());
    enrollment.send_code(&factor).await.unwrap();
    let totp = world.fake.totp_code("mfa@example.com").unwrap();
    enrollment.confirm(&factor, &totp).await.unwrap();
    rest().await;
    assert_eq!(code(&world.get(("mfa@example.com", "second factor please")).await), "second_factor_required");
    let backend = World::backend();
    let refused = backend.clerk.enroll(&credentials).await.unwrap_err();
    assert_eq!(refused.kind(), RejectionKind::Misconfigured);
}

/// D5: whether a session hangs on a known client is asked by a look-up, which is no sign-in.
#[tokio::test(start_paused = true)]
async fn p2_a_look_up_that_clerk_answers_429_pauses_look_ups_and_no_sign_in() {
    let devices = Shared::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    let again = killed(&first, &devices);
    rest().await;
    again.fake.clear_log();
    again.fake.script(Endpoint::Client, Fault::RateLimited { retry_after: RetryAfter::Seconds(60) });
    let response = again.get(NEWDEVICE).await;
    assert_eq!(code(&response), "upstream_rate_limited");
    assert_eq!(response.headers()["retry-after"], "60");
    assert_eq!(again.get(JANE).await.status(), 200, "sign-ins go on");
    assert_eq!(code(&again.get(NEWDEVICE).await), "upstream_rate_limited");
    assert_eq!(again.fake.count(Endpoint::Client), 1, "and look-ups rest");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(again.get(NEWDEVICE).await.status(), 200);
}

/// D18.
#[tokio::test(start_paused = true)]
async fn a9_the_client_of_an_unknown_device_is_told_what_it_can_do_and_the_log_what_the_operator_can() {
    let world = world(&Shared::default(), |fake| fake);
    let mut told = String::new();
    let log = crate::common::logged(async {
        for _ in 0..3 {
            let response = world.get(NEWDEVICE).await;
            assert_eq!(code(&response), "account_action_required");
            told = crate::common::rejection(&response).unwrap().detail().unwrap_or_default().to_owned();
            tokio::time::sleep(Duration::from_secs(11)).await;
        }
    })
    .await;
    for advice in ["secret key", "bypass_client_trust", "dashboard", "Clerk::enroll"] {
        assert!(!told.contains(advice), "{told}");
        assert!(log.contains(advice), "{advice}: {log}");
    }
    assert!(told.contains("operator"), "{told}");
    assert_eq!(log.matches("bypass_client_trust").count(), 1, "once a minute");
}

/// D13: a machine whose clock is wrong when it starts.
#[tokio::test(start_paused = true)]
async fn k2_a_wall_clock_that_is_wrong_at_the_start_makes_no_device_look_old() {
    let devices = Shared::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    let ahead = Clock::starting_at(first.clock.wall() + 40 * 24 * HOUR);
    let clerk = builder(&first.fake, ahead).device_store(devices.clone()).build().unwrap();
    let again = World { clock: ahead, fake: first.fake.clone(), clerk };
    assert_eq!(again.get(NEWDEVICE).await.status(), 200);
    assert_eq!(again.fake.count(Endpoint::PrepareSecondFactor), 1);
    // What this process has kept of it since is dated by Clerk's clock.
    let seen_at = devices.get(NEWDEVICE.0).unwrap().seen_at();
    let off = seen_at.duration_since(first.clock.wall()).unwrap_or_else(|before| before.duration());
    assert!(off < Duration::from_secs(5), "{off:?}");
}

/// A session that is over here may go on at Clerk. A sign-in on its client would be answered `session_exists`, and a second
/// one would have to follow: after an outage, when no session could be ended, nobody would get that far.
#[tokio::test(start_paused = true)]
async fn s10_a_session_that_could_not_be_ended_costs_its_user_no_second_sign_in() {
    for device_trust in [false, true] {
        let world = world(&Shared::default(), |fake| fake);
        let user = if device_trust { NEWDEVICE } else { JANE };
        enroll(&world, user).await;
        rest().await;
        assert_eq!(world.get(user).await.status(), 200);
        world.fake.script_always(Endpoint::End, Fault::Status(503));
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(world.fake.live_sessions(), 1, "it was not ended");
        world.fake.clear_script(Endpoint::End);
        world.fake.clear_log();
        assert_eq!(world.get(user).await.status(), 200);
        assert_eq!(world.fake.count(Endpoint::SignIns), 1, "device trust: {device_trust}");
        assert_eq!(world.fake.live_sessions(), 1, "the one that was left behind is ended now");
        // Where it was ended in time, a sign-in is all it takes.
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(world.fake.live_sessions(), 0);
        world.fake.clear_log();
        assert_eq!(world.get(user).await.status(), 200);
        let counts = [Endpoint::SignIns, Endpoint::Client, Endpoint::End].map(|it| world.fake.count(it));
        assert_eq!(counts, [1, 0, 0]);
    }
}

/// Clerk may keep two identifiers apart that a folding of all letters takes for one: `\u{130}` is a capital I with a dot.
#[tokio::test(start_paused = true)]
async fn s10_an_identifier_that_folds_like_another_users_gets_neither_its_session_nor_its_device() {
    for is_live in [true, false] {
        let world = World::unlimited();
        let (jane, other) =
            (("inci@example.com", "the password of one"), ("\u{130}nci@example.com", "another"));
        let jane_id = world.fake.add_user(FakeUser::new(jane.0).password(jane.1).device_trust());
        // Whose sign-in from a client that Clerk has never seen is complete, or is not.
        let user = FakeUser::new(other.0).password(other.1);
        let other_id = world.fake.add_user(if is_live { user.device_trust() } else { user });
        enroll_as_is(&world, jane).await;
        if is_live {
            assert_eq!(session(&world.get(jane).await).user_id(), jane_id);
            assert_eq!(code(&world.get(other).await), "account_action_required");
        } else {
            assert_eq!(session(&world.get(other).await).user_id(), other_id);
        }
        rest().await;
        assert_eq!(session(&world.get(jane).await).user_id(), jane_id);
    }
}

/// Makes the engine's device known to Clerk, without a wrong code first.
async fn enroll_as_is(world: &World, (identifier, password): Pair) {
    let mut enrollment = world.clerk.enroll(&Credentials::new(identifier, password).unwrap()).await.unwrap();
    let factor = enrollment.factors()[0].clone();
    enrollment.send_code(&factor).await.unwrap();
    let sent = world.fake.last_code(identifier).unwrap();
    enrollment.confirm(&factor, &sent).await.unwrap();
}

/// The answer to the end of one session comes when another one has been opened on the same client already.
#[tokio::test(start_paused = true)]
async fn k9_a_revoked_session_is_not_gone_on_with_however_late_clerk_answers_its_predecessors_end() {
    let second = Duration::from_secs(1);
    let world = World::unlimited();
    enroll(&world, NEWDEVICE).await;
    rest().await;
    let mut ids = Vec::new();
    for fault in [Fault::DelayAnswer(4 * second), Fault::Delay(4 * second)] {
        let id = session(&world.get(NEWDEVICE).await).session_id().to_owned();
        world.fake.script(Endpoint::End, fault);
        world.clerk.revoke_session(&id);
        ids.push(id);
        tokio::time::sleep(second / 10).await;
        let response = world.get(NEWDEVICE).await;
        if response.status() == 200 {
            assert!(!ids.contains(&session(&response).session_id().to_owned()), "it was revoked");
        }
        rest().await;
    }
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
}

/// Guesses at an identifier whose device can't be looked at are sign-ins, which count, and its user gets in.
#[tokio::test(start_paused = true)]
async fn p3_guesses_count_also_while_look_ups_pause() {
    let devices = Shared::default();
    let first = world(&devices, |fake| fake);
    enroll(&first, JANE).await;
    rest().await;
    let again = killed(&first, &devices);
    again.fake.script(Endpoint::Client, Fault::RateLimited { retry_after: RetryAfter::Seconds(300) });
    assert_eq!(code(&again.get(JANE).await), "upstream_rate_limited");
    rest().await;
    assert_eq!(again.get(JANE).await.status(), 200, "from a fresh client");
    again.fake.clear_log();
    for guess in 0..6 {
        let answer = code(&again.get((JANE.0, ["a", "b", "c", "d", "e", "f"][guess])).await);
        assert_eq!(answer, if guess < 4 { "credentials_rejected" } else { "throttled" });
    }
    assert_eq!((again.fake.count(Endpoint::SignIns), again.fake.count(Endpoint::Client)), (4, 0));
}

/// A machine whose clock is ahead when the file is opened.
#[tokio::test(start_paused = true)]
async fn k2_a_file_that_is_opened_by_a_wrong_clock_keeps_its_devices() {
    let path = std::env::temp_dir().join(format!("tower-clerk-clock-{}", std::process::id()));
    // Files are opened by the machine's own clock, which is ahead of Clerk's.
    let clock = Clock::starting_at(SystemTime::now() - 40 * 24 * HOUR);
    let fake = FakeClerk::builder().clock(clock).build();
    for round in 0..2 {
        let clerk = builder(&fake, clock).device_store(DeviceFile::open(&path).unwrap()).build().unwrap();
        let world = World { clock, fake: fake.clone(), clerk };
        if round == 0 {
            enroll(&world, NEWDEVICE).await;
            rest().await;
        }
        assert_eq!(world.get(NEWDEVICE).await.status(), 200);
        world.clerk.shutdown(Duration::from_secs(5)).await;
        rest().await;
    }
    std::fs::remove_file(&path).unwrap();
}
