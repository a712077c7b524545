//! The settings of a Redis or Valkey server that replicas share.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::StoreKey;

/// Replicas that are expected before the server has been reached, unless it is set.
const EXPECTED_REPLICAS: u32 = 4;

/// How long a request waits for an answer.
const PATIENCE: Duration = Duration::from_millis(100);

/// Names in the server depend on this string: never change it.
const SUBJECTS: &str = "tower-clerk 2026-12-01 cluster, users and identifiers";

/// The longest name of a cluster or an egress.
const LONGEST_NAME: usize = 64;

/// A Redis or Valkey server that the replicas of a program share: a revocation in one of them reaches all. Give it to
/// [`ClerkBuilder::store`](crate::ClerkBuilder::store).
///
/// Any Redis from 6.2 and any Valkey will do, without persistence. Nothing is sent before the engine is built, and a server
/// that is away, slow or full stops no request: each replica goes on alone meanwhile, and tells the others afterwards.
/// Proven credentials and sessions are not in it.
///
/// ```no_run
/// use tower_clerk::Clerk;
/// use tower_clerk::store::{RedisStore, StoreKey};
///
/// # fn key() -> StoreKey { StoreKey::from([7; 32]) }
/// let store = RedisStore::new("rediss://tower-clerk:password@redis.internal:6379")?.keys([key()]).cluster("prod");
/// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k").store(store).build()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore {
    pub(crate) address: Address,
    pub(crate) keys: Vec<StoreKey>,
    pub(crate) cluster: String,
    pub(crate) egress: String,
    pub(crate) expected_replicas: u32,
    pub(crate) patience: Duration,
}

/// Where the server is, and how to log in.
pub(crate) struct Address {
    pub(crate) info: redis::ConnectionInfo,
    pub(crate) tls: bool,
}

impl RedisStore {
    /// The server at this URL: `redis://`, `rediss://` for TLS, or `redis+unix:///path` for a Unix socket. Nothing is sent.
    ///
    /// A user and a password may be in it: `redis://user:password@host`, `redis+unix:///path?user=…&pass=…`. With TLS, the
    /// certificate is verified as the platform does.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is none of these, or asks for TLS without the crate's feature `rustls`.
    pub fn new(url: &str) -> Result<Self, InvalidRedisUrl> {
        let address = Address::parse(url).ok_or(InvalidRedisUrl)?;
        Ok(Self {
            address,
            keys: Vec::new(),
            cluster: "default".to_owned(),
            egress: "default".to_owned(),
            expected_replicas: EXPECTED_REPLICAS,
            patience: PATIENCE,
        })
    }

    /// Sets the keys that everything in the server is encrypted under. At least one is required.
    ///
    /// To rotate a key, start all replicas with the new key and the old one, in this order, and later with the new one
    /// alone.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = StoreKey>) -> Self {
        self.keys = keys.into_iter().collect();
        self
    }

    /// Sets the name of the replicas that belong together: `default` by default. Clusters of different names share a server
    /// and nothing in it. Letters, digits, `-`, `_` and `.`, at most 64.
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Sets the name of the address by which these replicas reach Clerk: `default` by default. Clerk counts sign-ins by
    /// address, so replicas behind another address have another budget. Letters, digits, `-`, `_` and `.`, at most 64.
    #[must_use]
    pub fn egress(mut self, name: impl Into<String>) -> Self {
        self.egress = name.into();
        self
    }

    /// Sets how many replicas a process assumes until it has reached the server for the first time: 4 by default, from 1 to
    /// 1,000. Until then it makes that part of the sign-ins that the budget allows.
    #[must_use]
    pub fn expected_replicas(mut self, replicas: u32) -> Self {
        self.expected_replicas = replicas;
        self
    }

    /// Sets how long a request waits for an answer, for tests on busy machines: 100 ms by default.
    #[cfg(any(test, feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The secret that users and identifiers are named with. It is that of the last key, which stays while a key is rotated,
    /// so that replicas with the old key and with both count together.
    pub(crate) fn subjects(&self, issuer: &str) -> Zeroizing<[u8; 32]> {
        // `problem` refuses a store without keys.
        let key = self.keys.last().map(|key| key.derive(SUBJECTS, &[&self.cluster, issuer]));
        key.unwrap_or_default()
    }

    /// The setting that is unusable, and what it must be.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let is_name = |name: &str| {
            let fits = (1..=LONGEST_NAME).contains(&name.len());
            fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let name = "must be 1 to 64 letters, digits, `-`, `_` or `.`";
        if self.keys.is_empty() {
            return Some(("keys", "are required: 32 random bytes, by `openssl rand -base64 32`"));
        }
        if !is_name(&self.cluster) {
            return Some(("cluster", name));
        }
        if !is_name(&self.egress) {
            return Some(("egress", name));
        }
        if !(1..=1000).contains(&self.expected_replicas) {
            return Some(("expected_replicas", "must be from 1 to 1,000"));
        }
        None
    }
}

