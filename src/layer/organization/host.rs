//! The label of a host name that names an organization.

use http::header::HOST;
use http::request::Parts;

use crate::scope::OrganizationName;

/// The label in front of a base domain.
#[derive(Debug)]
pub(super) struct HostLabel {
    /// The base domain in lower case, with a dot in front.
    suffix: Box<str>,
}

impl HostLabel {
    /// # Errors
    ///
    /// Returns what is wrong with the base domain.
    pub(super) fn below(base: &str) -> Result<Self, &'static str> {
        let base = base.to_ascii_lowercase();
        if base.len() > 253 || !base.split('.').all(is_label) {
            return Err("it must be a domain such as example.com: no scheme, no port, no dot at its ends");
        }
        // Such a name is read as an IPv4 address: <https://url.spec.whatwg.org/#ends-in-a-number-checker>.
        let last = base.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
            return Err("it must be a domain, and no IP address");
        }
        Ok(Self { suffix: format!(".{base}").into() })
    }

    /// The label in front of the base domain, in lower case.
    pub(super) fn organization(&self, parts: &Parts) -> Option<String> {
        let mut fields = parts.headers.get_all(HOST).iter();
        let field = fields.next().map(|field| HostPort::parse(field.to_str().ok()?));
        if fields.next().is_some() {
            return None;
        }
        // HTTP/2 has `:authority` here, and HTTP/1.1 the authority of a request in absolute form.
        let authority = parts.uri.authority().map(|authority| HostPort::parse(authority.as_str()));
        let host = match (authority, field) {
            (Some(authority), Some(field)) => {
                let (authority, field) = (authority?, field?);
                authority.agrees_with(&field).then_some(authority)?
            }
            (Some(one), None) | (None, Some(one)) => one?,
            (None, None) => return None,
        };
        let name = host.name.to_ascii_lowercase();
        name.strip_suffix(&*self.suffix).filter(|label| Self::may_be(label)).map(str::to_owned)
    }

    /// Whether a host name can carry this organization. An id has letters of both cases, which a host name doesn't
    /// distinguish.
    pub(super) fn may_be(organization: &str) -> bool {
        is_label(organization) && matches!(OrganizationName::parse(organization), OrganizationName::Slug(_))
    }
}

/// A host with an optional port.
struct HostPort<'a> {
    name: &'a str,
    port: Option<u16>,
}

impl<'a> HostPort<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        match text.rsplit_once(':') {
            None => Some(Self { name: text, port: None }),
            // RFC 3986 section 3.2.3: the port may be empty.
            Some((name, "")) => Some(Self { name, port: None }),
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Self { name, port: Some(port.parse().ok()?) })
            }
            Some(_) => None,
        }
    }

    /// Ports differ only where both are given: one of the two may leave the scheme's default out.
    fn agrees_with(&self, other: &Self) -> bool {
        let has_other_port = self.port.zip(other.port).is_some_and(|(one, other)| one != other);
        self.name.eq_ignore_ascii_case(other.name) && !has_other_port
    }
}

/// A label of a host name (RFC 1123 section 2.1).
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn organization(uri: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        HostLabel::below("Example.com").unwrap().organization(&parts)
    }

    #[test]
    fn a8_a_host_names_the_label_in_front_of_the_base_domain() {
        for host in [
            "acme.example.com",
            "ACME.Example.COM",
            "acme.example.com:443",
            "acme.example.com:",
            "acme.example.com:08080",
        ] {
            assert_eq!(organization("/", &[host]).as_deref(), Some("acme"), "{host}");
        }
        for host in [
            "",
            "example.com",
            ".example.com",
            "acme.example.com.",
            "a.acme.example.com",
            "acmeexample.com",
            "acme.example.com.evil.org",
            "acme.example.org",
            "acme_inc.example.com",
            "org_2abc.example.com",
            "-acme.example.com",
            "acme-.example.com",
            "*.example.com",
            "%61cme.example.com",
            "acme.example.com:80:80",
            "acme.example.com:x",
            "acme.example.com:+80",
            "acme.example.com:65536",
            "jane@acme.example.com",
            "jane:pw@acme.example.com",
            "acme.example.com@globex.example.com",
            "acme.example.com, globex.example.com",
            "acme.example.com/",
            "acme .example.com",
            "acme.example.com\t",
            "127.0.0.1",
            "127.0.0.1:3000",
            "[::1]:3000",
            "[acme.example.com]",
        ] {
            assert_eq!(organization("/", &[host]), None, "{host}");
        }
    }

    #[test]
    fn a8_authority_and_host_must_agree() {
        let authority = "https://acme.example.com/";
        for (uri, hosts, expected) in [
            (authority, &[][..], Some("acme")),
            ("https://acme.example.com:8443/", &[], Some("acme")),
            (authority, &["acme.example.com"], Some("acme")),
            (authority, &["ACME.example.com:443"], Some("acme")),
            ("https://acme.example.com:443/", &["acme.example.com"], Some("acme")),
            ("https://acme.example.com:443/", &["acme.example.com:8443"], None),
            (authority, &["globex.example.com"], None),
            (authority, &[""], None),
            (authority, &["acme.example.com."], None),
            (authority, &["acme.example.com", "acme.example.com"], None),
            (authority, &["acme.example.com:x"], None),
            ("/", &["acme.example.com", "globex.example.com"], None),
            ("/", &["acme.example.com", "acme.example.com"], None),
            ("https://jane@acme.example.com/", &[], None),
            ("https://jane@acme.example.com/", &["acme.example.com"], None),
            ("/", &[], None),
        ] {
            assert_eq!(organization(uri, hosts).as_deref(), expected, "{uri} {hosts:?}");
        }
        let mut request = Request::new(());
        request.headers_mut().insert(HOST, http::HeaderValue::from_bytes(b"acm\xe9.example.com").unwrap());
        let (parts, ()) = request.into_parts();
        assert_eq!(HostLabel::below("example.com").unwrap().organization(&parts), None);
    }

    #[test]
    fn a8_a_base_domain_is_checked() {
        for base in ["example.com", "localhost", "a-b.example.co.uk", "xn--bcher-kva.example", "3.example"] {
            assert!(HostLabel::below(base).is_ok(), "{base}");
        }
        for base in [
            "",
            ".",
            ".example.com",
            "example.com.",
            "*.example.com",
            "https://example.com",
            "example.com:443",
            "a..b",
            "a_b.com",
            "-a.com",
            "\u{e4}.com",
            "1.2.3.4",
            "0.0.1",
            "a.0x7f",
            "[::1]",
        ] {
            assert!(HostLabel::below(base).is_err(), "{base}");
        }
    }

    proptest! {
        #[test]
        fn a8_a_found_label_is_the_front_of_the_host(host in "[a-zA-Z.:@0-9-]{0,8}(\\.example\\.com)?(:[0-9]{0,6})?") {
            if let Some(label) = organization("/", &[&host]) {
                prop_assert!(is_label(&label) && !label.bytes().any(|byte| byte.is_ascii_uppercase()));
                let name = format!("{label}.example.com");
                prop_assert!(host.to_ascii_lowercase().starts_with(&name));
            }
        }
    }
}
