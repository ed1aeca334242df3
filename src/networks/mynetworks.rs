//! Reads the value of mynetworks with the syntax that Postfix gives it (postconf(5)).
//!
//! Source: `match_list.c` and `match_ops.c` of Postfix. Pure: a [`Lookup`] reads the files and tables
//! that the value names. Must never fail: after something that can't be read nothing is known, and
//! a warning says so.

use std::net::IpAddr;

use super::text::{excerpt, inline_entries, inline_keys, logical_lines, next_token, text_keys};
use super::{Pattern, Rule, cidr};
use crate::client::Client;

/// How deep files in files are followed.
const DEPTH: usize = 16;
/// How many files one value may name, itself included again and again.
const FILES: usize = 256;
/// How many rules are kept.
const RULES: usize = 1_000_000;
/// How many warnings are worth reading.
pub(super) const WARNINGS: usize = 20;

/// How the files and tables that a value names are read.
pub trait Lookup {
    /// The contents of a file.
    ///
    /// # Errors
    /// Why it can't be read.
    fn file(&self, path: &str) -> Result<String, String>;

    /// The keys of an indexed table (`hash`, `lmdb`, …).
    ///
    /// # Errors
    /// Why they can't be listed.
    fn keys(&self, kind: &str, name: &str) -> Result<Vec<String>, String>;
}

/// The rules of a value, and warnings.
pub(super) fn parse(value: &str, lookup: &dyn Lookup) -> (Vec<Rule>, Vec<String>) {
    let mut parser = Parser {
        lookup,
        rules: Vec::new(),
        warnings: Vec::new(),
        dropped: 0,
        files: 0,
    };
    parser.list(value, "mynetworks", true, 0);
    if parser.dropped > 0 {
        let more = format!("mynetworks: {} more warnings", parser.dropped);
        parser.warnings.push(more);
    }
    (parser.rules, parser.warnings)
}

struct Parser<'a> {
    lookup: &'a dyn Lookup,
    rules: Vec<Rule>,
    warnings: Vec<String>,
    dropped: usize,
    files: usize,
}

