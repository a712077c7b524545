//! A way to a Redis server that can be closed, and that breaks at a command of the test's choice.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use tower_clerk::store::{RedisStore, StoreKey};

use super::server::Redis;

pub(super) struct Proxy {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    connections: usize,
    /// A command, and how many of it are still to pass before one breaks its connection.
    breaks_at: Option<(&'static str, usize)>,
    /// A text by which the server's next answer is known that is swallowed.
    swallows: Option<&'static str>,
    /// Connections that were broken so.
    broken: usize,
}

/// The fate of bytes on their way.
enum Fate {
    Passes,
    IsSwallowed,
    Breaks,
}

impl State {
    fn judges_request(&mut self, bytes: &[u8]) -> Fate {
        let Some((command, left)) = &mut self.breaks_at else { return Fate::Passes };
        let here = count(bytes, command);
        if here <= *left {
            *left -= here;
            return Fate::Passes;
        }
        self.breaks_at = None;
        self.broken += 1;
        Fate::Breaks
    }

    fn judges_answer(&mut self, bytes: &[u8]) -> Fate {
        match self.swallows.take_if(|text| count(bytes, text) > 0) {
            Some(_) => Fate::IsSwallowed,
            None => Fate::Passes,
        }
    }
}

fn count(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
}

impl Proxy {
    pub(super) fn start(redis: &Redis) -> Self {
        let (socket, server) = (redis.socket().with_file_name("proxy"), redis.socket());
        let listener = UnixListener::bind(&socket).unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                {
                    let mut state = shared.lock().unwrap();
                    state.connections += 1;
                    if state.is_closed {
                        continue;
                    }
                }
                let Ok(server) = UnixStream::connect(&server) else { continue };
                let [requests, answers] = [Arc::clone(&shared), Arc::clone(&shared)];
                let [to_server, to_client] = [&server, &client].map(|it| it.try_clone().unwrap());
                thread::spawn(move || {
                    copy(client, to_server, |it| requests.lock().unwrap().judges_request(it));
                });
                thread::spawn(move || {
                    copy(server, to_client, |it| answers.lock().unwrap().judges_answer(it));
                });
            }
        });
        Self { socket, state }
    }

    pub(super) fn store(&self) -> RedisStore {
        RedisStore::new(&format!("redis+unix://{}", self.socket.display()))
            .unwrap()
            .keys([StoreKey::from([7; 32])])
    }

    /// Lets no new connection through, or does so again.
    pub(super) fn close(&self, is_closed: bool) {
        self.state.lock().unwrap().is_closed = is_closed;
    }

    /// Breaks a connection at a command, before the server gets it, after this many of it.
    pub(super) fn break_at(&self, command: &'static str, after: usize) {
        self.state.lock().unwrap().breaks_at = Some((command, after));
    }

    /// Swallows the server's next answer that contains this.
    pub(super) fn swallow(&self, text: &'static str) {
        self.state.lock().unwrap().swallows = Some(text);
    }

    /// The connections so far.
    pub(super) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    pub(super) fn broken(&self) -> usize {
        self.state.lock().unwrap().broken
    }
}

/// Copies until one side ends, or until bytes break the connection.
fn copy(mut from: UnixStream, mut to: UnixStream, mut judge: impl FnMut(&[u8]) -> Fate) {
    let mut bytes = [0; 65536];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        match judge(&bytes[..read]) {
            Fate::IsSwallowed => {}
            Fate::Passes if to.write_all(&bytes[..read]).is_ok() => {}
            Fate::Passes | Fate::Breaks => break,
        }
    }
    for stream in [from, to] {
        _ = stream.shutdown(Shutdown::Both);
    }
}
