//! Stand-ins for addresses: they show the family and what kind of network it is, and which addresses are
//! in the same network.
//!
//! Must never show a part of an address that is somebody's.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The networks met so far, and the hosts in each.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// By kind, the networks in the order of their first coming.
    networks: HashMap<&'static str, Vec<IpAddr>>,
    hosts: HashMap<IpAddr, Vec<IpAddr>>,
}

impl Addresses {
    /// `ipv4-public-1.2`: the second host of the first network. The host is 0 where it is the network that
    /// is named. What is everybody's, such as 127.0.0.1 and 10.0.0.0/8, stays.
    pub(super) fn stand_in(&mut self, address: IpAddr, prefix: Option<u8>) -> String {
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return format!("::ffff:{}", self.stand_in(v4.into(), None));
        }
        if is_everybodys(address, prefix) {
            return address.to_string();
        }
        let (kind, network) = (kind(address), network(address));
        let networks = self.networks.entry(kind).or_default();
        let network_number = place(networks, network);
        let host_number = if address == network {
            0
        } else {
            place(self.hosts.entry(network).or_default(), address)
        };
        format!("{kind}-{network_number}.{host_number}")
    }
}

/// The place of an address among others, from 1; it is put behind them if it is new.
fn place(addresses: &mut Vec<IpAddr>, address: IpAddr) -> usize {
    let found = addresses.iter().position(|known| *known == address);
    1 + found.unwrap_or_else(|| {
        addresses.push(address);
        addresses.len() - 1
    })
}

/// The host itself, nobody, and the large networks that are set aside for private use.
fn is_everybodys(address: IpAddr, prefix: Option<u8>) -> bool {
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let known: [(IpAddr, u8); 6] = [
        (Ipv4Addr::new(10, 0, 0, 0).into(), 8),
        (Ipv4Addr::new(172, 16, 0, 0).into(), 12),
        (Ipv4Addr::new(192, 168, 0, 0).into(), 16),
        (Ipv4Addr::new(169, 254, 0, 0).into(), 16),
        (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0).into(), 7),
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), 10),
    ];
    known
        .iter()
        .any(|known| Some(*known) == prefix.map(|prefix| (address, prefix)))
}

/// The network that an address is taken to be in: of 256 addresses, or a /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => (v4 & Ipv4Addr::new(255, 255, 255, 0)).into(),
        IpAddr::V6(v6) => (v6 & Ipv6Addr::from(!0 << 64)).into(),
    }
}

fn kind(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(v4) if v4.is_private() => "ipv4-private",
        IpAddr::V4(v4) if v4.is_link_local() => "ipv4-link-local",
        IpAddr::V4(v4) if v4.is_multicast() => "ipv4-multicast",
        // 100.64.0.0/10, behind a provider's own gateway (RFC 6598).
        IpAddr::V4(v4) if v4 & Ipv4Addr::new(255, 192, 0, 0) == Ipv4Addr::new(100, 64, 0, 0) => {
            "ipv4-shared"
        }
        IpAddr::V4(_) => "ipv4-public",
        IpAddr::V6(v6) if v6.is_unique_local() => "ipv6-private",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "ipv6-link-local",
        IpAddr::V6(v6) if v6.is_multicast() => "ipv6-multicast",
        IpAddr::V6(_) => "ipv6-public",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_show_family_kind_and_network() {
        let mut addresses = Addresses::default();
        for (text, prefix, expected) in [
            ("192.0.2.10", None, "ipv4-public-1.1"),
            ("198.51.100.7", None, "ipv4-public-2.1"),
            ("192.0.2.11", None, "ipv4-public-1.2"),
            ("192.0.2.10", None, "ipv4-public-1.1"),
            ("::ffff:192.0.2.10", None, "::ffff:ipv4-public-1.1"),
            ("192.0.2.0", Some(24), "ipv4-public-1.0"),
            ("10.1.2.3", None, "ipv4-private-1.1"),
            ("10.0.0.0", Some(8), "10.0.0.0"),
            ("10.0.0.0", Some(16), "ipv4-private-2.0"),
            ("100.64.0.1", None, "ipv4-shared-1.1"),
            ("127.0.0.1", None, "127.0.0.1"),
            ("0.0.0.0", Some(0), "0.0.0.0"),
            ("2001:db8::10", None, "ipv6-public-1.1"),
            ("2001:db8:0:0:1::10", None, "ipv6-public-1.2"),
            ("2001:db8:0:1::10", None, "ipv6-public-2.1"),
            ("fd00::1", None, "ipv6-private-1.1"),
            ("fe80::1", None, "ipv6-link-local-1.1"),
            ("::1", None, "::1"),
        ] {
            let stand_in = addresses.stand_in(text.parse().unwrap(), prefix);
            assert_eq!(stand_in, expected, "{text}");
        }
    }
}
