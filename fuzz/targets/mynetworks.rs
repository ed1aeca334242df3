//! Values of mynetworks, with the files and tables that they name. For plain networks a naive reference
//! says who is permitted; and whatever the value is, nobody is permitted whom it does not name.

use std::net::IpAddr;

use pop_before_smtp::networks::{Lookup, Networks};

/// The value's file and keys: the same, whatever the name.
struct Files<'a> {
    file: Option<&'a str>,
    keys: Option<&'a str>,
}

impl Lookup for Files<'_> {
    fn file(&self, _: &str) -> Result<String, String> {
        let file = self.file.map(str::to_owned);
        file.ok_or_else(|| "No such file or directory".to_owned())
    }

    fn keys(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        let keys = self.keys.map(|keys| keys.lines().map(str::to_owned));
        Ok(keys.ok_or("it can't be read")?.collect())
    }
}

/// A network as bits: family, address and length.
#[derive(Debug, Clone, Copy)]
struct Plain {
    is_permitted: bool,
    is_v4: bool,
    bits: u128,
    length: u32,
}

/// An address at the upper end of 128 bits.
fn bits(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (true, u128::from(u32::from(v4)) << 96),
        IpAddr::V6(v6) => (false, v6.into()),
    }
}

fn mask(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length).unwrap_or(0)
}

/// The networks of a value that has nothing else, up to one with bits behind its length, which Postfix
/// refuses; and whether there is one. `None` if it has something else.
fn plain(value: &str) -> Option<(Vec<Plain>, bool)> {
    let tokens = value.split([' ', '\t', '\r', '\n', ',']);
    let tokens = tokens.filter(|token| !token.is_empty());
    let network = |token: &str| {
        let item = token.trim_start_matches('!');
        let item = match item.strip_prefix('[') {
            Some(rest) => {
                let (inner, length) = rest.split_once(']')?;
                let is_once = length.is_empty() || length.starts_with('/') && !inner.contains('/');
                is_once.then(|| format!("{inner}{length}"))?
            }
            None if item.contains([':', '[', ']']) => return None,
            None => item.to_owned(),
        };
        let (address, length) = item.split_once('/').unwrap_or((&item, ""));
        let address: IpAddr = address.parse().ok()?;
        let is_v4 = address.is_ipv4();
        let most = if is_v4 { 32 } else { 128 };
        let length = match length {
            "" if item.contains('/') => return None,
            "" => most,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            _ => return None,
        };
        let bits = match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
            IpAddr::V6(v6) => v6.into(),
        };
        (length <= most).then_some(Plain {
            is_permitted: (token.len() - token.trim_start_matches('!').len()).is_multiple_of(2),
            is_v4,
            bits,
            length,
        })
    };
    let mut networks = tokens.map(network).collect::<Option<Vec<Plain>>>()?;
    let is_wrong = |n: &Plain| n.bits & !mask(n.length) != 0;
    let first = networks.iter().position(is_wrong);
    networks.truncate(first.unwrap_or(networks.len()));
    Some((networks, first.is_some()))
}

/// Whether the first network that holds the address permits it.
fn permits(networks: &[Plain], address: IpAddr) -> bool {
    let (is_v4, bits) = bits(address);
    let holds = |n: &&Plain| n.is_v4 == is_v4 && (bits ^ n.bits) & mask(n.length) == 0;
    networks.iter().find(holds).is_some_and(|n| n.is_permitted)
}

/// Addresses at the edges of a network, and beyond them.
fn edges(network: &Plain) -> [IpAddr; 4] {
    let Plain {
        bits,
        length,
        is_v4,
        ..
    } = *network;
    let step = if is_v4 { 1 << 96 } else { 1 };
    let last = bits | !mask(length);
    [bits, last, bits.wrapping_sub(step), last.wrapping_add(step)].map(|bits| {
        if is_v4 {
            IpAddr::V4(((bits >> 96) as u32).into())
        } else {
            IpAddr::V6(bits.into())
        }
    })
}

const OTHERS: [&str; 5] = [
    "127.0.0.1",
    "192.0.2.10",
    "2001:db8::10",
    "::1",
    "::ffff:192.0.2.10",
];

/// See the top.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\0');
    let value = parts.next().unwrap_or_default();
    let files = Files {
        file: parts.next(),
        keys: parts.next(),
    };
    let (networks, warnings) = Networks::parse(value, &files);
    assert!(warnings.len() <= 21);
    let others = OTHERS.map(|address| address.parse().expect("an address"));
    let Some((model, ends_early)) = plain(value) else {
        let names_nothing = !text.contains(|c: char| c.is_ascii_hexdigit() || c == ':');
        let permitted = others.into_iter().find(|a| networks.contains(*a));
        assert!(!names_nothing || permitted.is_none(), "{permitted:?}");
        return;
    };
    assert_eq!(warnings.is_empty(), !ends_early, "{warnings:?}");
    let shown = networks.to_string();
    if !model.is_empty() && !ends_early {
        assert_eq!(Networks::parse(&shown, &files).0, networks, "{shown}");
    }
    for address in model.iter().flat_map(edges).chain(others) {
        let permits = permits(&model, address);
        assert_eq!(networks.contains(address), permits, "{value:?}: {address}");
    }
}
