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
