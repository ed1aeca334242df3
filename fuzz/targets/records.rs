//! Records of the store: any bytes are read or refused, and what was read is the same when it is written
//! and read again. That nothing is allocated without bound, cargo-fuzz sees to.

use pop_before_smtp::origin::Origin;
use pop_before_smtp::store::{FormerMap, InForce, of_two_blocks};
use pop_before_smtp::whitelist::{EndsOfServer, Listing, Manual, Session};

/// Reads a record of this type; writes it and reads it once more.
macro_rules! again {
    ($kind:ty, $bytes:expr) => {
        if let Ok(read) = postcard::from_bytes::<$kind>($bytes) {
            let written = postcard::to_stdvec(&read).expect("what was read can be written");
            assert!(written.len() <= $bytes.len(), "{read:?}");
            assert_eq!(postcard::from_bytes::<$kind>(&written), Ok(read));
        }
    };
}

/// A number as postcard writes it: seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f).checked_shl(7 * place)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The records of a block: lengths of key and value, and then these.
fn records(mut block: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut records = Vec::new();
    while !block.is_empty() {
        let lengths = (number(&mut block), number(&mut block));
        let (Some(key), Some(value)) = lengths else {
            panic!("a block was read that has no records");
        };
        let (key, rest) = block.split_at(key);
        let (value, rest) = rest.split_at(value);
        records.push((key, value));
        block = rest;
    }
    records
}

fn blocks(clients: &[u8], sessions: &[u8]) {
    let Ok((kept, open)) = of_two_blocks(clients, sessions) else {
        return;
    };
    let clients = records(clients);
    assert_eq!(clients.len(), kept.len(), "two records of one client");
    for ((key, value), (client, listing)) in clients.iter().zip(kept.iter()) {
        let octets = match client.address() {
            std::net::IpAddr::V4(v4) => [&[4], &v4.octets()[..]].concat(),
            std::net::IpAddr::V6(v6) => [&[6], &v6.octets()[..]].concat(),
        };
        assert_eq!(*key, octets, "a client's record under another's key");
        assert_eq!(postcard::from_bytes(value), Ok(listing));
    }
    let sessions = records(sessions);
    assert_eq!(sessions.len(), open.len());
    let mut kept: Vec<_> = open.iter().collect();
    kept.sort_unstable_by(|(a, _), (b, _)| {
        let key = |k: &pop_before_smtp::whitelist::SessionKey<'_>| key_of(k.origin, k.server, k.id);
        key(a).cmp(&key(b))
    });
    for ((key, value), (of, session)) in sessions.iter().zip(kept) {
        assert_eq!(*key, key_of(of.origin, of.server, of.id));
        assert_eq!(postcard::from_bytes(value), Ok(session));
    }
}

fn key_of(origin: Origin, server: &str, id: &str) -> Vec<u8> {
    [&origin.to_bytes(), server.as_bytes(), b"\0", id.as_bytes()].concat()
}

/// See the top. The first byte chooses the kind of record.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 8 {
        0 => again!(Listing<'_>, bytes),
        1 => again!(Session, bytes),
        2 => again!(Vec<EndsOfServer>, bytes),
        3 => {
            again!(InForce, bytes);
            again!(Vec<FormerMap>, bytes);
        }
        4 => {
            if let Ok(manual) = serde_json::from_slice::<Manual>(bytes) {
                let written = serde_json::to_vec(&manual).expect("it is JSON");
                let read: Manual = serde_json::from_slice(&written).expect("it can be read");
                assert_eq!(read, manual);
            }
        }
        5 => blocks(bytes, &[]),
        6 => blocks(&[], bytes),
        _ => {
            let (length, bytes) = bytes.split_first().unwrap_or((&0, &[]));
            let (clients, sessions) = bytes.split_at(bytes.len().min(usize::from(*length)));
            blocks(clients, sessions);
        }
    }
}
