//! Where a Clerk instance's Frontend API is, and what its tokens name as their issuer.

use std::error::Error as StdError;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use http::Uri;

/// What kind of instance a key belongs to: Clerk's limits differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    Production,
    Development,
}

/// A Clerk instance, as its publishable key or its address names it.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    base: Arc<str>,
    /// As a publishable key says it; an address doesn't.
    environment: Option<Environment>,
}

impl Instance {
    /// Takes a publishable key, or the address of a Frontend API or of a proxy before it.
    ///
    /// Plain http is for loopback addresses alone: whatever is sent there holds a password.
    ///
    /// # Errors
    ///
    /// [`InstanceError`] says what to put there instead.
    pub(crate) fn parse(input: &str) -> Result<Self, InstanceError> {
        if input.is_empty() {
            return Err(InstanceError::Empty);
        }
        // Before anything else, so that no other error gets to show it.
        if holds_secret_key(input) {
            return Err(InstanceError::SecretKey);
        }
        if input.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(InstanceError::Whitespace);
        }
        if let Some(encoded) = input.strip_prefix("pk_live_") {
            Self::from_key(encoded, Environment::Production)
        } else if let Some(encoded) = input.strip_prefix("pk_test_") {
            Self::from_key(encoded, Environment::Development)
        } else {
            Self::from_url(input)
        }
    }

    fn from_key(encoded: &str, environment: Environment) -> Result<Self, InstanceError> {
        let decoded = STANDARD_PAD_INDIFFERENT.decode(encoded).map_err(|_| InstanceError::PublishableKey)?;
        let host = str::from_utf8(&decoded)
            .ok()
            .and_then(|text| text.strip_suffix('$'))
            .map(str::to_ascii_lowercase)
            // A name with a dot in it, and no port, path or user: a key is copied about, and whoever makes one up
            // must not be able to point us into a private network by number.
            .filter(|host| host.contains('.') && is_dns_name(host))
            .ok_or(InstanceError::PublishableKey)?;
        Ok(Self { base: format!("https://{host}").into(), environment: Some(environment) })
    }

    fn from_url(input: &str) -> Result<Self, InstanceError> {
        // `http::Uri` drops a fragment without a word.
        if input.contains(['?', '#', '@', '\\', '%']) {
            return Err(InstanceError::UrlParts);
        }
        let uri: Uri = input.parse().map_err(|_| InstanceError::Unrecognized)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InstanceError::Unrecognized);
        };
        let is_https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(InstanceError::Unrecognized),
        };
        let host = authority.host().to_ascii_lowercase();
        let kind = HostKind::of(&host);
        if kind == HostKind::Invalid {
            return Err(InstanceError::Host { host });
        }
        if !is_https && kind != HostKind::Loopback {
            return Err(InstanceError::PlainHttp { host });
        }
        // Not `port_u16`, which takes a port that is no number for none.
        let port = match authority.as_str()[host.len()..].strip_prefix(':').map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port != 0 => Some(port),
            Some(_) => return Err(InstanceError::Host { host }),
        };
        // Clerk's `iss` never names the default port.
        let port = match (is_https, port) {
            (_, None) | (true, Some(443)) | (false, Some(80)) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        let path = uri.path().trim_end_matches('/');
        if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(InstanceError::UrlParts);
        }
        Ok(Self { base: format!("{scheme}://{host}{port}{path}").into(), environment: None })
    }

    /// An absolute address at this instance; the path starts with a slash.
    pub(crate) fn url(&self, path_and_query: &str) -> String {
        debug_assert!(path_and_query.starts_with('/'));
        [&*self.base, path_and_query].concat()
    }

    /// What `iss` of this instance's tokens says: its address, without a slash at the end.
    pub(crate) fn issuer(&self) -> &str {
        &self.base
    }

    /// Whether it is a production or a development instance, where that is known.
    pub(crate) fn environment(&self) -> Option<Environment> {
        self.environment
    }

    /// Whether requests are encrypted on their way. If not, they stay on this machine.
    pub(crate) fn is_https(&self) -> bool {
        self.base.starts_with("https:")
    }
}

