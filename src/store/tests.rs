//! What holds for the stores in memory and in files alike.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::CLOCK_MARGIN;
use super::testing::{Dir, device, ready, session};
use super::*;

#[test]
fn s10_devices_are_found_by_identifier_and_forgotten_by_user() {
    let dir = Dir::new();
    let stores: [Arc<dyn DeviceStore>; 2] =
        [Arc::new(MemoryDevices::default()), Arc::new(DeviceFile::open(dir.path("devices")).unwrap())];
    for devices in stores {
        devices.put("ada", device("user_1", "one"));
        devices.put("ada@example.com", device("user_1", "two"));
        devices.put("bob", device("user_2", "three"));
        devices.put("ada", device("user_1", "newer"));
        assert_eq!(devices.get("ada").unwrap().client_token(), "newer");
        devices.remove("bob");
        devices.remove("nobody");
        assert!(devices.get("bob").is_none());
        devices.put("bob", device("user_2", "three"));
        devices.remove_user("user_1");
        assert!(devices.get("ada").is_none() && devices.get("ada@example.com").is_none());
        assert_eq!(devices.get("bob").unwrap().user_id(), "user_2");
        devices.clear();
        assert!(devices.get("bob").is_none());
    }
}

#[test]
fn k9_sessions_are_found_by_user_and_by_id() {
    let dir = Dir::new();
    let stores: [Arc<dyn SessionStore>; 2] =
        [Arc::new(MemorySessions::default()), Arc::new(SessionFile::open(dir.path("sessions")).unwrap())];
    for sessions in stores {
        let get = |user, organization| ready(sessions.get(user, organization));
        for (organization, id) in [(None, "sess_1"), (Some("acme"), "sess_2"), (Some(""), "sess_3")] {
            ready(sessions.put(session("user_1", organization, id, 1)));
        }
        ready(sessions.put(session("user_2", None, "sess_4", 1)));
        assert_eq!(get("user_1", None).unwrap().session_id(), "sess_1");
        assert_eq!(get("user_1", Some("")).unwrap().session_id(), "sess_3");
        assert!(get("user_1", Some("other")).is_none());

        // Another user's, and one that has been replaced.
        ready(sessions.remove("user_2", "sess_1"));
        ready(sessions.put(session("user_1", None, "sess_5", 1)));
        ready(sessions.remove("user_1", "sess_1"));
        assert!(ready(sessions.take_session("sess_1")).is_none());
        assert_eq!(get("user_1", None).unwrap().session_id(), "sess_5");
        ready(sessions.remove("user_1", "sess_2"));
        assert!(get("user_1", Some("acme")).is_none());

        // A session id is there once.
        ready(sessions.put(session("user_1", Some("acme"), "sess_5", 1)));
        assert!(get("user_1", None).is_none());

        assert_eq!(ready(sessions.take_session("sess_4")).unwrap().user_id(), "user_2");
        let mut taken = ready(sessions.take_user("user_1"));
        taken.sort_by(|one, other| one.session_id().cmp(other.session_id()));
        assert_eq!(taken.iter().map(StoredSession::session_id).collect::<Vec<_>>(), ["sess_3", "sess_5"]);
        assert!(ready(sessions.take_user("user_1")).is_empty());
        ready(sessions.put(session("user_1", None, "sess_6", 1)));
        assert_eq!(ready(sessions.take_all()).len(), 1);
        assert!(ready(sessions.take_all()).is_empty() && get("user_1", None).is_none());
    }
}

#[test]
fn k7_the_devices_put_longest_ago_make_room() {
    let dir = Dir::new();
    let path = dir.path("devices");
    let check = |devices: &dyn DeviceStore| {
        let known = |identifier: &&str| devices.get(identifier).is_some();
        assert_eq!(
            ["a", "b", "c", "d"].iter().filter(|it| known(it)).collect::<Vec<_>>(),
            [&"a", &"c", &"d"]
        );
    };
    let file = DeviceFile::open_with_limit(&path, 3).unwrap();
    let memory = MemoryDevices::with_limit(3);
    for devices in [&file as &dyn DeviceStore, &memory] {
        for identifier in ["a", "b", "c", "a", "d"] {
            devices.put(identifier, device("user_1", "token"));
        }
        check(devices);
    }
    drop(file);
    check(&DeviceFile::open_with_limit(&path, 3).unwrap());
    drop(DeviceFile::open_with_limit(&path, 1).unwrap());
    let file = DeviceFile::open_with_limit(&path, 3).unwrap();
    assert!(file.get("d").is_some() && file.get("a").is_none());

    let none = MemoryDevices::with_limit(0);
    none.put("a", device("user_1", "token"));
    assert!(none.get("a").is_none());
}

