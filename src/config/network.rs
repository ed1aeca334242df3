//! Networks, as Postfix writes them.
//!
//! Must never take a host's address for its network: what was meant is asked.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::de::DeValue;

use super::PermittedNetworks;
use super::value::{Checked, Value, Wrong, list, quoted, text, wrong, wrong_type};
use crate::networks::unmapped;

/// A list of networks.
pub(super) fn networks(value: &Value<'_>) -> Checked<Vec<IpNet>> {
    list(
        value,
        "a list of networks, such as [\"192.0.2.0/24\", \"2001:db8::1\"]",
        network,
    )
}

/// `permitted-networks`.
pub(super) fn permitted_networks(value: &Value<'_>) -> Checked<PermittedNetworks> {
    match value.get_ref() {
        DeValue::String(text) if text == "postfix" => Ok(PermittedNetworks::Postfix),
        DeValue::Array(_) => networks(value).map(PermittedNetworks::List),
        other => {
            let expected = "\"postfix\" or a list of networks, such as [\"192.0.2.0/24\"]";
            let mut wrong = wrong_type(value, expected);
            if let DeValue::String(text) = other
                && parse_network(text).is_ok()
            {
                wrong = wrong.hint(format!("write a list in brackets: [{}]", quoted(text)));
            }
            Err(wrong.into())
        }
    }
}

fn network(value: &Value<'_>) -> Result<IpNet, Wrong> {
    const EXPECTED: &str =
        "an IPv4 or IPv6 network or address, such as \"192.0.2.0/24\" or \"2001:db8::1\"";
    match parse_network(text(value, EXPECTED)?) {
        Ok(network) => Ok(network),
        Err(None) => Err(wrong_type(value, EXPECTED)),
        Err(Some(HostBits { network, host })) => {
            let wrong = wrong(value, "names a host within a network".to_owned());
            Err(wrong.hint(format!(
                "the network is \"{network}\"; the host alone is \"{host}\""
            )))
        }
    }
}

/// A network that was written with the address of one of its hosts.
#[derive(Debug, PartialEq, Eq)]
struct HostBits {
    network: IpNet,
    host: IpAddr,
}

/// `ADDRESS` or `ADDRESS/LENGTH`; IPv6 also in brackets, as in main.cf: `[2001:db8::]/32`.
/// IPv4-mapped IPv6 becomes IPv4, as clients do.
fn parse_network(text: &str) -> Result<IpNet, Option<HostBits>> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = match address.strip_prefix('[') {
        Some(rest) => {
            let bare = rest.strip_suffix(']').ok_or(None)?;
            IpAddr::V6(bare.parse().map_err(|_| None)?)
        }
        None => address.parse().map_err(|_| None)?,
    };
    let network = match length {
        None => IpNet::from(address),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            IpNet::new(address, digits.parse().map_err(|_| None)?).map_err(|_| None)?
        }
        Some(_) => return Err(None),
    };
    let network = unmapped(network);
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(Some(HostBits {
            network: network.trunc(),
            host: network.addr(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(text: &str) -> Option<String> {
        parse_network(text).ok().map(|network| network.to_string())
    }

    #[test]
    fn networks_are_read_as_people_and_postfix_write_them() {
        for (text, network) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("[2001:db8::]/32", "2001:db8::/32"),
            ("[2001:db8::1]", "2001:db8::1/128"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(normal(text).as_deref(), Some(network), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "/24",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/+24",
            "192.0.2.0/24/24",
            "192.0.2.0/255.255.255.0",
            "192.0.2",
            "192.0.2.010",
            " 192.0.2.1",
            "2001:db8::/129",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "fe80::1%eth0",
            "mail.example.org",
            "!192.0.2.1",
        ] {
            assert_eq!(parse_network(text), Err(None), "{text:?}");
        }
    }

    #[test]
    fn host_bits_are_refused_and_the_network_is_named() {
        for (text, network, host) in [
            ("192.0.2.10/24", "192.0.2.0/24", "192.0.2.10"),
            ("2001:db8::1/32", "2001:db8::/32", "2001:db8::1"),
            ("::ffff:192.0.2.10/120", "192.0.2.0/24", "192.0.2.10"),
        ] {
            let network = network.parse().unwrap();
            let host = host.parse().unwrap();
            assert_eq!(
                parse_network(text),
                Err(Some(HostBits { network, host })),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_network_that_is_printed_is_read_again(octets: [u8; 16], v4: bool, length in 0..=128_u8) {
            let address = if v4 {
                IpAddr::from([octets[0], octets[1], octets[2], octets[3]])
            } else {
                IpAddr::from(octets)
            };
            let length = if v4 { length % 33 } else { length };
            let network = IpNet::new(address, length).unwrap().trunc();
            prop_assume!(network.addr() == network.addr().to_canonical());
            prop_assert_eq!(parse_network(&network.to_string()), Ok(network));
        }
    }
}