/// Whether a secret key of Clerk's stands anywhere in the input, whatever surrounds it.
fn holds_secret_key(input: &str) -> bool {
    let input = input.to_ascii_lowercase();
    input.match_indices("sk_").any(|(at, _)| {
        let stands_alone = !input[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        stands_alone || input[at..].starts_with("sk_live_") || input[at..].starts_with("sk_test_")
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostKind {
    Loopback,
    Remote,
    Invalid,
}

impl HostKind {
    fn of(host: &str) -> Self {
        let is_loopback = if let Some(address) = host.strip_prefix('[') {
            match address.strip_suffix(']').map(str::parse::<Ipv6Addr>) {
                Some(Ok(address)) => address.is_loopback(),
                _ => return Self::Invalid,
            }
        } else if let Ok(address) = host.parse::<Ipv4Addr>() {
            address.is_loopback()
        } else if is_dns_name(host) {
            host == "localhost"
        } else {
            return Self::Invalid;
        };
        if is_loopback { Self::Loopback } else { Self::Remote }
    }
}

/// A host name in its ASCII form.
fn is_dns_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A resolver may read a name that ends in a number as an address: `127.1`, `0x7f000001`.
    let ends_in_number = |host: &str| {
        let last = host.rsplit('.').next().unwrap_or(host);
        last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x")
    };
    host.len() <= 253 && host.split('.').all(is_label) && !ends_in_number(host)
}

/// A value that names no Clerk instance.
///
/// It shows at most the host of an address, never a key. Its message says what to put there instead, so a
/// program does well to print it and stop.
///
/// ```
/// use tower_clerk::error::InstanceError;
///
/// assert!(InstanceError::SecretKey.to_string().contains("pk_live_"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceError {
    /// Nothing was given, as by an environment variable that is set to nothing.
    Empty,
    /// A secret key was given. It opens the whole instance, and this crate has no use for it here.
    SecretKey,
    /// There is white space in or around the value.
    Whitespace,
    /// A publishable key that is cut off or mistyped.
    PublishableKey,
    /// Neither a publishable key nor an address.
    Unrecognized,
    /// The address has a user, a query or a fragment, or a path that isn't plain.
    UrlParts,
    /// The address is http, and leads away from this machine: passwords would travel in clear.
    #[non_exhaustive]
    PlainHttp {
        /// Where it leads.
        host: String,
    },
    /// The address's host is no name or address that a request can be sent to.
    #[non_exhaustive]
    Host {
        /// What stands there.
        host: String,
    },
}

impl fmt::Display for InstanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "no Clerk instance is given: set the publishable key from the API keys page of Clerk's dashboard",
            ),
            Self::SecretKey => f.write_str(
                "this is a secret key, where the publishable key (pk_live_... or pk_test_...) belongs; \
                 if it has been shown anywhere, rotate it in Clerk's dashboard",
            ),
            Self::Whitespace => f.write_str("there is white space in the Clerk instance's value: take it out"),
            Self::PublishableKey => f.write_str(
                "the publishable key is incomplete: copy it again from the API keys page of Clerk's dashboard",
            ),
            Self::Unrecognized => f.write_str(
                "this names no Clerk instance: give a publishable key (pk_live_... or pk_test_...) \
                 or the address of its Frontend API (https://clerk.example.com)",
            ),
            Self::UrlParts => f.write_str(
                "the Clerk instance's address holds more than scheme, host, port and plain path: take the rest out",
            ),
            Self::PlainHttp { host } => write!(
                f,
                "passwords would travel in clear to {host}: use https, as http is for this machine's own addresses",
            ),
            Self::Host { host } => write!(
                f,
                "{host} is no host that a request can be sent to: check the Clerk instance's address",
            ),
        }
    }
}

