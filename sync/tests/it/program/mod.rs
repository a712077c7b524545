//! The program `clerk-sync`, as a process, against a stand-in on a socket.

mod commands;
mod killed;
mod million;
mod quarantine;
mod settings;
mod watch;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tower_clerk::testing::{
    FakeClerk, FakeClerkServer, FakeOrganization, FakeUser, WebhookEndpoint, WebhookSecret,
};

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A stand-in on a socket, and the settings of the program for it.
struct Setup {
    fake: FakeClerk,
    server: FakeClerkServer,
    database: String,
}

impl Setup {
    /// Twenty users, who are members of one organization.
    async fn new(database: &str) -> Self {
        let fake = FakeClerk::builder().empty().no_rate_limit().build();
        fake.hold_webhooks();
        fake.add_organization(FakeOrganization::new("acme"));
        for number in 0..20 {
            let user = fake.add_user(FakeUser::new(format!("user{number}@example.com")));
            fake.add_member(&user, "acme", "org:member");
        }
        Self::with(database, fake).await
    }

    async fn with(database: &str, fake: FakeClerk) -> Self {
        let server = fake.serve("127.0.0.1:0").await.unwrap();
        Self { fake, server, database: database.to_owned() }
    }

    /// The program with these arguments, and with no settings but those for the stand-in.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command
            .env("DATABASE_URL", &self.database)
            .env("CLERK_SECRET_KEY", self.fake.secret_key())
            .env("CLERK_API_URL", self.server.url())
            .env("LIST_RATE", "10000/1s");
        command
    }

    /// Runs the program to its end.
    async fn run(&self, arguments: &[&str]) -> Output {
        output(self.command(arguments)).await
    }

    /// Runs the program with `--json`, and returns its exit code and what it printed.
    async fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[arguments, &["--json"]].concat()).await;
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code().unwrap(), json)
    }

    /// Starts `clerk-sync watch`, and has the stand-in send its webhooks there. Its output is returned so that it stays
    /// open, and the address that it listens on.
    async fn watch(&self) -> (Process, BufReader<ChildStdout>, String) {
        let secret = WebhookSecret::random();
        let mut command = self.command(&["watch", "--listen-addr", "127.0.0.1:0"]);
        command.env("CLERK_WEBHOOK_SIGNING_SECRET", secret.expose());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let process = Process(child);
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (line, stdout)
        });
        let (line, stdout) = line.await.unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}"));
        self.fake.add_webhook(WebhookEndpoint::at(&format!("{url}/webhooks/clerk"), secret).unwrap());
        (process, stdout, url.to_owned())
    }

    /// Migrates and fills the mirror.
    async fn fill(&self) {
        for command in ["migrate", "backfill"] {
            let output = self.run(&[command]).await;
            assert!(output.status.success(), "{output:?}");
        }
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clerk-sync"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end, while the stand-in answers.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Waits until a condition holds, for a minute at most.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(), "{what}");
}
