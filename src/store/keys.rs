//! The keys of the records: bytes in whose order they lie.
//!
//! Must never take for a key what this did not write.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::client::Client;
use crate::origin::{Id, Origin};
use crate::whitelist::SessionKey;

/// How the keys of positions begin.
pub(super) const POSITION: &[u8] = b"position";
/// Of which servers tell the ends of their sessions.
pub(super) const ENDS: &[u8] = b"ends";
/// Of what is in force.
pub(super) const IN_FORCE: &[u8] = b"in-force";
/// Of the maps that are yet to be emptied.
pub(super) const FORMER_MAPS: &[u8] = b"former-maps";

/// Of what was heard.
pub(super) const HEARD: &[u8] = b"heard";

/// Of a source.
pub(super) fn key_of_position(source: Id) -> Vec<u8> {
    [POSITION, &source.to_bytes()].concat()
}

/// Of the key of a position.
pub(super) fn source_of(key: &[u8]) -> Id {
    Id::from_bytes(&key[POSITION.len().min(key.len())..])
}

/// In the order of clients.
pub(super) fn key_of_client(client: Client) -> Vec<u8> {
    match client.address() {
        IpAddr::V4(address) => [&[4], address.octets().as_slice()].concat(),
        IpAddr::V6(address) => [&[6], address.octets().as_slice()].concat(),
    }
}

pub(super) fn client_of(key: &[u8]) -> Option<Client> {
    let address = match key.split_first()? {
        (4, octets) => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        (6, octets) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => return None,
    };
    let client = Client::from(address);
    // An IPv4 address in IPv6's form is another key of the same client: it would never be removed.
    (client.address() == address).then_some(client)
}

/// A server's name holds no NUL.
pub(super) fn key_of_session(key: SessionKey<'_>) -> Vec<u8> {
    let origin = key.origin.to_bytes();
    [&origin, key.server.as_bytes(), b"\0", key.id.as_bytes()].concat()
}

pub(super) fn session_of(key: &[u8]) -> Option<SessionKey<'_>> {
    let (origin, rest) = key.split_first_chunk::<{ Origin::BYTES }>()?;
    let (server, id) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    let origin = Origin::from_bytes(origin);
    Some(SessionKey { origin, server, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_one_key() {
        for text in [
            "192.0.2.10",
            "2001:db8::10",
            "::ffff:192.0.2.10",
            "::192.0.2.10",
        ] {
            let client: Client = text.parse().unwrap();
            assert_eq!(client_of(&key_of_client(client)), Some(client), "{text}");
        }
        let mapped = Ipv4Addr::new(192, 0, 2, 10).to_ipv6_mapped();
        let other = [&[6], mapped.octets().as_slice()].concat();
        for other in [
            &other,
            &b"\x04\xc0\0\x02\x0a\0"[..],
            b"\x04\xc0",
            b"\x05abcd",
            b"",
        ] {
            assert_eq!(client_of(other), None, "{other:?}");
        }
    }
}
