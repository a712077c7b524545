//! What the file itself keeps to.

use std::error::Error as _;
use std::fs::{self, File};
use std::io::Write;

use crate::store::testing::{Dir, device, ready, session, text};
use crate::store::{DeviceFile, DeviceStore, SessionFile, SessionStore, StoreErrorKind};

fn known(devices: &DeviceFile) -> Vec<&'static str> {
    ["a", "b", "c"].into_iter().filter(|identifier| devices.get(identifier).is_some()).collect()
}

fn with(path: &std::path::Path, identifiers: &[&str]) -> DeviceFile {
    let devices = DeviceFile::open(path).unwrap();
    identifiers.iter().for_each(|identifier| devices.put(identifier, device("user_1", "very-secret")));
    devices
}

#[test]
fn what_was_put_is_there_after_a_restart_and_after_a_kill() {
    let dir = Dir::new();
    let (path, killed) = (dir.path("devices"), dir.path("killed"));
    let devices = with(&path, &["a", "b"]);
    devices.remove("a");
    // What the file holds at this moment is what a kill would leave.
    fs::copy(&path, &killed).unwrap();
    assert_eq!(known(&DeviceFile::open(&killed).unwrap()), ["b"]);
    drop(devices);
    let devices = DeviceFile::open(&path).unwrap();
    assert_eq!(known(&devices), ["b"]);
    assert_eq!(devices.get("b").unwrap().client_token(), "very-secret");
}

#[test]
fn a_line_that_was_cut_off_is_left_out() {
    let dir = Dir::new();
    let path = dir.path("devices");
    drop(with(&path, &["a", "b"]));
    let whole = text(&path);
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for end in last..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let devices = DeviceFile::open(&path).unwrap();
        assert_eq!(known(&devices), ["a"], "{end}");
        assert_eq!(text(&path), &whole[..last]);
        devices.put("c", device("user_1", "very-secret"));
        drop(devices);
        assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["a", "c"]);
    }
    // The header, too.
    for end in 0..whole.find('\n').unwrap() {
        fs::write(&path, &whole[..end]).unwrap();
        drop(with(&path, &["b"]));
        assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["b"]);
    }
}

#[test]
fn damage_in_the_middle_costs_no_more_than_itself() {
    let dir = Dir::new();
    let path = dir.path("devices");
    drop(with(&path, &["a", "b", "c"]));
    let mut lines: Vec<_> = text(&path).lines().map(str::to_owned).collect();
    let zeros = "\0".repeat(300_000);
    for damage in
        ["\0\0\0", "{}", "{\"put\":{\"identifier\":\"b\",\"user\":\"u\",\"token\":\"?\",\"seen\":1}}", &zeros]
    {
        damage.clone_into(&mut lines[2]);
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["a", "c"]);
        assert_eq!(text(&path).lines().count(), 3);
    }
    // Without an end.
    fs::write(&path, [text(&path).as_bytes(), zeros.as_bytes()].concat()).unwrap();
    assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["a", "c"]);
    assert_eq!(text(&path).lines().count(), 3);
}

#[test]
fn a_file_has_one_holder() {
    let dir = Dir::new();
    let path = dir.path("devices");
    let devices = with(&path, &["a"]);
    for _ in 0..2 {
        let error = DeviceFile::open(&path).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::InUse);
        assert!(error.to_string().contains("held by another process") && error.path() == path);
        // The new file is held, too.
        devices.compact();
    }
    drop(devices);
    assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["a"]);
    assert_eq!(dir.names(), ["devices"]);
}

#[test]
fn a_file_of_another_kind_is_refused_and_left_alone() {
    let dir = Dir::new();
    let path = dir.path("file");
    let long = "x".repeat(128 * 1024);
    for content in [
        "very-secret",
        "very-secret\n",
        "{\"format\":\"tower-clerk devices\",\"version\":2}\n",
        "{\"format\":\"tower-clerk sessions\",\"version\":1}\n",
        "\n",
        &long,
        &format!("{long}{long}\n"),
    ] {
        fs::write(&path, content).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions();
        let error = DeviceFile::open(&path).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Format);
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert_eq!(text(&path), content);
        assert_eq!(fs::metadata(&path).unwrap().permissions(), mode);
    }
}

#[test]
fn what_is_no_file_or_out_of_reach_is_refused() {
    let dir = Dir::new();
    let kind = |path| DeviceFile::open(path).unwrap_err().kind();
    assert_eq!(kind(dir.path("")), StoreErrorKind::NotAFile);
    let error = DeviceFile::open(dir.path("missing/devices")).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Io);
    assert!(error.source().is_some() && error.to_string().contains("its directory must exist"));
    assert_eq!(kind("".into()), StoreErrorKind::Io);

    #[cfg(unix)]
    {
        drop(with(&dir.path("devices"), &["a"]));
        for target in ["devices", "nothing"] {
            let link = dir.path(&format!("link-to-{target}"));
            std::os::unix::fs::symlink(dir.path(target), &link).unwrap();
            assert_eq!(kind(link), StoreErrorKind::NotAFile);
        }
        assert!(!dir.path("nothing").exists());
        let socket = dir.path("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(kind(socket), StoreErrorKind::NotAFile);
    }
}

