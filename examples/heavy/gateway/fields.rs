//! The header fields that a proxy drops, and those that it sets anew.

use std::net::IpAddr;

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use tower_clerk::layer::IdentityHeaders;

/// Fields that belong to one connection (RFC 9110, section 7.6.1), and to one pair of peers.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields about the way of the request, and those in which some frameworks expect another path than that of the request,
/// besides `X-Forwarded…` and `X-Original-…`. The gateway is the first one that the upstream believes, so a client sends none of them.
const FORWARDING: [&str; 6] =
    ["forwarded", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-real-ip", "x-rewrite-url"];

/// Removes the fields that `Connection` names, and those that belong to one connection. Returns whether the message
/// upgrades to a WebSocket.
///
/// No other protocol is upgraded to: in a connection upgraded to `h2c`, the client could send the upstream any number of
/// requests past the gateway.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) -> bool {
    let options: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .collect();
    let upgrades = options.contains(&header::UPGRADE)
        && headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    // gRPC requires it (RFC 9110, section 10.1.4).
    let takes_trailers =
        headers.get(header::TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    // Its length is not the length of what is sent on.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    for option in options.iter().filter(|option| !is_for_the_gateway(option)) {
        headers.remove(option);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    if takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    upgrades
}

/// Whether the gateway itself reads the field, or sets it anew. A client that could remove such a field of a trusted proxy
/// by naming it in `Connection` would pass for that proxy (CVE-2022-31813 in Apache httpd).
fn is_for_the_gateway(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION || *name == header::HOST || is_forwarding(name)
}

/// Asks for a WebSocket, or agrees to one.
pub(crate) fn set_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Removes the client's own identity fields.
pub(crate) fn remove_identity(headers: &mut HeaderMap, identity: &IdentityHeaders) {
    remove(headers, |name| identity.is_copy(name.as_str()));
}

/// Removes the trailers that would say something else than the header does. A server may merge trailers into the header
/// (RFC 9110, section 6.5.1).
pub(crate) fn remove_forged_trailers(trailers: &mut HeaderMap, identity: &IdentityHeaders) {
    remove_hop_by_hop(trailers);
    remove_identity(trailers, identity);
    remove(trailers, is_for_the_gateway);
}

/// The way of a request, as the gateway knows it.
pub(crate) struct Way {
    pub(crate) client: IpAddr,
    /// The host that the client has asked for.
    pub(crate) host: Option<String>,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
}

impl Way {
    /// Replaces all fields about the way of the request.
    pub(crate) fn set(&self, headers: &mut HeaderMap) {
        remove(headers, is_forwarding);
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        // RFC 7239, section 6: an address of IPv6 stands in brackets, and in quotes.
        let mut forwarded = match self.client {
            IpAddr::V4(client) => format!("for={client}"),
            IpAddr::V6(client) => format!("for=\"[{client}]\""),
        };
        if let Some(host) = &self.host {
            set("x-forwarded-host", host);
            forwarded += &format!(";host=\"{host}\"");
        }
        set("x-forwarded-for", &self.client.to_string());
        set("x-forwarded-proto", self.scheme);
        set("forwarded", &format!("{forwarded};proto={}", self.scheme));
    }
}

/// A name as some servers read it, which turn each separator into the same one.
pub(crate) fn normalized(name: &HeaderName) -> String {
    name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn is_forwarding(name: &HeaderName) -> bool {
    let name = normalized(name);
    FORWARDING.contains(&&*name) || name.starts_with("x-forwarded") || name.starts_with("x-original-")
}

fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_removed(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a10_fields_of_one_connection_end_here() {
        let mut fields = headers(&[
            ("connection", "close, X-Of-This-Hop,te"),
            ("x-of-this-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("te", "Trailers"),
            ("trailer", "x-checksum"),
            ("accept", "*/*"),
        ]);
        assert!(!remove_hop_by_hop(&mut fields));
        assert_eq!(names(&fields), ["accept", "te", "trailer"]);
    }

    #[test]
    fn a7_only_a_websocket_is_an_upgrade() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "WebSocket", true),
            ("Upgrade, HTTP2-Settings", "h2c", false),
            ("Upgrade", "websocket, h2c", false),
            ("close", "websocket", false),
            ("Upgrade", "TLS/1.0", false),
        ] {
            let mut fields =
                headers(&[("connection", connection), ("upgrade", upgrade), ("http2-settings", "AAMA")]);
            assert_eq!(remove_hop_by_hop(&mut fields), expected, "{connection} {upgrade}");
            assert!(fields.is_empty());
        }
    }

    #[test]
    fn a10_fields_about_the_way_are_set_anew() {
        let mut fields = headers(&[
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x_forwarded_for", "1.1.1.1"),
            ("x-forwarded-prefix", "/admin"),
            ("x-forwarded-uri", "/admin"),
            ("x-real-ip", "1.1.1.1"),
            ("x-rewrite-url", "/admin"),
            ("x.original.url", "/admin"),
            ("x-original-host", "evil.example"),
            ("x_original_forwarded_for", "1.1.1.1"),
            ("x-forwarded", "for=1.1.1.1"),
            ("x-cluster-client-ip", "1.1.1.1"),
            ("x-request-id", "1"),
        ]);
        let way = Way {
            client: "2001:db8::1".parse().unwrap(),
            host: Some("a.example:80".into()),
            scheme: "https",
        };
        way.set(&mut fields);
        let expected =
            ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];
        assert_eq!(names(&fields), expected);
        assert_eq!(fields["forwarded"], "for=\"[2001:db8::1]\";host=\"a.example:80\";proto=https");
        assert_eq!(fields["x-forwarded-for"], "2001:db8::1");
    }
}
