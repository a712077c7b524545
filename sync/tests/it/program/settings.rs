//! Settings (rule Y9): an unusable one ends the program with exit code 2 and one line that names the variable.

use std::fs;
use std::process::Output;

use super::{Setup, output, program};
use crate::support::{Database, Folder};

fn assert_names(output: &Output, name: &str) {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with(&format!("{name}: ")), "{error}");
}

/// Arguments, variables, and the variable that is named.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn y9_an_unusable_setting_is_one_line_that_names_its_variable() {
    let folder = Folder::new();
    let file = |name: &str| folder.path().join(name).display().to_string();
    fs::write(file("empty"), "\n").unwrap();
    let url = format!("sqlite://{}", file("mirror.db"));
    let key = "sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let cases: &[Case<'_>] = &[
        (&["status"], &[], "DATABASE_URL"),
        (&["status"], &[("DATABASE_URL", "")], "DATABASE_URL"),
        (&["status"], &[("DATABASE_URL", "mysql://localhost")], "DATABASE_URL"),
        (&["status"], &[("DATABASE_URL", "sqlite::memory:")], "DATABASE_URL"),
        (&["status"], &[("DATABASE_URL_FILE", "/nowhere")], "DATABASE_URL_FILE"),
        (&["status"], &[("DATABASE_URL_FILE", &file("empty"))], "DATABASE_URL_FILE"),
        (&["status"], &[("DATABASE_URL", &url), ("DATABASE_URL_FILE", &file("empty"))], "DATABASE_URL"),
        (&["backfill"], &[("DATABASE_URL", &url)], "CLERK_SECRET_KEY"),
        (&["backfill"], &[("DATABASE_URL", &url), ("CLERK_SECRET_KEY", "pk_test_A")], "CLERK_SECRET_KEY"),
        (
            &["backfill"],
            &[("DATABASE_URL", &url), ("CLERK_SECRET_KEY", key), ("CLERK_API_URL", "http://example.com")],
            "CLERK_API_URL",
        ),
        (
            &["backfill"],
            &[("DATABASE_URL", &url), ("CLERK_SECRET_KEY", key), ("LIST_RATE", "many")],
            "LIST_RATE",
        ),
        (
            &["reconcile", "--report"],
            &[("DATABASE_URL", &url), ("CLERK_SECRET_KEY", key), ("CLERK_PUBLISHABLE_KEY", "pk_test_")],
            "CLERK_PUBLISHABLE_KEY",
        ),
        (
            &["reconcile", "--report"],
            &[("DATABASE_URL", &url), ("CLERK_SECRET_KEY", key), ("CLERK_FAPI_URL", "http://example.com")],
            "CLERK_FAPI_URL",
        ),
        (&["watch"], &[("DATABASE_URL", &url)], "CLERK_WEBHOOK_SIGNING_SECRET"),
        (
            &["watch"],
            &[("DATABASE_URL", &url), ("CLERK_WEBHOOK_SIGNING_SECRET", "short")],
            "CLERK_WEBHOOK_SIGNING_SECRET",
        ),
        (&["watch", "--listen-addr", "localhost"], &[("DATABASE_URL", &url)], "LISTEN_ADDR"),
    ];
    for (arguments, settings, name) in cases {
        let mut command = program(arguments);
        command.envs(settings.iter().copied());
        assert_names(&output(command).await, name);
    }
}

#[tokio::test]
async fn y9_a_secret_in_the_variable_of_its_file_is_not_shown() {
    for (name, secret) in [
        ("DATABASE_URL_FILE", "postgres://u:geheim@localhost/db"),
        ("CLERK_SECRET_KEY_FILE", "sk_test_geheim"),
        ("CLERK_WEBHOOK_SIGNING_SECRET_FILE", "whsec_geheim"),
    ] {
        let folder = Folder::new();
        let url = format!("sqlite://{}", folder.path().join("mirror.db").display());
        let mut command = program(if name.contains("WEBHOOK") { &["watch"] } else { &["backfill"] });
        if name != "DATABASE_URL_FILE" {
            command.env("DATABASE_URL", url);
        } else {
            command.env("CLERK_SECRET_KEY", "sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        }
        command.env(name, secret);
        let output = output(command).await;
        assert_names(&output, name);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("geheim"), "{output:?}");
    }
}

#[tokio::test]
async fn y9_wrong_usage_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["reconcile"],
        &["reconcile", "--report", "--repair"],
        &["nonsense"],
        &["quarantine", "replay"],
    ] {
        let output = output(program(arguments)).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y9_secrets_come_from_files_and_flags_too() {
    let (database, folder) = (Database::sqlite(), Folder::new());
    let setup = Setup::new(&database.url).await;
    setup.fill().await;
    let (url, key) = (folder.path().join("url"), folder.path().join("key"));
    fs::write(&url, format!("  {}  \n", database.url)).unwrap();
    fs::write(&key, format!("{}\n", setup.fake.secret_key())).unwrap();
    let mut command = program(&["reconcile", "--report"]);
    command
        .env("DATABASE_URL_FILE", &url)
        .env("CLERK_SECRET_KEY_FILE", &key)
        .env("CLERK_API_URL", setup.server.url());
    let run = output(command).await;
    assert!(run.status.success(), "{run:?}");
    let api = setup.server.url();
    let (url, key) = (url.display().to_string(), key.display().to_string());
    let flags =
        ["--database-url-file", &url, "--secret-key-file", &key, "--api-url", &api, "--list-rate", "1000/1s"];
    let run = output(program(&[&flags[..], &["reconcile", "--report", "--json"]].concat())).await;
    assert!(run.status.success(), "{run:?}");
}
