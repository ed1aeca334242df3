//! Permitted networks: those that Postfix lets relay anyway, and whose clients are never listed.
//!
//! If Postfix or this module can't tell, a client counts as *not* permitted: listing one that may
//! relay anyway does no harm, leaving out one that may not does. Must never permit a client that
//! Postfix refuses. Pure: the caller brings the value of mynetworks, and reads the files that it
//! names.

mod cidr;
mod mynetworks;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use cidr::CidrRule;
pub use mynetworks::Lookup;
pub(crate) use text::{SEPARATORS, next_token};

/// The networks that Postfix lets relay, as ordered rules: the first that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    rules: Vec<Rule>,
}

/// One item of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// False for an item with an odd number of `!`.
    permits: bool,
    pattern: Pattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Network(IpNet),
    /// The keys of a table that are addresses.
    Addresses {
        table: String,
        keys: BTreeSet<IpAddr>,
    },
    /// A table of cidr_table(5).
    Cidr {
        table: String,
        rules: Vec<CidrRule>,
    },
    /// Something that can't be evaluated here, but perhaps by Postfix: whether a later item decides
    /// is then unknown.
    Unknown(String),
}

impl Networks {
    /// Reads a value of mynetworks in which `$name` is already expanded. The texts are warnings:
    /// what was left out, and why.
    #[must_use]
    pub fn parse(value: &str, lookup: &dyn Lookup) -> (Self, Vec<String>) {
        let (rules, warnings) = mynetworks::parse(value, lookup);
        (Networks { rules }, warnings)
    }

    /// Whether Postfix lets this address relay, as far as is known.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        for rule in &self.rules {
            let matches = match &rule.pattern {
                Pattern::Network(network) => network.contains(&address),
                Pattern::Addresses { keys, .. } => keys.contains(&address),
                Pattern::Cidr { rules, .. } => cidr::any_matches(rules, address),
                Pattern::Unknown(_) => return false,
            };
            if matches {
                return rule.permits;
            }
        }
        false
    }

    /// Whether no address is permitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let known = |rule: &Rule| !matches!(rule.pattern, Pattern::Unknown(_));
        !self.rules.iter().any(|rule| rule.permits && known(rule))
    }
}

impl From<Vec<IpNet>> for Networks {
    /// Host bits are dropped, and networks of IPv4-mapped addresses are IPv4 networks.
    fn from(networks: Vec<IpNet>) -> Self {
        let rules = networks
            .into_iter()
            .map(|network| Rule {
                permits: true,
                pattern: Pattern::Network(unmapped(network.trunc())),
            })
            .collect();
        Networks { rules }
    }
}

/// `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
#[must_use]
pub fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let (Some(address), Some(length)) =
        (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
    else {
        return network;
    };
    ipnet::Ipv4Net::new(address, length).map_or(network, IpNet::V4)
}

impl fmt::Display for Networks {
    /// As in main.cf: `127.0.0.0/8 [::1]/128 !10.0.0.5/32 cidr:/etc/postfix/nets`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return f.write_str("none");
        }
        for (i, rule) in self.rules.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            if !rule.permits {
                f.write_str("!")?;
            }
            match &rule.pattern {
                Pattern::Network(IpNet::V4(network)) => write!(f, "{network}")?,
                Pattern::Network(IpNet::V6(network)) => {
                    write!(f, "[{}]/{}", network.addr(), network.prefix_len())?;
                }
                Pattern::Addresses { table, .. } | Pattern::Cidr { table, .. } => {
                    f.write_str(table)?;
                }
                Pattern::Unknown(item) => write!(f, "{item} (unknown)")?,
            }
        }
        Ok(())
    }
}
