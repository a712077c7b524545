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
    /// Connections that were broken so.
    broken: usize,
}

impl State {
    fn is_broken_by(&mut self, bytes: &[u8]) -> bool {
        let Some((command, left)) = &mut self.breaks_at else { return false };
        let here = bytes.windows(command.len()).filter(|window| *window == command.as_bytes()).count();
        if here <= *left {
            *left -= here;
            return false;
        }
        self.breaks_at = None;
        self.broken += 1;
        true
    }
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
                let (state, [to_server, to_client]) =
                    (Arc::clone(&shared), [&server, &client].map(UnixStream::try_clone));
                thread::spawn(move || {
                    copy(client, to_server.unwrap(), |bytes| state.lock().unwrap().is_broken_by(bytes));
                });
                thread::spawn(move || copy(server, to_client.unwrap(), |_| false));
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

    /// The connections so far.
    pub(super) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    pub(super) fn broken(&self) -> usize {
        self.state.lock().unwrap().broken
    }
}

/// Copies until one side ends, or until bytes break the connection.
fn copy(mut from: UnixStream, mut to: UnixStream, mut is_broken_by: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 65536];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if is_broken_by(&bytes[..read]) || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        _ = stream.shutdown(Shutdown::Both);
    }
}
