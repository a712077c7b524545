//! The mirror keeps no secret (rule Y4), and a tombstone erases the rest.

use super::*;
use crate::error::MirrorErrorKind;
use crate::kind::Kind;
use crate::support::each;

const SECRETS: [&str; 4] = ["a private note", "backup-1234", "jane@other.example", "deep-private"];

/// All text of all tables but that of the migrations.
async fn dump(mirror: &Mirror, is_postgres: bool) -> String {
    let tables = if is_postgres {
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'clerk%' AND tablename <> 'clerk_mirror_migrations'"
    } else {
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'clerk%' AND name <> 'clerk_mirror_migrations'"
    };
    let mut dump = String::new();
    for table in mirror.texts(tables).await {
        if is_postgres {
            dump += &mirror.texts(&format!("SELECT CAST({table} AS TEXT) FROM {table}")).await.join("\n");
            continue;
        }
        for column in mirror.texts(&format!("SELECT name FROM pragma_table_info('{table}')")).await {
            dump += &mirror.texts(&format!("SELECT CAST({column} AS TEXT) FROM {table}")).await.join("\n");
        }
    }
    dump
}

fn secretive_user() -> Json {
    let mut jane = user("user_1", "Jane", T);
    jane["phone_numbers"] = json!([
        { "id": "idn_3", "phone_number": "+15555550100", "verification": null, "backup_codes": ["backup-1234"] }
    ]);
    jane["external_accounts"] = json!([{ "id": "eac_1", "label": null, "private_metadata": "deep-private" }]);
    jane["organization_memberships"] = json!([membership("orgmem_1", "user_1", "org_1", T)]);
    jane["unsafe_metadata"] = (0..300).fold(json!("bottom"), |json, _| json!([json]));
    jane
}

#[tokio::test]
async fn y4_private_metadata_and_backup_codes_are_in_no_table_whether_raw_json_is_kept_or_not() {
    each(async |database| {
        for keep_raw in [false, true] {
            let builder = Mirror::builder(&database.url).instance(INSTANCE).keep_raw(keep_raw);
            let mirror = builder.clock(Clock::starting_at(time(T))).connect().await.unwrap();
            let at = T + i64::from(keep_raw);
            let mut member = membership("orgmem_1", "user_1", "org_1", T);
            member["public_user_data"]["identifier"] = json!("jane@other.example");
            mirror.event("user.created", at, &secretive_user()).await;
            mirror.event("organization.created", at, &organization("org_1", "Acme", T)).await;
            mirror.event("organizationMembership.created", at, &member).await;
            // By lists and reads, too, and as poison.
            let entry = secretive_user().to_string();
            mirror.apply_page(Kind::User, at, &[&entry], None).await.unwrap();
            let read = mirror.begin_read(Kind::User, "user_1").await.unwrap();
            mirror.apply_read(&read, at, Some(&entry), None).await.unwrap();
            let mut poison = secretive_user();
            poison["created_at"] = json!("a private note");
            assert_eq!(mirror.event("user.updated", at, &poison).await, Outcome::Quarantined);
            let dump = dump(&mirror, database.is_postgres).await;
            for secret in SECRETS {
                assert!(!dump.contains(secret), "{secret}, {keep_raw}");
            }
            assert!(dump.contains("+15555550100") == keep_raw && dump.contains("bottom") == keep_raw);
            assert!(dump.contains("jane@example.com"), "the dump holds what is kept");
        }
    })
    .await;
}

#[tokio::test]
async fn y2_a_tombstone_erases_everything_personal() {
    each(async |database| {
        let builder = Mirror::builder(&database.url).instance(INSTANCE).keep_raw(true);
        let mirror = builder.clock(Clock::starting_at(time(T))).connect().await.unwrap();
        mirror.event("user.created", T, &secretive_user()).await;
        mirror
            .event("organizationMembership.created", T, &membership("orgmem_1", "user_1", "org_1", T))
            .await;
        mirror.event("user.deleted", T, &deleted("user", "user_1")).await;
        let dump = dump(&mirror, database.is_postgres).await;
        for personal in
            ["Jane", "Doe", "example.com", "5555550100", "dark", "bottom", "img.clerk.com", "desk"]
        {
            assert!(!dump.contains(personal), "{personal}: {dump}");
        }
        assert!(dump.contains("user_1"));
    })
    .await;
}

#[tokio::test]
async fn y1_a_file_that_is_created_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let database = Database::sqlite();
    let mirror = mirror(&database).await;
    mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
    let path = database.url.trim_start_matches("sqlite://");
    for beside in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(format!("{path}{beside}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{beside}");
    }
    // FULL: a commit is on disk before an event is answered.
    assert_eq!(mirror.number("PRAGMA synchronous").await, 2);
    assert_eq!(mirror.texts("PRAGMA journal_mode").await, ["wal"]);
}

#[tokio::test]
async fn y1_an_address_that_is_unusable_is_a_setting_and_is_not_shown() {
    for url in [
        "",
        "mysql://u:geheim@h/db",
        "sqlite::memory:",
        "sqlite://",
        "sqlite://x.db?mode=memory",
        "sqlite:///no/such/geheim/m.db",
        "postgres://u:geheim@[::/db",
    ] {
        let error = Mirror::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Setting, "{url}: {error}");
        assert!(!format!("{error} {error:?} {:?}", Mirror::builder(url)).contains("geheim"), "{url}");
    }
    let refused = Mirror::connect("postgres://u:geheim@127.0.0.1:1/db").await.unwrap_err();
    assert_eq!(refused.kind(), MirrorErrorKind::Database);
    assert!(!format!("{refused} {refused:?}").contains("geheim"));
}

#[tokio::test]
async fn y1_tables_that_are_absent_or_newer_are_told_apart() {
    each(async |database| {
        let builder = || Mirror::builder(&database.url).migrate(false);
        let absent = builder().connect().await.unwrap_err();
        assert_eq!(absent.kind(), MirrorErrorKind::Schema);
        assert!(absent.to_string().contains("clerk-sync migrate"), "{absent}");
        let mirror = mirror(database).await;
        builder().connect().await.unwrap();
        let version = "UPDATE clerk_mirror_migrations SET version = 9999 WHERE version = (SELECT MAX(version) FROM clerk_mirror_migrations)";
        sqlx::raw_sql(version).execute(mirror.pool()).await.unwrap();
        let newer = builder().connect().await.unwrap_err();
        assert!(newer.to_string().contains("newer"), "{newer}");
    })
    .await;
}
