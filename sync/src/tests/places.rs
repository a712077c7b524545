//! Where the database is, and what its address reveals (rule Y1).

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::{Arc, Mutex};
use std::{fs, io};

use super::*;
use crate::error::MirrorErrorKind;
use crate::support::Folder;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn y1_the_file_that_is_created_is_the_one_that_the_driver_opens() {
    let folder = Folder::new();
    for (at, (name, of_url)) in [
        ("with space.db", "with%20space.db"),
        ("what?.db", "what%3F.db"),
        ("plain.db", "plain.db?mode=rwc"),
        ("per%cent.db", "per%25cent.db?mode=rwc"),
        // The driver takes the dots out before it opens the file.
        ("dots.db", "not-there/../dots.db"),
        ("line.db", "li\nne.db"),
    ]
    .iter()
    .enumerate()
    {
        let path = folder.path().join(name);
        // One slash more than needed names the same file.
        let slashes = if at % 2 == 0 { "sqlite://" } else { "sqlite:///" };
        let url = format!("{slashes}{}/{of_url}", folder.path().display());
        let mirror = Mirror::builder(url).instance(INSTANCE).connect().await.unwrap();
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        assert_eq!(mode(&path), 0o600, "{name}");
        let beside = path.with_file_name(format!("{name}-wal"));
        assert_eq!(mode(&beside), 0o600, "{name}");
    }
    assert_eq!(
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|it| {
                let name = it.as_ref().unwrap().file_name();
                name.to_string_lossy().ends_with(".db")
            })
            .count(),
        6
    );
}

#[tokio::test]
async fn y1_a_link_to_nothing_is_no_database() {
    let folder = Folder::new();
    let (link, target) = (folder.path().join("link.db"), folder.path().join("target.db"));
    symlink(&target, &link).unwrap();
    for mode in ["", "?mode=rwc"] {
        let error = Mirror::connect(&format!("sqlite://{}{mode}", link.display())).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Setting, "{error}");
        assert!(!target.exists(), "{mode}");
    }
    // One to a file is: volumes are mounted so.
    let real = Mirror::builder(format!("sqlite://{}", target.display())).instance(INSTANCE);
    drop(real.connect().await.unwrap());
    Mirror::connect(&format!("sqlite://{}", link.display())).await.unwrap();
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn y1_no_log_and_no_error_shows_the_address_or_its_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for parameters in [
        "sslpassword=geheim",
        "passfile=/geheim",
        "sslmode=prefer&geheim",
        "passwrod=geheim&sslmode=prefer",
        "sslmode=geheim",
        "port=geheim",
        "hostaddr=geheim",
        "password=geheim",
        "sslrootcert=/no/such/geheim&sslmode=verify-full",
    ] {
        let url = format!("postgres://u:geheim@127.0.0.1:1/db?{parameters}");
        let at_once = std::time::Duration::from_millis(100);
        let error = Mirror::builder(&url).acquire_timeout(at_once).connect().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"), "{parameters}: {error}");
    }
    let folder = Folder::new();
    let wide = folder.path().join("wide.db");
    fs::write(&wide, "").unwrap();
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o644)).unwrap();
    Mirror::connect(&format!("sqlite://{}", wide.display())).await.unwrap();
    assert_eq!(mode(&wide), 0o644, "the application's own file stays as it is");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!log.contains("geheim"), "{log}");
    assert!(log.contains("have no effect") && log.contains("chmod"), "both are warned of: {log}");
}
