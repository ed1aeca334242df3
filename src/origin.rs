//! Where a journal entry comes from: one boot of one machine.
//!
//! Lines are tied together, sessions named and ended within one origin only: a pid, or the id of a
//! session, means something on the host, and during the boot, that gave it. Plain data; reads no
//! file. Must never take two origins for one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One boot of one machine, as journald names them in the fields `_MACHINE_ID` and `_BOOT_ID`
/// (systemd.journal-fields(7)). Senders can't choose them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Origin {
    /// The machine.
    pub machine: Id,
    /// Its boot.
    pub boot: Id,
}

/// A 128-bit id (machine-id(5), sd-id128(3)). Zero stands for none, as it does for systemd.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Id(u128);

/// How long an id is that is written out.
const DIGITS: usize = 32;

impl Origin {
    /// Where an entry comes from that does not say so: nothing may be tied to it.
    pub const UNKNOWN: Origin = Origin {
        machine: Id(0),
        boot: Id(0),
    };

    /// Where lines come from that were never in a journal, such as those of a log file: all of
    /// them from one host.
    pub const OF_LINES: Origin = Origin {
        machine: Id(1),
        boot: Id(1),
    };

    /// How many bytes [`Origin::to_bytes`] makes.
    pub const BYTES: usize = 32;

    /// Where a line comes from that a host of this name wrote, and this origin has passed on.
    #[must_use]
    pub fn of_host(self, host: &str) -> Origin {
        // FNV-1a, of 128 bits: the store knows the result, so that it must never change.
        let hash = host
            .bytes()
            .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
                (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            });
        Origin {
            machine: Id(self.machine.0 ^ hash),
            ..self
        }
    }

    /// Whether it is known: an entry without one of the ids is nobody's neighbour.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.machine.0 != 0 && self.boot.0 != 0
    }

    /// For a key of the store.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Origin::BYTES] {
        let mut bytes = [0; Origin::BYTES];
        bytes[..16].copy_from_slice(&self.machine.0.to_be_bytes());
        bytes[16..].copy_from_slice(&self.boot.0.to_be_bytes());
        bytes
    }

    /// From a key of the store.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Origin::BYTES]) -> Self {
        let id = |half: &[u8]| Id(half.iter().fold(0, |id, byte| id << 8 | u128::from(*byte)));
        Origin {
            machine: id(&bytes[..16]),
            boot: id(&bytes[16..]),
        }
    }
}

impl Id {
    /// Reads an id as journald writes it: 32 hexadecimal digits. Anything else is none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        if text.len() != DIGITS || !text.iter().all(u8::is_ascii_hexdigit) {
            return Id(0);
        }
        let text = std::str::from_utf8(text).unwrap_or_default();
        Id(u128::from_str_radix(text, 16).unwrap_or(0))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_32_hexadecimal_digits_and_nothing_else() {
        let id = Id::parse(b"15f594f33c494af59fa3cdf33c2aa578");
        assert_eq!(id.to_string(), "15f594f33c494af59fa3cdf33c2aa578");
        for none in [
            &b""[..],
            b"15f594f3-3c49-4af5-9fa3-cdf33c2aa578",
            b"15f594f33c494af59fa3cdf33c2aa57",
            b"+5f594f33c494af59fa3cdf33c2aa578",
            b"00000000000000000000000000000000",
        ] {
            let origin = Origin {
                machine: id,
                boot: Id::parse(none),
            };
            assert!(!origin.is_known(), "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_this_origin_and_no_other(machine: u128, boot: u128) {
            let origin = Origin { machine: Id(machine), boot: Id(boot) };
            prop_assert_eq!(Origin::from_bytes(&origin.to_bytes()), origin);
        }
    }
}