impl Address {
    fn parse(url: &str) -> Option<Self> {
        // The library would have TLS of its own, with another choice of certificates.
        let rest = url.strip_prefix("rediss://").or_else(|| url.strip_prefix("valkeys://"));
        let tls = rest.is_some();
        if (tls && !cfg!(feature = "rustls")) || url.contains('#') {
            return None;
        }
        let plain = Zeroizing::new(rest.map_or_else(|| url.to_owned(), |rest| format!("redis://{rest}")));
        let info = redis::IntoConnectionInfo::into_connection_info(plain.as_str()).ok()?;
        Some(Self { info, tls })
    }

    /// The host, or the path of the socket. Without the password, for the log.
    pub(crate) fn place(&self) -> String {
        match self.info.addr() {
            redis::ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
            redis::ConnectionAddr::Unix(path) => PathBuf::from(path).display().to_string(),
            _ => String::new(),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("place", &self.address.place())
            .field("cluster", &self.cluster)
            .field("egress", &self.egress)
            .field("expected_replicas", &self.expected_replicas)
            .finish_non_exhaustive()
    }
}

/// The error of a URL that [`RedisStore::new`] can't use. It doesn't show the URL, which may have a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidRedisUrl;

impl fmt::Display for InvalidRedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the address of Redis must be redis://[user:password@]host[:port], rediss:// for TLS (with the crate's feature \
             `rustls`), or redis+unix:///path",
        )
    }
}

impl std::error::Error for InvalidRedisUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h6_an_address_shows_no_password_and_a_wrong_one_is_refused() {
        for url in ["redis://u:hunter2@h:1/3", "redis+unix:///tmp/s?pass=hunter2", "valkey://:hunter2@h"] {
            let store = RedisStore::new(url).unwrap();
            let shown = format!("{store:?}");
            assert!(!shown.contains("hunter2") && !store.address.tls, "{shown}");
            assert_eq!(store.address.info.redis_settings().password(), Some("hunter2"));
        }
        assert_eq!(RedisStore::new("rediss://u:p@h").is_ok(), cfg!(feature = "rustls"));
        for url in ["", "h:6379", "http://h", "rediss://h#insecure", "redis://", "redis://h/x"] {
            let error = RedisStore::new(url).unwrap_err();
            assert!(url.is_empty() || !error.to_string().contains(&format!(" {url} ")));
        }
    }

    #[test]
    fn h6_a_store_needs_keys_and_names_that_are_names() {
        let store = || RedisStore::new("redis://h").unwrap().keys([StoreKey::from([7; 32])]);
        assert_eq!(store().problem(), None);
        let problem = |store: RedisStore| store.problem().map(|(setting, _)| setting);
        assert_eq!(problem(store().keys([])), Some("keys"));
        assert_eq!(problem(store().cluster("a}b")), Some("cluster"));
        assert_eq!(problem(store().egress("")), Some("egress"));
        assert_eq!(problem(store().expected_replicas(0)), Some("expected_replicas"));
    }
}