impl StdError for InstanceError {}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn issuer(input: &str) -> String {
        Instance::parse(input).unwrap_or_else(|error| panic!("{input}: {error}")).issuer().to_owned()
    }

    fn key_of(text: &str) -> String {
        format!("pk_test_{}", STANDARD.encode(text))
    }

    #[test]
    fn a_publishable_key_names_its_host() {
        let instance = Instance::parse("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").unwrap();
        assert_eq!(instance.issuer(), "https://example.accounts.dev");
        assert!(instance.is_https());
        let instance = Instance::parse("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k").unwrap();
        assert_eq!(instance.url("/v1/client?a=b"), "https://clerk.example.com/v1/client?a=b");
    }

    #[test]
    fn a_publishable_key_may_come_without_its_padding() {
        let padded = key_of("clerk.example.co$");
        assert!(padded.ends_with('='), "{padded}");
        for key in [padded.as_str(), padded.trim_end_matches('=')] {
            assert_eq!(issuer(key), "https://clerk.example.co");
        }
        assert_eq!(issuer(&key_of("Clerk.Example.COM$")), "https://clerk.example.com");
    }

    #[test]
    fn a_damaged_publishable_key_is_refused() {
        let long = format!("{}.dev$", "a".repeat(64));
        for text in [
            "",
            "$",
            "clerk.example.com",
            "clerk.example.com$$",
            "cl$erk.example.com$",
            "localhost$",
            "clerk.example.com/x$",
            "a@clerk.example.com$",
            "clerk.example.com:443$",
            "clerk .example.com$",
            "clerk..com$",
            ".com$",
            "clerk.com.$",
            "-a.com$",
            "a-.com$",
            "10.0.0.1$",
            "127.1$",
            "a.0x7f$",
            "[::1].a$",
            "cl\u{e4}rk.dev$",
            "a_b.dev$",
            &long,
        ] {
            assert_eq!(Instance::parse(&key_of(text)).unwrap_err(), InstanceError::PublishableKey, "{text}");
        }
        // Another alphabet, a piece of a key, something behind it.
        for key in
            ["pk_test_", "pk_live_a_b", "pk_test_ZXhhbXBsZS5hY2Nvd", "pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk_x"]
        {
            assert_eq!(Instance::parse(key).unwrap_err(), InstanceError::PublishableKey, "{key}");
        }
    }

    #[test]
    fn an_address_becomes_the_issuer() {
        for (input, expected) in [
            ("https://clerk.example.com", "https://clerk.example.com"),
            ("https://clerk.example.com/", "https://clerk.example.com"),
            ("HTTPS://Clerk.Example.COM:443", "https://clerk.example.com"),
            ("https://clerk.example.com:8443", "https://clerk.example.com:8443"),
            ("https://app.dev/__clerk", "https://app.dev/__clerk"),
            ("https://app.dev/__clerk/", "https://app.dev/__clerk"),
            ("https://app.dev/a/B-c.d~e", "https://app.dev/a/B-c.d~e"),
            ("https://proxy/__clerk", "https://proxy/__clerk"),
            ("https://10.0.0.1", "https://10.0.0.1"),
            ("https://[2001:db8::1]:444", "https://[2001:db8::1]:444"),
            ("http://127.0.0.1:4400", "http://127.0.0.1:4400"),
            ("http://127.8.9.10", "http://127.8.9.10"),
            ("http://localhost:4400", "http://localhost:4400"),
            ("http://LOCALHOST:80/x", "http://localhost/x"),
            ("http://[::1]:4400", "http://[::1]:4400"),
            ("https://localhost", "https://localhost"),
        ] {
            assert_eq!(issuer(input), expected, "{input}");
            let instance = Instance::parse(input).unwrap();
            assert_eq!(instance.url("/v1/client"), format!("{expected}/v1/client"));
            assert_eq!(instance.is_https(), expected.starts_with("https"));
        }
    }

    #[test]
    fn plain_http_leads_nowhere_but_here() {
        for host in [
            "clerk.example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
            "[2001:db8::1]",
            "[::]",
        ] {
            let error = Instance::parse(&format!("http://{host}:4400/x")).unwrap_err();
            assert_eq!(error, InstanceError::PlainHttp { host: host.to_owned() });
            assert!(error.to_string().contains("use https"));
        }
    }

    #[test]
    fn an_address_with_more_than_a_place_in_it_is_refused() {
        for input in [
            "https://user@clerk.example.com",
            "https://user:password@clerk.example.com",
            "https://clerk.example.com?a=b",
            "https://clerk.example.com#a",
            "https://clerk.example.com/a?b",
            "https://clerk.example.com/a/../b",
            "https://clerk.example.com/./b",
            "https://clerk.example.com/a//b",
            "https://clerk.example.com/%2e",
            "https:\\\\clerk.example.com",
            "http://localhost@evil.dev",
            "http://localhost#@evil.dev",
        ] {
            assert_eq!(Instance::parse(input).unwrap_err(), InstanceError::UrlParts, "{input}");
        }
        for input in [
            "https://127.1",
            "https://0x7f000001",
            "https://2130706433",
            "https://clerk.example.com:0",
            "https://clerk.example.com:99999",
            "https://clerk.example.com:",
            "https://a_b.dev",
            "https://a..b",
            "https://a.dev.",
            "https://1.2.3.4.5",
            "https://-a.dev",
            "https://256.0.0.1",
        ] {
            assert!(
                matches!(
                    Instance::parse(input).unwrap_err(),
                    InstanceError::Host { .. } | InstanceError::Unrecognized
                ),
                "{input}"
            );
        }
    }

    #[test]
    fn what_is_neither_key_nor_address_is_refused() {
        for (input, error) in [
            ("", InstanceError::Empty),
            (" ", InstanceError::Whitespace),
            ("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk\n", InstanceError::Whitespace),
            ("https://clerk.example.com ", InstanceError::Whitespace),
            ("clerk.example.com", InstanceError::Unrecognized),
            ("pk_prod_ZXhhbXBsZS5hY2NvdW50cy5kZXYk", InstanceError::Unrecognized),
            ("PK_TEST_ZXhhbXBsZS5hY2NvdW50cy5kZXYk", InstanceError::Unrecognized),
            ("ftp://clerk.example.com", InstanceError::Unrecognized),
            ("https://", InstanceError::Unrecognized),
            ("https:///x", InstanceError::Unrecognized),
            ("whsec_c2VjcmV0", InstanceError::Unrecognized),
        ] {
            assert_eq!(Instance::parse(input).unwrap_err(), error, "{input:?}");
        }
    }

    #[test]
    fn c6_a_secret_key_is_told_from_others_and_never_shown() {
        for input in [
            "sk_live_s3cr3t",
            "sk_test_s3cr3t",
            "sk_s3cr3t",
            "SK_LIVE_s3cr3t",
            " sk_live_s3cr3t\n",
            "\"sk_live_s3cr3t\"",
            "CLERK_SECRET_KEY=sk_test_s3cr3t",
            "pk_live_sk_live_s3cr3t",
            "https://sk_s3cr3t",
            "http://sk_live_s3cr3t.dev",
            "https://clerk.example.com/xsk_live_s3cr3t",
        ] {
            let error = Instance::parse(input).unwrap_err();
            assert_eq!(error, InstanceError::SecretKey, "{input}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        }
        assert_eq!(issuer("https://app.dev/task_desk"), "https://app.dev/task_desk");
    }

    proptest! {
        #[test]
        fn arbitrary_values_never_panic(input in any::<String>(), tail in "[a-z0-9:/@.\\[\\]?#%_-]{0,24}") {
            let _ = Instance::parse(&input);
            let _ = Instance::parse(&key_of(&input));
            for scheme in ["http://", "https://"] {
                if let Ok(instance) = Instance::parse(&format!("{scheme}{tail}")) {
                    prop_assert!(!instance.issuer().ends_with('/'));
                    prop_assert!(instance.url("/v1").parse::<Uri>().is_ok());
                    // What is accepted stays what it is.
                    prop_assert_eq!(issuer(instance.issuer()), instance.issuer());
                }
            }
        }
    }
}