#[test]
fn k7_the_sessions_nearest_their_end_make_room_but_never_for_themselves() {
    let dir = Dir::new();
    let path = dir.path("sessions");
    let file = SessionFile::open_with_limit(&path, 2).unwrap();
    let memory = MemorySessions::with_limit(2);
    for sessions in [&file as &dyn SessionStore, &memory] {
        for (user, id, hours) in [("user_1", "sess_1", 9), ("user_2", "sess_2", 5), ("user_3", "sess_3", 1)] {
            ready(sessions.put(session(user, None, id, hours)));
        }
        assert!(ready(sessions.get("user_2", None)).is_none());
        assert!(ready(sessions.get("user_1", None)).is_some());
        assert!(ready(sessions.get("user_3", None)).is_some());
    }
}

#[test]
fn k7_what_is_too_large_is_not_kept() {
    let dir = Dir::new();
    let path = dir.path("devices");
    let (large, fits) = ("\u{1}".repeat(MAX_TEXT), "\u{1}".repeat(MAX_TEXT - 7));
    let file = DeviceFile::open(&path).unwrap();
    for devices in [&file as &dyn DeviceStore, &MemoryDevices::default()] {
        devices.put("a", device("user_1", "token"));
        devices.put("a", device("user_1", &large));
        assert!(devices.get("a").is_none());
        // As long as a line can be: each byte of it is escaped.
        devices.put(&fits, device("user_1", "t"));
        assert!(devices.get(&fits).is_some());
    }
    drop(file);
    assert!(DeviceFile::open(&path).unwrap().get(&fits).is_some());

    let sessions = MemorySessions::default();
    ready(sessions.put(session(&large, None, "sess_1", 1)));
    assert!(ready(sessions.take_all()).is_empty());
}

#[test]
fn what_has_long_been_over_is_dropped_when_a_file_is_opened() {
    let dir = Dir::new();
    let (devices, sessions) = (dir.path("devices"), dir.path("sessions"));
    let ago = |life: Duration| SystemTime::now() - life;
    let file = DeviceFile::open(&devices).unwrap();
    file.put(
        "old",
        KnownDevice::new("user_1", "token", ago(DEVICE_LIFE + CLOCK_MARGIN + Duration::from_secs(1))),
    );
    file.put(
        "young",
        KnownDevice::new("user_1", "token", ago(DEVICE_LIFE + CLOCK_MARGIN - Duration::from_secs(60))),
    );
    assert!(file.get("old").is_some(), "the engine judges");
    drop(file);
    let file = DeviceFile::open(&devices).unwrap();
    assert!(file.get("old").is_none() && file.get("young").is_some());

    let file = SessionFile::open(&sessions).unwrap();
    ready(file.put(StoredSession::new("user_1", None, "sess_1", ago(CLOCK_MARGIN + Duration::from_secs(1)))));
    ready(file.put(session("user_2", None, "sess_2", 1)));
    drop(file);
    let file = SessionFile::open(&sessions).unwrap();
    assert!(ready(file.get("user_1", None)).is_none() && ready(file.get("user_2", None)).is_some());
}

#[test]
fn c6_no_debug_shows_a_client_token() {
    let dir = Dir::new();
    let (memory, file) = (MemoryDevices::default(), DeviceFile::open(dir.path("devices")).unwrap());
    let device = device("user_1", "very-secret");
    memory.put("ada", device.clone());
    file.put("ada", device.clone());
    let shown = format!("{device:?} {memory:?} {file:?}");
    assert!(!shown.contains("secret") && shown.contains("user_1"), "{shown}");
}