impl Parser<'_> {
    fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(warning);
        } else {
            self.dropped += 1;
        }
    }

    /// A list of items; `origin` is the parameter or the file that it is in, and `permits` is
    /// false in a file that was named with `!`.
    fn list(&mut self, text: &str, origin: &str, permits: bool, depth: usize) {
        let mut rest = text;
        while let Some(token) = next_token(&mut rest) {
            if token.starts_with('#') {
                self.warn(format!(
                    "{origin}: a comment after other text is not allowed: {} and what follows is \
                     ignored, by Postfix too",
                    excerpt(token)
                ));
                return;
            }
            let item = token.trim_start_matches('!');
            let permits = permits == ((token.len() - item.len()) % 2 == 0);
            self.item(item, origin, permits, depth);
        }
    }

    fn item(&mut self, item: &str, origin: &str, permits: bool, depth: usize) {
        if self.rules.len() >= RULES {
            self.unknown(item, origin, permits, "too many networks");
        } else if item.is_empty() {
            self.unknown("!", origin, permits, "no pattern after '!'");
        } else if item.starts_with('/') {
            self.file(item, origin, permits, depth);
        } else if !item.starts_with('[') && item.contains(':') {
            self.table(item, origin, permits);
        } else {
            match cidr::network(item) {
                Ok(network) => self.push(permits, Pattern::Network(network)),
                Err(why) if is_address_like(item) => self.unknown(item, origin, permits, &why),
                // If it is the client's name, Postfix permits the client. Listing the client as well
                // does no harm.
                Err(_) if permits => self.warn(format!(
                    "{origin}: {} is not an address: clients that Postfix permits by their name are \
                     listed as well",
                    excerpt(item)
                )),
                Err(_) => {
                    let why = "no address, and names of clients are not known here";
                    self.unknown(item, origin, permits, why);
                }
            }
        }
    }

    fn push(&mut self, permits: bool, pattern: Pattern) {
        // Nothing counts after what is unknown.
        let last = self.rules.last().map(|rule| &rule.pattern);
        if !matches!(last, Some(Pattern::Unknown(_))) {
            self.rules.push(Rule { permits, pattern });
        }
    }

    /// An item after which nothing is known.
    fn unknown(&mut self, item: &str, origin: &str, permits: bool, why: &str) {
        self.warn(format!(
            "{origin}: {}: {why}; clients that this item, or one after it, permits are listed as \
             well",
            excerpt(item)
        ));
        self.push(permits, Pattern::Unknown(excerpt(item)));
    }

    fn file(&mut self, path: &str, origin: &str, permits: bool, depth: usize) {
        self.files += 1;
        if depth >= DEPTH || self.files > FILES {
            let why = "files are nested too deeply: does one name itself?";
            return self.unknown(path, origin, permits, why);
        }
        match self.lookup.file(path) {
            Ok(text) => {
                for line in logical_lines(&text) {
                    self.list(&line.text, path, permits, depth + 1);
                }
            }
            Err(why) => self.unknown(path, origin, permits, &why),
        }
    }

    fn table(&mut self, item: &str, origin: &str, permits: bool) {
        if is_address_like(item) {
            let why = "an IPv6 address must be in brackets: [address]/length";
            return self.unknown(item, origin, permits, why);
        }
        // A table read through proxymap(8) is the same table.
        let direct = item.strip_prefix("proxy:").unwrap_or(item);
        let Some((kind, name)) = direct.split_once(':') else {
            return self.unknown(item, origin, permits, "no type:table");
        };
        let pattern = match kind {
            "cidr" => self.cidr(name, excerpt(item)),
            "texthash" | "inline" | "hash" | "btree" | "lmdb" | "dbm" | "sdbm" => {
                self.keys(kind, name, excerpt(item), permits)
            }
            _ => Err(format!(
                "the keys of a table of type {kind} can't be listed"
            )),
        };
        match pattern {
            Ok(pattern) => self.push(permits, pattern),
            Err(why) if permits => self.warn(format!(
                "{origin}: {}: {why}; clients that it permits are listed as well",
                excerpt(item)
            )),
            Err(why) => self.unknown(item, origin, permits, &why),
        }
    }

    fn cidr(&mut self, name: &str, table: String) -> Result<Pattern, String> {
        let text = if name.starts_with('{') {
            inline_entries(name)?.join("\n")
        } else {
            self.lookup.file(absolute(name)?)?
        };
        let (rules, problems) = cidr::table(&text)?;
        for problem in problems {
            self.warn(format!("{table}, {problem}"));
        }
        Ok(Pattern::Cidr { table, rules })
    }

    fn keys(
        &mut self,
        kind: &str,
        name: &str,
        table: String,
        permits: bool,
    ) -> Result<Pattern, String> {
        let keys = match kind {
            "inline" => inline_keys(&inline_entries(name)?),
            "texthash" => text_keys(&self.lookup.file(absolute(name)?)?),
            _ => self.lookup.keys(kind, absolute(name)?)?,
        };
        let addresses: Vec<_> = keys.iter().map(|key| address_key(key)).collect();
        if !permits && addresses.contains(&None) {
            return Err("holds names, which can't be checked here".to_owned());
        }
        Ok(Pattern::Addresses {
            table,
            keys: addresses.into_iter().flatten().collect(),
        })
    }
}

/// A path that means the same to Postfix, whose programs run in its queue directory, and here.
fn absolute(name: &str) -> Result<&str, String> {
    if name.starts_with('/') {
        Ok(name)
    } else {
        Err("its path is not absolute".to_owned())
    }
}

/// The address that a key stands for. Postfix looks up the printed form of an address, so a key
/// in any other form (a network, an address not shortened) never matches one.
fn address_key(key: &str) -> Option<IpAddr> {
    let key = key.to_ascii_lowercase();
    let client: Client = key.parse().ok()?;
    (client.to_string() == key).then(|| client.address())
}

/// Whether something that is not an address was meant to be one: it is in brackets, or it has a slash
/// or a colon among the characters of addresses. Postfix then fails (`match_hostaddr`), whereas it
/// takes everything else for a name.
fn is_address_like(item: &str) -> bool {
    let of_addresses = |b: u8| b.is_ascii_hexdigit() || b".:[]/".contains(&b);
    item.starts_with('[') || item.contains(['/', ':']) && item.bytes().all(of_addresses)
}
