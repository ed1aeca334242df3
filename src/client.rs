//! The address of a client, in the one form that Postfix looks up.
//!
//! Must never accept anything but a whole address: a key such as `192.0.2` would let a whole
//! network relay (access(5), "HOST NAME/ADDRESS PATTERNS").

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An SMTP, POP or IMAP client's address: the key of the whitelist and of the access map.
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.10`) is the IPv4 address, as Postfix rewrites it
/// before it looks it up (`smtpd_peer.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// The address, never IPv4-mapped.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// The address with a port, as in a URL: `192.0.2.10:25`, `[2001:db8::10]:25`.
    #[must_use]
    pub fn with_port(self, port: &str) -> String {
        match self.0 {
            IpAddr::V4(_) => format!("{self}:{port}"),
            IpAddr::V6(_) => format!("[{self}]:{port}"),
        }
    }

    /// One end of a range of clients, unchanged.
    #[must_use]
    pub(crate) fn bound(address: IpAddr) -> Self {
        Client(address)
    }

    /// Whether the address is that of one remote host. Loopback, unspecified, multicast and broadcast
    /// addresses are not: they stand for anybody on this machine, or for nobody.
    #[must_use]
    pub fn is_one_remote_host(self) -> bool {
        let broadcast = self.0 == IpAddr::V4(Ipv4Addr::BROADCAST);
        !(self.0.is_loopback() || self.0.is_unspecified() || self.0.is_multicast() || broadcast)
    }
}

impl Client {
    /// Whether the address is not routed on the Internet: of a private network, of a provider's
    /// network behind its gateway (100.64.0.0/10), or of a link.
    #[must_use]
    pub fn is_private(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => {
                let [first, second, ..] = address.octets();
                let is_shared = first == 100 && second & 0xc0 == 64;
                address.is_private() || address.is_link_local() || is_shared
            }
            IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
        }
    }

    /// Whether the address is one that bridges and routers are usually given: the first of its network,
    /// or the last.
    #[must_use]
    pub fn looks_like_a_gateway(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => matches!(address.octets()[3], 1 | 254),
            IpAddr::V6(address) => address.segments()[4..] == [0, 0, 0, 1],
        }
    }
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Client(address.to_canonical())
    }
}

/// The text given for a client is not an IP address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an IP address")]
pub struct NotAnAddress(String);

impl FromStr for Client {
    type Err = NotAnAddress;

    /// Reads an address as servers print it: IPv4, IPv6, IPv4-mapped in either notation, in
    /// brackets or not, with the prefix `IPv6:` or not, in any case. A zone (`%eth0`) is allowed
    /// on a link-local address only, and dropped, as Postfix drops it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_an_address = || NotAnAddress(text.chars().take(64).collect());
        let bare = text
            .strip_prefix('[')
            .map_or(Some(text), |rest| rest.strip_suffix(']'))
            .ok_or_else(not_an_address)?;
        let bare = match bare.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case("ipv6:") => &bare[5..],
            _ => bare,
        };
        if let Some((address, zone)) = bare.split_once('%') {
            let address: Ipv6Addr = address.parse().map_err(|_| not_an_address())?;
            let named = !zone.is_empty() && zone.bytes().all(|b| b.is_ascii_alphanumeric());
            return if address.is_unicast_link_local() && named {
                Ok(Client(IpAddr::V6(address)))
            } else {
                Err(not_an_address())
            };
        }
        let address: IpAddr = bare.parse().map_err(|_| not_an_address())?;
        Ok(Client::from(address))
    }
}

impl fmt::Display for Client {
    /// The form that getnameinfo(3) gives Postfix: lower case, RFC 5952, and IPv4-compatible
    /// addresses (`::192.0.2.10`) with their last four octets dotted, as glibc prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let IpAddr::V6(address) = self.0 {
            let segments = address.segments();
            if segments[..6] == [0; 6] && segments[6] != 0 {
                let [.., a, b, c, d] = address.octets();
                return f.pad(&format!("::{}", Ipv4Addr::new(a, b, c, d)));
            }
        }
        f.pad(&self.0.to_string())
    }
}

/// As text in formats for people, as the address's octets in binary formats.
impl Serialize for Client {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            IpAddr::deserialize(deserializer).map(Client::from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(text: &str) -> Option<String> {
        text.parse::<Client>().ok().map(|c| c.to_string())
    }

    #[test]
    fn every_printed_form_becomes_the_key_that_postfix_looks_up() {
        for (printed, key) in [
            ("192.0.2.10", "192.0.2.10"),
            ("::ffff:192.0.2.10", "192.0.2.10"),
            ("::FFFF:c000:20a", "192.0.2.10"),
            ("0:0:0:0:0:ffff:192.0.2.10", "192.0.2.10"),
            ("[::ffff:192.0.2.10]", "192.0.2.10"),
            ("[192.0.2.10]", "192.0.2.10"),
            ("2001:DB8:0:0:0:0:0:10", "2001:db8::10"),
            ("[2001:db8::10]", "2001:db8::10"),
            ("IPv6:2001:db8::10", "2001:db8::10"),
            ("2001:db8:0:1:0:0:0:a", "2001:db8:0:1::a"),
            ("fe80::1%eth0", "fe80::1"),
            ("::192.0.2.10", "::192.0.2.10"),
            ("::1", "::1"),
        ] {
            assert_eq!(normal(printed).as_deref(), Some(key), "{printed}");
        }
    }

    #[test]
    fn what_is_not_one_whole_address_is_refused() {
        for text in [
            "",
            "192",
            "192.0.2",
            "192.0.2.",
            "192.0.2.256",
            "192.0.2.010",
            "192.0.2.10.1",
            "192.0.2.10/32",
            "192.0.2.10,",
            " 192.0.2.10",
            "192.0.2.10\n",
            "[192.0.2.10",
            "192.0.2.10]",
            "unknown",
            "localhost",
            "2001:db8::10::1",
            "2001:db8::/64",
            "2001:db8::10%eth0",
            "192.0.2.10%eth0",
            "fe80::1%",
            "fe80::1%a/b",
            "IPv6:",
            "é::1",
        ] {
            assert_eq!(normal(text), None, "{text:?}");
        }
    }

    #[test]
    fn loopback_and_the_like_are_no_remote_host() {
        for text in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:127.0.0.1",
        ] {
            let client: Client = text.parse().unwrap();
            assert!(!client.is_one_remote_host(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_key_is_a_fixed_point(address: [u8; 16], v4: bool) {
            let address = if v4 {
                IpAddr::from([address[0], address[1], address[2], address[3]])
            } else {
                IpAddr::from(address)
            };
            let client = Client::from(address);
            let again: Client = client.to_string().parse().unwrap();
            prop_assert_eq!(client, again);
            prop_assert_eq!(client.to_string(), again.to_string());
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = text.parse::<Client>();
        }
    }
}
