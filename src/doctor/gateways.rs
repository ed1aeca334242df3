//! Addresses that no client has by itself: this host's own, and those of its default gateways.
//! Whoever logs in from there is behind a bridge, a proxy or a router that hides its address.
//!
//! Reads what the kernel tells below /proc/net; where it tells nothing, there are none.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::client::Client;

/// Such addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateways {
    own: BTreeSet<Client>,
    routers: BTreeSet<Client>,
}

impl Gateways {
    /// Those of this host.
    #[must_use]
    pub fn look() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        Self::parse(
            &text("fib_trie"),
            &text("if_inet6"),
            &text("route"),
            &text("ipv6_route"),
        )
    }

    /// proc_net(5) has the formats of all but the first, which is the kernel's routing table as a tree.
    fn parse(fib_trie: &str, if_inet6: &str, route: &str, ipv6_route: &str) -> Self {
        let mut gateways = Gateways::default();
        let mut leaf: Option<IpAddr> = None;
        for line in fib_trie.lines().map(str::trim) {
            if let Some(address) = line.strip_prefix("|-- ") {
                leaf = address.parse().ok();
            } else if line == "/32 host LOCAL" {
                gateways.own.extend(leaf.map(Client::from));
            }
        }
        let own = if_inet6.lines().filter_map(|line| ipv6(column(line, 0)?));
        gateways.own.extend(own);
        gateways
            .routers
            .extend(route.lines().filter_map(router_of_ipv4));
        gateways
            .routers
            .extend(ipv6_route.lines().filter_map(router_of_ipv6));
        gateways
    }

    /// What such an address is, for a sentence.
    #[must_use]
    pub fn what(&self, client: Client) -> Option<&'static str> {
        if self.own.contains(&client) {
            Some("an address of this host itself (a bridge to containers, a proxy, webmail)")
        } else if self.routers.contains(&client) {
            Some("this host's default gateway")
        } else {
            None
        }
    }
}

fn column(line: &str, number: usize) -> Option<&str> {
    line.split_whitespace().nth(number)
}

/// `0000…0001`.
fn ipv6(text: &str) -> Option<Client> {
    let bits = u128::from_str_radix(text, 16).ok()?;
    Some(IpAddr::V6(Ipv6Addr::from_bits(bits)).into())
}

/// `eth0 00000000 010011AC 0003 …`: destination and gateway, in the byte order of the machine.
fn router_of_ipv4(line: &str) -> Option<Client> {
    let number = |at| u32::from_str_radix(column(line, at)?, 16).ok();
    let (destination, gateway) = (number(1)?, number(2)?);
    (destination == 0 && gateway != 0)
        .then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())).into())
}

/// Destination, its length, source, its length, gateway, …
fn router_of_ipv6(line: &str) -> Option<Client> {
    let is_default = column(line, 1)? == "00";
    let gateway = ipv6(column(line, 4)?)?;
    (is_default && !gateway.address().is_unspecified()).then_some(gateway)
}

#[cfg(test)]
impl Gateways {
    /// A host with this address.
    pub fn with_own(address: &str) -> Self {
        Gateways {
            own: [address.parse().unwrap()].into(),
            routers: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_understood() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    \x20    +-- 172.17.0.0/16 2 0 2\n        |-- 172.17.0.0\n           /16 link UNICAST\n\
                    \x20       |-- 172.17.0.1\n           /32 host LOCAL\n\
                    \x20       |-- 172.17.255.255\n           /32 link BROADCAST\n";
        let inet6 = "fd000017000000000000000000000001 03 40 00 80  docker0\n";
        let gateway = u32::from_ne_bytes([192, 168, 1, 254]);
        let route = format!(
            "Iface\tDestination\tGateway \tFlags\n\
             eth0\t00000000\t{gateway:08X}\t0003\t0\n\
             eth0\t{gateway:08X}\t00000000\t0001\t0\n"
        );
        let nothing = "0".repeat(32);
        let route6 = format!(
            "{nothing} 00 {nothing} 00 fe800000000000000000000000000001 00000400 1 0 3 eth0\n\
             {nothing} 00 {nothing} 00 {nothing} ffffffff 1 0 200200 lo\n"
        );
        let gateways = Gateways::parse(trie, inet6, &route, &route6);
        let own = ["172.17.0.1", "fd00:17::1"].map(|own| own.parse().unwrap());
        let routers = ["192.168.1.254", "fe80::1"].map(|router| router.parse().unwrap());
        assert_eq!(gateways.own, own.into());
        assert_eq!(gateways.routers, routers.into());
        assert!(gateways.what(own[0]).unwrap().contains("bridge"));
        assert!(gateways.what(routers[0]).unwrap().contains("gateway"));
        assert_eq!(gateways.what("192.168.1.10".parse().unwrap()), None);
        assert_eq!(Gateways::parse("x", "x", "x", "x"), Gateways::default());
    }

    #[test]
    fn this_host_has_an_address_of_its_own() {
        assert!(Gateways::look().own.contains(&"127.0.0.1".parse().unwrap()));
    }
}
