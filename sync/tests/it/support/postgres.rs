//! A PostgreSQL server on a Unix socket, in a folder of its own, as an unprivileged user.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

use sqlx::Connection as _;

use super::folder::Folder;

/// Starts the server, says so, and waits until standard input ends, which it does when the test's process ends in any way.
const KEEP: &str = r#"
set -eu
cd "$FOLDER"
[ -d data ] || "$BIN/initdb" -D data -U mirror -A trust --no-sync --no-locale -E UTF8 >initdb.log 2>&1
"$BIN/pg_ctl" -D data -w -t 60 -l server.log -o "-k $FOLDER -h '' -c max_connections=300 $OPTIONS" start >/dev/null
echo ready
cat >/dev/null
"$BIN/pg_ctl" -D data -m immediate stop >/dev/null 2>&1 || true
[ -z "$REMOVE" ] || rm -rf "$FOLDER"
"#;

/// A running server.
pub(crate) struct Server {
    keeper: Child,
    folder: Folder,
    options: String,
    /// Databases made so far.
    made: AtomicUsize,
}

impl Server {
    /// The server that all tests of this process share; `None` where PostgreSQL isn't installed.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        // The last writes are lost with the machine only, so that these tests need no `fsync`.
        SHARED.get_or_init(|| Self::new("-c fsync=off", true)).as_ref()
    }

    /// Starts a server of the test's own; `None` where PostgreSQL isn't installed.
    pub(crate) fn start(options: &str) -> Option<Self> {
        Self::new(options, false)
    }

    fn new(options: &str, is_shared: bool) -> Option<Self> {
        let Some(bin) = bin() else {
            assert!(env::var_os("REQUIRE_POSTGRES").is_none(), "PostgreSQL is required and isn't installed");
            eprintln!("PostgreSQL isn't installed (Debian: postgresql): its part of the tests is left out");
            return None;
        };
        let folder = Folder::new();
        let keeper = keep(&bin, folder.path(), options, is_shared);
        Some(Self { keeper, folder, options: options.to_owned(), made: AtomicUsize::new(0) })
    }

    /// The address of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display();
        format!("postgres:///{database}?host={folder}&user=mirror")
    }

    /// Creates an empty database, and returns its address.
    pub(crate) async fn create_database(&self) -> String {
        let name = format!("test{}", self.made.fetch_add(1, Ordering::Relaxed));
        let mut connection = sqlx::PgConnection::connect(&self.url("postgres")).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    /// Ends all processes of the server at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let pid = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        // The children of a postmaster that is killed end by themselves, but not at once.
        let children = Command::new("pgrep").args(["-P", pid]).output().unwrap().stdout;
        let children = String::from_utf8(children).unwrap();
        let status = Command::new("kill").arg("-9").arg(pid).args(children.lines()).status().unwrap();
        assert!(status.success());
        self.end_keeper();
    }

    /// Starts the server again, on the data that it left.
    pub(crate) fn restart(&mut self) {
        let _ = fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        self.keeper = keep(&bin().unwrap(), self.folder.path(), &self.options, false);
    }

    fn end_keeper(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end_keeper();
    }
}

/// Nothing in this process drops what is shared: its folder is removed by the keeper.
fn keep(bin: &Path, folder: &Path, options: &str, is_shared: bool) -> Child {
    let mut command = if is_root() {
        // PostgreSQL refuses to run as root.
        let owner = Command::new("chown").arg("nobody:nogroup").arg(folder).status().unwrap();
        assert!(owner.success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    let mut keeper = command
        .args(["-c", KEEP])
        .env("REMOVE", if is_shared { "1" } else { "" })
        .env("BIN", bin)
        .env("FOLDER", folder)
        .env("OPTIONS", options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    if ready != "ready\n" {
        let log = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let _ = std::io::stderr().write_all((log("initdb.log") + &log("server.log")).as_bytes());
        panic!("PostgreSQL didn't start");
    }
    keeper
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    id.starts_with(b"0")
}

/// The folder with the server's programs. Debian keeps them apart by version, and out of the path.
fn bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok();
    let debian = versions.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = debian.chain(env::split_paths(&path).collect::<Vec<_>>());
    folders.into_iter().filter(|folder| folder.join("initdb").exists()).max()
}
