//! The program is killed, or stopped, in a transaction (rules Y5, Y6).

use std::process::{Command, Stdio};

use sqlx::{AnyPool, AssertSqlSafe, Row as _};

use super::{Process, Setup, until};
use crate::equal::{State, pool};
use crate::site;
use crate::support::{Database, each};

/// Has the database hang in the middle of the transaction that writes this user, after other rows of it were written.
async fn hang(pool: &AnyPool, database: &Database, user: &str) {
    let sql = if database.is_postgres {
        format!(
            "CREATE FUNCTION hang() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$ LANGUAGE plpgsql; \
             CREATE TRIGGER hang AFTER INSERT ON clerk_mirror_users FOR EACH ROW WHEN (NEW.id = '{user}') \
             EXECUTE FUNCTION hang()"
        )
    } else {
        format!(
            "CREATE TRIGGER hang AFTER INSERT ON clerk_mirror_users WHEN NEW.id = '{user}' BEGIN \
             INSERT INTO clerk_mirror_progress SELECT 'hang', 'hang', 'hang', CAST(COUNT(*) AS TEXT), 0 FROM \
             (WITH RECURSIVE forever(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM forever) SELECT n FROM forever); END"
        )
    };
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

async fn go_on(pool: &AnyPool, database: &Database) {
    if database.is_postgres {
        // The server notices that its client is gone when it writes to it, which it doesn't while it sleeps.
        sqlx::raw_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
        )
        .execute(pool)
        .await
        .unwrap();
        sqlx::raw_sql("DROP TRIGGER hang ON clerk_mirror_users; DROP FUNCTION hang()")
            .execute(pool)
            .await
            .unwrap();
    } else {
        sqlx::raw_sql("DROP TRIGGER hang").execute(pool).await.unwrap();
    }
}

/// Whether a transaction hangs.
async fn hangs(pool: &AnyPool, database: &Database) -> bool {
    if database.is_postgres {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        return sqlx::query(sql).fetch_one(pool).await.unwrap().get::<i64, _>(0) > 0;
    }
    // The lock of a writer who has written: this connection waits for no time at all.
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql("PRAGMA busy_timeout = 0").execute(&mut *connection).await.unwrap();
    let is_locked = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await.is_err();
    if !is_locked {
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.unwrap();
    }
    is_locked
}

async fn expire_lease(pool: &AnyPool) {
    sqlx::query("UPDATE clerk_mirror_leases SET expires_at = 0").execute(pool).await.unwrap();
}

async fn users(pool: &AnyPool) -> i64 {
    sqlx::query("SELECT count(*) FROM clerk_mirror_users").fetch_one(pool).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y5_a_backfill_that_is_killed_in_a_transaction_leaves_none_of_it_and_goes_on() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        assert!(setup.run(&["migrate"]).await.status.success());
        let pool = pool(&database.url);
        // Rows are written in the order of their ids, so others come before this one.
        let last = (0..20)
            .filter_map(|number| setup.fake.user_id(&format!("user{number}@example.com")))
            .max()
            .unwrap();
        hang(&pool, database, &last).await;
        let child = setup.command(&["backfill"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut process = Process(child);
        // SQLite's lock is taken for moments by other writes, too: the hang is the lock that stays.
        let mut locked = 0;
        until("the transaction hangs", async || {
            locked = if hangs(&pool, database).await { locked + 1 } else { 0 };
            locked >= 10
        })
        .await;
        // `kill` of the standard library is SIGKILL.
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        go_on(&pool, database).await;
        assert_eq!(users(&pool).await, 0, "a half transaction has landed");

        // The lease of the killed one keeps others out until it ends.
        let output = setup.run(&["backfill"]).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("is at work") && error.contains("two minutes"), "{error}");
        expire_lease(&pool).await;
        let output = setup.run(&["backfill"]).await;
        assert!(output.status.success(), "{output:?}");
        let instance: String = sqlx::query("SELECT instance_id FROM clerk_mirror_instances")
            .fetch_one(&pool)
            .await
            .unwrap()
            .get(0);
        let client = site::client(&setup.fake, tower_clerk::Clock::system());
        assert_eq!(State::of_mirror(&pool, &instance).await, State::of_clerk(&client).await);
        pool.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y6_a_process_that_was_stopped_beyond_its_lease_fails_and_writes_nothing() {
    each(async |database| {
        let setup = Setup::new(&database.url).await;
        assert!(setup.run(&["migrate"]).await.status.success());
        let pool = pool(&database.url);
        // The page is on its way when the process is stopped.
        let hold = setup.fake.hold_answer(tower_clerk::testing::Endpoint::Users);
        let child =
            setup.command(&["backfill"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut process = Process(child);
        hold.arrived(1).await;
        let id = process.0.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
        hold.release();
        expire_lease(&pool).await;
        let output = setup.run(&["backfill"]).await;
        assert!(output.status.success(), "{output:?}");
        let revisions = "SELECT CAST(SUM(revision) AS BIGINT) FROM clerk_mirror_users";
        let before: i64 = sqlx::query(revisions).fetch_one(&pool).await.unwrap().get(0);
        assert!(Command::new("kill").args(["-CONT", &id]).status().unwrap().success());
        until("it ends", async || process.0.try_wait().unwrap().is_some()).await;
        assert_eq!(process.0.wait().unwrap().code(), Some(1));
        let mut error = String::new();
        std::io::Read::read_to_string(process.0.stderr.as_mut().unwrap(), &mut error).unwrap();
        assert!(error.contains("taken the lease over"), "{error}");
        let after: i64 = sqlx::query(revisions).fetch_one(&pool).await.unwrap().get(0);
        assert_eq!((users(&pool).await, after), (20, before));
        pool.close().await;
    })
    .await;
}
