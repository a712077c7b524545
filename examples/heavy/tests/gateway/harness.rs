//! The gateway as a process, and requests to it byte by byte.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

pub(crate) const JANE: &str = "jane@example.com:correct horse battery staple";
pub(crate) const BOB: &str = "bob@example.com:hunter2hunter2";
pub(crate) const CAROL: &str = "carol@example.com:personal account only";

/// A process that ends with its test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The upstream that shows what reaches it, unless `UPSTREAM_URL` is set.
    pub(crate) echo: Option<SocketAddr>,
    /// Kept open, so that the program can print.
    _stdout: BufReader<ChildStdout>,
}

/// The example's command, with no settings but these.
pub(crate) fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program());
    command.env_clear().env("LISTEN_ADDR", "127.0.0.1:0").env("SIGN_IN_RATE", "off");
    command.envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

/// Cargo builds examples before tests, into a folder beside theirs, but names no path to them.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/gateway");
    assert!(
        program.exists(),
        "{program:?} isn't built; run `cargo build -p tower-clerk-heavy-examples --examples`"
    );
    program
}

impl Gateway {
    /// Starts the gateway with an instance and, if `UPSTREAM_URL` isn't set, an upstream of its own.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let mut child = command(settings).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let process = Process(child);
        let mut echo = None;
        let address = loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the gateway ended before it listened");
            let address = || line.trim().rsplit_once("http://").unwrap().1.parse().unwrap();
            if line.starts_with("listening on ") {
                break address();
            }
            if line.contains("an echo runs inside") {
                echo = Some(address());
            }
        };
        Self { process, address, echo, _stdout: stdout }
    }

    pub(crate) fn with_upstream(upstream: SocketAddr, settings: &[(&str, &str)]) -> Self {
        let url = format!("http://{upstream}");
        Self::start(&[settings, &[("UPSTREAM_URL", &*url)]].concat())
    }
}

/// The field that a client sends for this identifier and password.
pub(crate) fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))
}

/// A GET request with these lines.
pub(crate) fn get(path: &str, lines: &[&str]) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: api.example\r\n{}\r\n", lines.concat()).into_bytes()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body has come to its end as its framing says.
    pub(crate) is_complete: bool,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The echo's description of the request.
    pub(crate) fn seen(&self) -> Seen {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        let fields =
            |key: &str| -> Vec<(String, String)> { serde_json::from_value(json[key].clone()).unwrap() };
        Seen { fields: fields("headers"), trailers: fields("trailers"), json }
    }
}

/// The request that has reached the echo.
pub(crate) struct Seen {
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) json: Value,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = fields.iter().filter(|(other, _)| other == name).map(|(_, value)| &**value);
    let value = values.next();
    assert!(values.next().is_none(), "{name} is repeated: {fields:?}");
    value
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends bytes, and reads the answer.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = connect(address);
    // The server may answer and close before it has read everything.
    _ = stream.write_all(request);
    read_answer(&mut BufReader::new(stream))
}

pub(crate) fn read_answer(reader: &mut impl std::io::BufRead) -> Answer {
    let (start, fields) = read_head(reader);
    let status = start.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer but {start:?}"));
    let mut answer = Answer { status, fields, body: Vec::new(), is_complete: true };
    if answer.field("transfer-encoding") == Some("chunked") {
        (answer.body, answer.is_complete) = read_chunks(reader);
    } else if let Some(length) = answer.field("content-length") {
        let length: u64 = length.parse().unwrap();
        _ = reader.take(length).read_to_end(&mut answer.body);
        answer.is_complete = answer.body.len() as u64 == length;
    } else if status >= 200 && status != 204 && status != 304 {
        _ = reader.read_to_end(&mut answer.body);
    }
    answer
}

/// The first line of a message and its fields, names in lower case.
pub(crate) fn read_head(reader: &mut impl std::io::BufRead) -> (String, Vec<(String, String)>) {
    let mut line = || {
        let mut line = Vec::new();
        _ = reader.read_until(b'\n', &mut line);
        String::from_utf8_lossy(&line).trim_end().to_owned()
    };
    let start = line();
    let mut fields = Vec::new();
    while let Some((name, value)) = line().split_once(':') {
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    (start, fields)
}

fn read_chunks(reader: &mut impl std::io::BufRead) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        _ = reader.read_line(&mut line);
        let Ok(length) = u64::from_str_radix(line.trim(), 16) else { return (body, false) };
        let read = reader.take(length).read_to_end(&mut body).unwrap_or_default();
        if read as u64 != length {
            return (body, false);
        }
        let mut end = String::new();
        _ = reader.read_line(&mut end);
        if length == 0 {
            return (body, true);
        }
    }
}

/// Serves connections one after another, each by this function, for as long as the test runs.
pub(crate) fn upstream(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    address
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
