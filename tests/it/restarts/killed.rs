//! The example `server` is killed and started again, over sockets.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeClerkServer, FakeUser};

use super::{Api, BOTH};
use crate::stores::{LOGIN, StoreFile};

/// The requests that are under way at a time.
const CLIENTS: usize = 32;

const LIVE: &str = "sk_live_not0real0but0of0the0right0shape";

/// The example, which cargo builds beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/server");
    assert!(program.exists(), "build it first: cargo build --example server");
    program
}

struct Server {
    process: Child,
    address: String,
    log: PathBuf,
}

impl Server {
    fn start(api: Api, fake: &FakeClerkServer, clerk: &FakeClerk, store: &StoreFile) -> Self {
        let mut command = Command::new(program());
        command.env_clear().env("CLERK_FAPI_URL", fake.url()).env("LISTEN_ADDR", "127.0.0.1:0");
        command.env("STORE_FILE", store.path()).env("SIGN_IN_RATE", "off").env("RUST_LOG", "warn");
        if api == Api::Backend {
            command.env("CLERK_SECRET_KEY", clerk.secret_key()).env("CLERK_API_URL", fake.url());
        }
        let log = store.path().with_extension("log");
        let mut process = command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://").map(str::to_owned))
            .expect("the server listens");
        Self { process, address, log }
    }

    /// Whether reading a record has taken longer than a request may wait for a store, as it can on a busy machine: the
    /// server then signs users in instead (rule H3).
    fn was_too_slow(&self) -> bool {
        fs::read_to_string(&self.log).unwrap().contains("it took too long")
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a request for each user, a few at a time.
    async fn serve_all(&self, users: usize) -> Waits {
        let (mut requests, mut longest, started) = (JoinSet::new(), Duration::ZERO, Instant::now());
        for at in 0..users {
            if requests.len() >= CLIENTS {
                longest = longest.max(requests.join_next().await.unwrap().unwrap());
            }
            let address = self.address.clone();
            requests.spawn(async move {
                let began = Instant::now();
                let (name, password) = credentials(at);
                let status = get(&address, &name, &password).await;
                assert_eq!(status, 200, "{name}");
                began.elapsed()
            });
        }
        while let Some(took) = requests.join_next().await {
            longest = longest.max(took.unwrap());
        }
        // A request has as many others in front of it as are under way.
        let queue =
            started.elapsed() * u32::try_from(CLIENTS.min(users)).unwrap() / u32::try_from(users).unwrap();
        Waits { longest, queue }
    }
}

/// How long requests took.
#[derive(Debug)]
struct Waits {
    longest: Duration,
    /// The part that others in front of it explain, at the pace of all.
    queue: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn credentials(at: usize) -> (String, String) {
    (format!("user{at}@example.com"), format!("the password of {at}"))
}

async fn get(address: &str, name: &str, password: &str) -> u16 {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let pair = BASE64_STANDARD.encode(format!("{name}:{password}"));
    let request = format!(
        "GET /me HTTP/1.1\r\nhost: {address}\r\nauthorization: Basic {pair}\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let status = answer.get(9..12).and_then(|status| str::from_utf8(status).ok()?.parse().ok());
    status.unwrap_or_default()
}

async fn kill_and_start_again(users: usize, longest: impl Fn(&Waits) -> Duration) {
    for api in BOTH {
        // The limits of a production instance, as a development key's lets in two users a second.
        let clerk = FakeClerk::builder().no_rate_limit().secret_key(LIVE).build();
        for at in 0..users {
            let (name, password) = credentials(at);
            clerk.add_user(FakeUser::new(&name).password(&password));
        }
        let fake = clerk.serve("127.0.0.1:0").await.unwrap();
        let store = StoreFile::new();
        let server = Server::start(api, &fake, &clerk, &store);
        let before = server.serve_all(users).await;
        // The records of the last sign-ins are written after their answers.
        let began = Instant::now();
        while store.count(LOGIN) < users as i64 {
            assert!(began.elapsed() < Duration::from_secs(300), "the records are written");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.kill();
        let (again, after, sessions, asked) = loop {
            clerk.clear_log();
            let sessions = clerk.live_sessions();
            let again = Server::start(api, &fake, &clerk, &store);
            let after = again.serve_all(users).await;
            let asked = [Endpoint::SignIns, Endpoint::VerifyPassword].map(|it| clerk.count(it));
            if asked == [0, 0] || !again.was_too_slow() {
                break (again, after, sessions, asked);
            }
            assert!(began.elapsed() < Duration::from_secs(300), "the machine is too busy to read a file");
            again.kill();
        };
        let size = fs::metadata(store.path()).unwrap().len();
        println!("{api:?}, {users} users: {before:?} at first, {after:?} after the restart; {size} bytes");
        assert_eq!(asked, [0, 0], "{api:?}");
        assert_eq!(clerk.live_sessions(), sessions, "{api:?}");
        assert!(after.longest < longest(&after), "{api:?}: {after:?}");
        again.kill();
        what_changed_meanwhile(api, &clerk, || Server::start(api, &fake, &clerk, &store)).await;
    }
}

/// While the server is away, a session is revoked at Clerk, and a password changed.
async fn what_changed_meanwhile(api: Api, clerk: &FakeClerk, start: impl FnOnce() -> Server) {
    let (revoked, changed) = (credentials(0), credentials(1));
    let of_user = clerk.user_id(&revoked.0).unwrap();
    let gone = clerk.sessions().into_iter().find(|it| it.is_live() && it.user_id() == of_user).unwrap();
    assert!(clerk.revoke_session(gone.id()));
    clerk.set_password(&changed.0, "a new one");
    clerk.clear_log();
    let server = start();
    // The first mint finds the revoked session out.
    assert_eq!(get(&server.address, &revoked.0, &revoked.1).await, 200, "{api:?}");
    assert_eq!(clerk.count(Endpoint::SignIns), 1, "{api:?}");
    assert_eq!(get(&server.address, &changed.0, "a new one").await, 200, "{api:?}");
    assert_eq!(get(&server.address, &changed.0, &changed.1).await, 401, "{api:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_server_that_is_killed_and_started_again_needs_no_sign_in() {
    kill_and_start_again(40, |_| Duration::MAX).await;
}

/// No request waits a second longer than those in front of it explain. Takes a few minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: 1,000 users, each with a password function of its own"]
async fn h2_a_server_with_a_thousand_users_that_is_killed_and_started_again_needs_no_sign_in() {
    kill_and_start_again(1_000, |after| after.queue + Duration::from_secs(1)).await;
}
