//! A process that is killed while it writes.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::{Dir, find, found, login, open, save, sql};

const PATH: &str = "TOWER_CLERK_TEST_STORE";

/// Not a test: the process that `kill_9_in_a_transaction…` kills. It stops in the middle of a transaction that has
/// already changed the file.
#[test]
fn child_that_is_killed() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let file = sql(path.as_ref());
    file.pragma_update(None, "cache_size", 1).unwrap();
    file.pragma_update(None, "cache_spill", 1).unwrap();
    file.execute_batch("BEGIN IMMEDIATE; DELETE FROM records").unwrap();
    for name in 0..200_u32 {
        let insert = "INSERT INTO records VALUES (?1, x'00', 1, x'00', x'00', 0, 0, zeroblob(3000))";
        file.execute(insert, [name.to_be_bytes()]).unwrap();
    }
    println!("\nready");
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn kill_9_in_a_transaction_leaves_the_state_before_it() {
    let dir = Dir::new();
    let state = open(&dir.path());
    save(&state, "ada", "secret", &login("user_1", "sess_1", "token")).await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crashes::child_that_is_killed", "--nocapture"])
        .env(PATH, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "ready"));
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = dir.path().with_file_name("state-journal");
    assert!(journal.metadata().unwrap().len() > 0, "the transaction was under way");
    // In the process that goes on, and in one that starts.
    assert_eq!(found(&state, "ada", "secret").await.unwrap().1, "token");
    drop(state);
    let state = open(&dir.path());
    assert!(find(&state, "ada", "secret").await.is_some());
    let count: i64 =
        sql(&dir.path()).query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}
