//! Addresses are printed as glibc's getnameinfo(3) prints them, by which smtpd looks them up.

use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;

use pop_before_smtp::client::Client;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Addresses with many zeros, where the forms differ.
fn addresses(number: usize) -> Vec<Ipv6Addr> {
    let segment = prop_oneof![3 => Just(0), 1 => 0..16_u16, 1 => any::<u16>()];
    let address = prop::array::uniform8(segment).prop_map(Ipv6Addr::from);
    let all = prop::collection::vec(address, number);
    let mut runner = TestRunner::default();
    all.new_tree(&mut runner).unwrap().current()
}

#[test]
fn addresses_are_printed_as_the_c_library_prints_them() {
    for address in addresses(300) {
        if address.to_ipv4_mapped().is_some() {
            continue; // smtpd makes an IPv4 address of it first
        }
        let output = Command::new("getent")
            .args(["--no-addrconfig", "ahostsv6", &address.to_string()])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let expected = printed.split_whitespace().next();
        let client = Client::from(IpAddr::V6(address));
        assert_eq!(expected, Some(client.to_string().as_str()));
    }
}

#[test]
fn private_addresses_and_those_of_gateways_are_known() {
    for (text, private, gateway) in [
        ("10.0.0.1", true, true),
        ("172.16.0.9", true, false),
        ("172.32.0.9", false, false),
        ("192.168.178.254", true, true),
        ("169.254.1.2", true, false),
        ("100.64.0.2", true, false),
        ("100.127.255.2", true, false),
        ("100.128.0.2", false, false),
        ("192.0.2.1", false, true),
        ("fd00::1", true, true),
        ("fd00::1:0:0:0:1", true, true),
        ("fc00::1:1", true, false),
        ("fe80::2", true, false),
        ("2001:db8::1", false, true),
        ("::ffff:10.0.0.2", true, false),
    ] {
        let client: Client = text.parse().unwrap();
        assert_eq!(client.is_private(), private, "{text}");
        assert_eq!(client.looks_like_a_gateway(), gateway, "{text}");
    }
}
