//! Where a journal entry comes from: one boot of one machine, as one source shows it.
//!
//! Lines are tied together, sessions named and ended within one origin only: a pid, or the id of a
//! session, means something on the host, and during the boot, that gave it. What machine an entry is
//! from is its journal's word; which source it was read from is ours. Plain data; reads no file. Must
//! never take two origins for one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A machine, as one source shows it: no source speaks for the machines of another.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Host {
    /// The source that its entries were read from.
    pub source: Id,
    /// The machine, as journald names it in the field `_MACHINE_ID` (systemd.journal-fields(7)).
    /// Senders can't choose it.
    pub machine: Id,
    /// The container on that machine, if it is one.
    pub container: Id,
}

/// One boot of a host.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Origin {
    /// The host.
    pub host: Host,
    /// The boot, as journald names it in the field `_BOOT_ID`.
    pub boot: Id,
}

/// A 128-bit id (machine-id(5), sd-id128(3)). Zero means no id, as in systemd.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Id(u128);

/// The length of an id in text.
const DIGITS: usize = 32;

impl Origin {
    /// The origin of an entry without these ids: nothing may be tied to it.
    pub const UNKNOWN: Origin = Origin {
        host: Host {
            source: Id::DEFAULT_SOURCE,
            machine: Id(0),
            container: Id::NONE,
        },
        boot: Id(0),
    };

    /// The origin of lines that were never in a journal, such as those of a log file: all of them
    /// are from one host.
    pub const OF_LINES: Origin = Origin {
        host: Host {
            source: Id::DEFAULT_SOURCE,
            machine: Id(1),
            container: Id::NONE,
        },
        boot: Id(1),
    };

    /// How many bytes [`Origin::to_bytes`] makes.
    pub const BYTES: usize = 4 * Id::BYTES;

    /// The origin of a line that a host of this name wrote, and that this origin has passed on.
    #[must_use]
    pub fn passed_on_from(self, name: &str) -> Origin {
        let machine = Id(self.host.machine.0 ^ Id::of_name(name).0);
        let host = Host {
            machine,
            ..self.host
        };
        Origin { host, ..self }
    }

    /// The origin of a line that was written in a container of this name on this machine. Each run of a
    /// container is another boot of it.
    #[must_use]
    pub fn in_container(self, name: &[u8], run: &[u8]) -> Origin {
        let host = Host {
            container: Id::of_bytes(name),
            ..self.host
        };
        let boot = Id(self.boot.0 ^ Id::of_bytes(run).0);
        Origin { host, boot }
    }

    /// The same, read from this source.
    #[must_use]
    pub fn read_from(self, source: Id) -> Origin {
        let host = Host {
            source,
            ..self.host
        };
        Origin { host, ..self }
    }

    /// Whether it is known: an entry that lacks one of the ids can't be tied to any other.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.host.machine.0 != 0 && self.boot.0 != 0
    }

    /// For a key of the store.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Origin::BYTES] {
        let mut bytes = [0; Origin::BYTES];
        let Host {
            source,
            machine,
            container,
        } = self.host;
        let ids = [source, machine, container, self.boot];
        for (place, id) in bytes.chunks_exact_mut(Id::BYTES).zip(ids) {
            place.copy_from_slice(&id.to_bytes());
        }
        bytes
    }

    /// From a key of the store.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Origin::BYTES]) -> Self {
        let id = |number| Id::from_bytes(&bytes[number * Id::BYTES..][..Id::BYTES]);
        Origin {
            host: Host {
                source: id(0),
                machine: id(1),
                container: id(2),
            },
            boot: id(3),
        }
    }
}

impl Id {
    /// Stands for the source that needs no name: the journal of `[journal]`.
    pub const DEFAULT_SOURCE: Id = Id(0);

    /// No id.
    pub const NONE: Id = Id(0);

    /// How many bytes [`Id::to_bytes`] makes.
    pub const BYTES: usize = 16;

    /// What stands for this name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Id::of_bytes(name.as_bytes())
    }

    fn of_bytes(name: &[u8]) -> Self {
        // FNV-1a, of 128 bits: the store knows the result, so that it must never change.
        let hash = name
            .iter()
            .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
                (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            });
        Id(hash)
    }

    /// For a key of the store.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Id::BYTES] {
        self.0.to_be_bytes()
    }

    /// From a key of the store: so many bytes, or it is another id.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Id(bytes.iter().fold(0, |id, byte| id << 8 | u128::from(*byte)))
    }

    /// Reads an id as journald writes it: 32 hexadecimal digits. Anything else is none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let digit = |id, byte: &u8| Some(id << 4 | u128::from(char::from(*byte).to_digit(16)?));
        let id = text.iter().try_fold(0, digit);
        Id(id.filter(|_| text.len() == DIGITS).unwrap_or(0))
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
                boot: Id::parse(none),
                ..Origin::OF_LINES
            };
            assert!(!origin.is_known(), "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_this_origin_and_no_other(ids: [u128; 4]) {
            let [source, machine, container, boot] = ids.map(Id);
            let host = Host { source, machine, container };
            let origin = Origin { host, boot };
            prop_assert_eq!(Origin::from_bytes(&origin.to_bytes()), origin);
        }
    }
}
