//! The address of the client, through proxies that are trusted to name it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The networks whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads networks in CIDR notation, separated by commas. An address alone is a network of one.
    pub(crate) fn parse(list: &str) -> Result<Self, String> {
        let network = |part: &str| {
            let part = part.trim();
            part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                format!(
                    "{part:?} isn't a network such as 10.0.0.0/8 or an address; separate several by commas"
                )
            })
        };
        list.split(',').map(network).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client: that of the peer, or, if the peer is trusted, the last one in `X-Forwarded-For` that
    /// isn't a trusted proxy's. A list that can't be read is not believed.
    pub(crate) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.ip().to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let mut client = peer;
        for line in lines {
            let Ok(line) = line.to_str() else { return client };
            for hop in line.rsplit(',') {
                let Some(hop) = address(hop.trim()) else { return client };
                client = hop;
                if !self.trusts(hop) {
                    return client;
                }
            }
        }
        client
    }
}

/// The source that sign-ins are shared among: an address of IPv4, or the network /64 of one of IPv6. A client of IPv6 has at
/// least such a network (RFC 6177), and would otherwise count as a new source with each of its addresses.
pub(crate) fn source(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

/// An address, with or without a port.
fn address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.ok().or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let headers =
            lines.iter().map(|line| ("x-forwarded-for".parse().unwrap(), line.parse().unwrap())).collect();
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        TrustedProxies::parse(trusted).unwrap().client(peer, &headers).to_string()
    }

    #[test]
    fn a10_only_a_trusted_proxy_names_the_client() {
        for (trusted, peer, lines, expected) in [
            ("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.0/8", "10.1.1.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.0/8", "10.1.1.1", &[], "10.1.1.1"),
            // A client's own entries come first, and are not reached.
            ("10.0.0.0/8", "10.1.1.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.0/8", "10.1.1.1", &["1.1.1.1", "203.0.113.9, 10.2.2.2"], "203.0.113.9"),
            ("10.0.0.0/8", "10.1.1.1", &["10.3.3.3"], "10.3.3.3"),
            ("10.0.0.0/8", "10.1.1.1", &["203.0.113.9, unknown"], "10.1.1.1"),
            ("10.0.0.0/8", "10.1.1.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.0/8, 2001:db8::1", "2001:db8::1", &["[2001:db8::2]:80"], "2001:db8::2"),
            ("127.0.0.1", "::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
        ] {
            assert_eq!(client(trusted, peer, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn p1_a_network_of_ipv6_is_one_source() {
        for (client, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2::9", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("2001:db8:1:3::9", "2001:db8:1:3::"),
        ] {
            assert_eq!(source(client.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn a9_a_list_of_networks_is_checked() {
        for bad in ["", "10.0.0.0/33", "example.com", "10.0.0.0/8,,::1", "10.0.0.0/8;::1"] {
            assert!(TrustedProxies::parse(bad).is_err(), "{bad}");
        }
    }
}