#[cfg(unix)]
#[test]
fn c6_the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let dir = Dir::new();
    let path = dir.path("devices");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let devices = with(&path, &["a"]);
    assert_eq!(mode(), 0o600);
    devices.compact();
    assert_eq!(mode(), 0o600);
    drop(devices);
    for open in [0o644, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["a"]);
        assert_eq!(mode(), 0o600);
    }
}

#[test]
fn the_file_is_written_anew_when_it_is_mostly_garbage() {
    let dir = Dir::new();
    let path = dir.path("sessions");
    let sessions = SessionFile::open(&path).unwrap();
    let mut most = 0;
    for count in 0..25_000 {
        ready(sessions.put(session("user_1", None, &format!("sess_{count}"), 1)));
        if count % 1_000 == 0 {
            most = most.max(text(&path).lines().count());
        }
    }
    assert!((9_000..10_010).contains(&most), "{most}");
    assert_eq!(SessionFile::open(&path).unwrap_err().kind(), StoreErrorKind::InUse);
    assert_eq!(ready(sessions.get("user_1", None)).unwrap().session_id(), "sess_24999");
    drop(sessions);
    let sessions = SessionFile::open(&path).unwrap();
    assert_eq!(text(&path).lines().count(), 2);
    assert_eq!(ready(sessions.get("user_1", None)).unwrap().session_id(), "sess_24999");
}

#[test]
fn c6_forgetting_everything_leaves_nothing_in_the_file() {
    let dir = Dir::new();
    let path = dir.path("devices");
    let devices = with(&path, &["a", "b"]);
    let header = text(&path).lines().next().unwrap().to_owned() + "\n";
    devices.clear();
    assert_eq!(text(&path), header);
    devices.put("c", device("user_1", "very-secret"));
    drop(devices);
    assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["c"]);
}

#[test]
fn what_a_crash_left_beside_the_file_is_removed() {
    let dir = Dir::new();
    let (path, beside) = (dir.path("devices"), dir.path(".devices.compacting"));
    drop(with(&path, &["a"]));
    fs::write(&beside, "very-secret").unwrap();
    let devices = DeviceFile::open(&path).unwrap();
    assert!(!beside.exists());
    fs::write(&beside, "very-secret").unwrap();
    devices.compact();
    assert!(!beside.exists());
    assert_eq!(known(&devices), ["a"]);
}

#[test]
fn a_file_that_cannot_be_written_to_does_not_stop_memory() {
    let dir = Dir::new();
    let path = dir.path("devices");
    let devices = with(&path, &["a", "b"]);
    devices.swap_file(File::open(&path).unwrap());
    devices.put("c", device("user_1", "very-secret"));
    devices.remove("a");
    assert_eq!(known(&devices), ["b", "c"]);
    // It is made up for at the latest when the store goes.
    drop(devices);
    assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["b", "c"]);

    // Half a line got in before the disk was full, and then there was room again.
    let devices = DeviceFile::open(&path).unwrap();
    File::options().append(true).open(&path).unwrap().write_all(b"{\"put\":{\"iden").unwrap();
    devices.swap_file(File::open(&path).unwrap());
    devices.remove("b");
    devices.swap_file(File::options().read(true).write(true).open(&path).unwrap());
    devices.put("a", device("user_1", "very-secret"));
    let killed = dir.path("killed");
    fs::copy(&path, &killed).unwrap();
    assert_eq!(
        known(&DeviceFile::open(&killed).unwrap()),
        ["a", "b", "c"],
        "the removal is lost, and nothing else"
    );
    drop(devices);
    assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["a", "c"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_was_replaced_is_not_written_over() {
    let dir = Dir::new();
    let path = dir.path("devices");
    let first = with(&path, &["a"]);
    fs::rename(&path, dir.path("moved")).unwrap();
    let second = with(&path, &["b"]);
    first.compact();
    assert_eq!((known(&first), known(&second)), (vec!["a"], vec!["b"]));
    drop((first, second));
    assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["b"]);

    // One that was removed comes back.
    let devices = with(&path, &["c"]);
    fs::remove_file(&path).unwrap();
    devices.compact();
    drop(devices);
    assert_eq!(known(&DeviceFile::open(&path).unwrap()), ["b", "c"]);
}

#[test]
fn threads_that_race_leave_the_file_as_memory_is() {
    let dir = Dir::new();
    let path = dir.path("sessions");
    let sessions = SessionFile::open_with_limit(&path, 50).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let sessions = &sessions;
            scope.spawn(move || {
                for count in 0..500 {
                    let user = format!("user_{}", (count * 7 + thread) % 60);
                    ready(sessions.put(session(
                        &user,
                        None,
                        &format!("sess_{thread}_{count}"),
                        1 + count % 5,
                    )));
                    if count % 50 == 0 {
                        sessions.compact();
                    }
                    if count % 3 == 0 {
                        ready(sessions.take_user(&user));
                    }
                }
            });
        }
    });
    let all = |sessions: &SessionFile| {
        (0..60).map(|user| ready(sessions.get(&format!("user_{user}"), None))).collect::<Vec<_>>()
    };
    let before = all(&sessions);
    drop(sessions);
    assert_eq!(all(&SessionFile::open_with_limit(&path, 50).unwrap()), before);
}