#[test]
fn times_are_kept_to_the_millisecond() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234);
    assert_eq!(KnownDevice::new("u", "t", at + Duration::from_micros(5)).seen_at(), at);
    assert_eq!(StoredSession::new("u", None, "s", at).expire_at(), at);
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(StoredSession::new("u", None, "s", early).expire_at(), SystemTime::UNIX_EPOCH);
    let _ = from_millis(u64::MAX);
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize, usize, u64, String),
    Remove(usize, usize),
    RemoveUser(usize),
    Clear,
    Compact,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..5_usize, 0..3_usize, 0..6_usize, 1..4_u64, any::<String>())
            .prop_map(|(a, b, c, d, e)| Step::Put(a, b, c, d, e)),
        2 => (0..5_usize, 0..6_usize).prop_map(|(a, b)| Step::Remove(a, b)),
        1 => (0..5_usize).prop_map(Step::RemoveUser),
        1 => Just(Step::Clear),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

// What needs escapes in JSON, and what doesn't.
const NAMES: [&str; 6] = ["a", "b", "\"c\\\n", "\u{e4}\u{0}", "", "f"];
const PLACES: [Option<&str>; 3] = [None, Some("acme"), Some("org_\n")];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_a_file_brings_devices_back_as_memory_has_them(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let dir = Dir::new();
        let path = dir.path("devices");
        let memory = MemoryDevices::with_limit(3);
        let open = || DeviceFile::open_with_limit(&path, 3).unwrap();
        let mut file = Some(open());
        for step in steps.into_iter().chain([Step::Reopen]) {
            for devices in [&memory as &dyn DeviceStore, file.as_ref().unwrap()] {
                match &step {
                    Step::Put(user, _, name, _, token) => devices.put(NAMES[*name], device(NAMES[*user], token)),
                    Step::Remove(_, name) => devices.remove(NAMES[*name]),
                    Step::RemoveUser(user) => devices.remove_user(NAMES[*user]),
                    Step::Clear => devices.clear(),
                    Step::Compact | Step::Reopen => {}
                }
            }
            match step {
                Step::Compact => file.as_ref().unwrap().compact(),
                Step::Reopen => {
                    drop(file.take());
                    file = Some(open());
                }
                _ => {}
            }
            for name in NAMES {
                let shown = |devices: &dyn DeviceStore| {
                    devices.get(name).map(|it| (it.user_id().to_owned(), it.client_token().to_owned()))
                };
                prop_assert_eq!(shown(&memory), shown(file.as_ref().unwrap()));
            }
        }
    }

    #[test]
    fn whatever_happens_a_file_brings_sessions_back_as_memory_has_them(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let dir = Dir::new();
        let path = dir.path("sessions");
        let memory = MemorySessions::with_limit(3);
        let open = || SessionFile::open_with_limit(&path, 3).unwrap();
        let mut file = Some(open());
        // Many that end at the same time.
        let now = SystemTime::now();
        for step in steps.into_iter().chain([Step::Reopen]) {
            for sessions in [&memory as &dyn SessionStore, file.as_ref().unwrap()] {
                match &step {
                    Step::Put(user, place, name, hours, _) => ready(sessions.put(StoredSession::new(
                        NAMES[*user], PLACES[*place], NAMES[*name], now + Duration::from_secs(hours * 3600),
                    ))),
                    Step::Remove(user, name) => ready(sessions.remove(NAMES[*user], NAMES[*name])),
                    Step::RemoveUser(user) => _ = ready(sessions.take_user(NAMES[*user])),
                    Step::Clear => _ = ready(sessions.take_all()),
                    Step::Compact | Step::Reopen => {}
                }
            }
            match step {
                Step::Compact => file.as_ref().unwrap().compact(),
                Step::Reopen => {
                    drop(file.take());
                    file = Some(open());
                }
                _ => {}
            }
            for user in NAMES {
                for place in PLACES {
                    let (one, other) = (memory.get(user, place), file.as_ref().unwrap().get(user, place));
                    prop_assert_eq!(ready(one), ready(other));
                }
            }
        }
    }
}
