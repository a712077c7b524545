//! A Redis server of a test, on a Unix socket in a directory of its own.

use std::env;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_clerk::store::{RedisStore, StoreKey};

pub(crate) struct Redis {
    directory: PathBuf,
    process: Option<Child>,
}

impl Redis {
    /// `None`, and a line about it, if the program isn't installed. With `REQUIRE_REDIS` that fails the test.
    pub(crate) fn start() -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("tower-clerk-redis-{}-{count}", std::process::id()));
        _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        let mut redis = Self { directory, process: None };
        if redis.run() {
            return Some(redis);
        }
        assert!(env::var_os("REQUIRE_REDIS").is_none(), "redis-server is required and isn't installed");
        println!("LEFT OUT, not installed: redis-server");
        None
    }

    /// Starts the program, with nothing in it. `REDIS_SERVER` names another one, such as `valkey-server`.
    pub(crate) fn run(&mut self) -> bool {
        let program = env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let mut command = Command::new(program);
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(self.socket());
        command.arg("--dir").arg(&self.directory).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(process) = command.spawn() else { return false };
        self.process = Some(process);
        let began = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "redis-server listens");
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends the program at once. Its content is lost.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        _ = fs::remove_file(self.socket());
    }

    /// Stops the program, or lets it go on: its connections stay, and are not answered meanwhile.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    pub(crate) fn store(&self) -> RedisStore {
        self.store_with_key(7)
    }

    /// A store that reaches the server by another socket, whose answers come this many milliseconds late.
    pub(crate) fn slow_store(&self, late: &Arc<AtomicU64>) -> RedisStore {
        let (socket, late, server) = (self.directory.join("slow"), Arc::clone(late), self.socket());
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut sent, mut to_client) = client.into_split();
                let server = tokio::net::UnixStream::connect(&server).await.unwrap();
                let (mut answers, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut sent, &mut to_server).await });
                let late = Arc::clone(&late);
                tokio::spawn(async move {
                    let mut answer = vec![0; 65536];
                    while let Ok(length @ 1..) = answers.read(&mut answer).await {
                        tokio::time::sleep(Duration::from_millis(late.load(Ordering::Relaxed))).await;
                        if to_client.write_all(&answer[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let url = format!("redis+unix://{}", socket.display());
        RedisStore::new(&url).unwrap().keys([StoreKey::from([7; 32])])
    }

    pub(crate) fn store_with_key(&self, key: u8) -> RedisStore {
        let url = format!("redis+unix://{}", self.socket().display());
        let store = RedisStore::new(&url).unwrap().keys([StoreKey::from([key; 32])]);
        // The machine may be busy with the other tests.
        store.patience(Duration::from_secs(2))
    }

    /// The answer to a command of a client of the test's own.
    pub(crate) fn ask(&self, command: &[&str]) -> redis::Value {
        self.send(redis::cmd(command[0]).arg(&command[1..]))
    }

    pub(crate) fn send(&self, command: &redis::Cmd) -> redis::Value {
        let url = format!("redis+unix://{}", self.socket().display());
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        command.query(&mut connection).unwrap()
    }

    /// The name of the log of changes, if it is there.
    pub(crate) fn log(&self) -> Option<String> {
        self.name("*:log")
    }

    /// A name of this pattern, if it is there.
    pub(crate) fn name(&self, pattern: &str) -> Option<String> {
        let redis::Value::Array(keys) = self.ask(&["KEYS", pattern]) else { return None };
        let redis::Value::BulkString(name) = keys.into_iter().next()? else { return None };
        String::from_utf8(name).ok()
    }

    /// The time of the server, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        let (seconds, microseconds): (u64, u64) = redis::from_redis_value(self.ask(&["TIME"])).unwrap();
        seconds * 1000 + microseconds / 1000
    }

    /// Adds members that have been silent for a moment: processes that were killed, or machines that are cut off.
    pub(crate) fn add_silent(&self, count: usize) {
        let members = self.name("*:members:*").unwrap();
        let silent_since = (self.now() - 5000).to_string();
        for at in 0..count {
            self.ask(&["ZADD", &members, &silent_since, &format!("silent {at}")]);
        }
    }

    /// Everything that a thief of the server gets: a dump of its memory in a file.
    pub(crate) fn everything(&self) -> Vec<u8> {
        self.ask(&["CONFIG", "SET", "rdbcompression", "no"]);
        self.ask(&["SAVE"]);
        fs::read(self.directory.join("dump.rdb")).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        _ = fs::remove_dir_all(&self.directory);
    }
}
