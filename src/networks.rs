//! Permitted networks: those that Postfix lets relay anyway, and whose clients are never listed.
//!
//! Read from the value of mynetworks with the syntax that Postfix gives it (postconf(5);
//! `match_list.c`, `match_ops.c`, `cidr_match.c`, `dict_cidr.c`). Pure: files and tables that the
//! value names are asked of a [`Lookup`]. Where Postfix can't tell, or we can't, a client counts
//! as *not* permitted: listing one that may relay anyway does no harm, leaving out one that may
//! not does. Must never permit more than Postfix does, and never fail.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::client::Client;

/// How deep files in files, and `if` in `if`, are followed.
const DEPTH: usize = 16;
/// How many files one value may name, itself included again and again.
const FILES: usize = 256;
/// How many rules are kept.
const RULES: usize = 1_000_000;
/// The most warnings that are worth reading.
const WARNINGS: usize = 20;
/// What separates the items of a list (`CHARS_COMMA_SP`).
const SEPARATORS: [char; 5] = [',', ' ', '\t', '\r', '\n'];

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
    /// Something that we can't look into, but Postfix perhaps can: what comes after it can't be
    /// known to decide.
    Unknown(String),
}

/// A rule of a cidr table; what the table makes of a match does not matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CidrRule {
    network: IpNet,
    negated: bool,
    /// `Some` for an `if`: the rules up to its `endif`.
    then: Option<Vec<CidrRule>>,
}

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

impl Networks {
    /// Reads a value of mynetworks in which `$name` is expanded already. The texts are warnings:
    /// what was left out, and why.
    #[must_use]
    pub fn parse(value: &str, lookup: &dyn Lookup) -> (Self, Vec<String>) {
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
        let rules = parser.rules;
        (Networks { rules }, parser.warnings)
    }

    /// Whether Postfix lets this address relay, as far as we know.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        for rule in &self.rules {
            let matches = match &rule.pattern {
                Pattern::Network(network) => network.contains(&address),
                Pattern::Addresses { keys, .. } => keys.contains(&address),
                Pattern::Cidr { rules, .. } => any_matches(rules, address),
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
fn unmapped(network: IpNet) -> IpNet {
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

/// Whether an address matches a table, `if` blocks included (`cidr_match_execute`).
fn any_matches(rules: &[CidrRule], address: IpAddr) -> bool {
    rules.iter().any(|rule| {
        // A pattern of the other family never matches, negated or not.
        let comparable = matches!(
            (&rule.network, address),
            (IpNet::V4(_), IpAddr::V4(_)) | (IpNet::V6(_), IpAddr::V6(_))
        );
        comparable
            && rule.network.contains(&address) != rule.negated
            && rule
                .then
                .as_ref()
                .is_none_or(|then| any_matches(then, address))
    })
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
        } else if is_address_like(item) {
            match parse_network(item) {
                Ok(network) => self.push(permits, Pattern::Network(network)),
                // Postfix compares it as text, and no printed address is like this.
                Err(_) if item.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                    self.warn(format!(
                        "{origin}: {} is no whole address: it never matches",
                        excerpt(item)
                    ))
                }
                Err(why) => self.unknown(item, origin, permits, &why),
            }
        } else if permits {
            // Were it the client's name, Postfix would permit it; that we list it does no harm.
            self.warn(format!(
                "{origin}: {} is no address: clients permitted by name are listed as well",
                excerpt(item)
            ));
        } else {
            self.unknown(item, origin, permits, "a host name can't be checked here");
        }
    }

    fn push(&mut self, permits: bool, pattern: Pattern) {
        // Nothing counts after what is unknown.
        let last = self.rules.last().map(|rule| &rule.pattern);
        if !matches!(last, Some(Pattern::Unknown(_))) {
            self.rules.push(Rule { permits, pattern });
        }
    }

    /// An item that ends what we know.
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
            let why = "too many files in files: does it name itself?";
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
        // A table read through proxymap(8) is the same table.
        let direct = item.strip_prefix("proxy:").unwrap_or(item);
        let Some((kind, name)) = direct.split_once(':') else {
            return self.unknown(item, origin, permits, "no type:table");
        };
        if is_address_like(item) {
            let why = "an IPv6 address must be in brackets: [address]/length";
            return self.unknown(item, origin, permits, why);
        }
        let inline = name.starts_with('{');
        let pattern = match kind {
            "cidr" => {
                let lines = if inline {
                    inline_lines(name).map(|rules| rules.join("\n"))
                } else {
                    self.lookup.file(name)
                };
                lines.map(|text| Pattern::Cidr {
                    table: excerpt(item),
                    rules: self.cidr_table(&text, &excerpt(item)),
                })
            }
            "texthash" | "inline" | "hash" | "btree" | "lmdb" | "dbm" | "sdbm" => {
                let keys = match (kind, inline) {
                    ("texthash", false) => self.lookup.file(name).map(|text| text_keys(&text)),
                    ("texthash", true) => {
                        inline_lines(name).map(|lines| text_keys(&lines.join("\n")))
                    }
                    ("inline", _) => inline_lines(name).map(|entries| inline_keys(&entries)),
                    _ => self.lookup.keys(kind, name),
                };
                keys.map(|keys| Pattern::Addresses {
                    table: excerpt(item),
                    keys: keys.iter().filter_map(|key| address_key(key)).collect(),
                })
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

    /// The rules of cidr_table(5); what is wrong is skipped with a warning, as Postfix does.
    fn cidr_table(&mut self, text: &str, table: &str) -> Vec<CidrRule> {
        // The blocks that are open, the outermost first: the `if`, and the rules of its block.
        let mut open: Vec<(IpNet, bool, Vec<CidrRule>)> = Vec::new();
        let mut top = Vec::new();
        let mut ignored_ifs = 0_usize;
        let close = |open: &mut Vec<(IpNet, bool, Vec<CidrRule>)>, top: &mut Vec<CidrRule>| {
            let Some((network, negated, rules)) = open.pop() else {
                return false;
            };
            let then = Some(rules);
            let outer = open.last_mut().map_or(top, |(_, _, rules)| rules);
            outer.push(CidrRule {
                network,
                negated,
                then,
            });
            true
        };
        for line in logical_lines(text) {
            let mut words = line.text.splitn(2, char::is_whitespace);
            let word = words.next().unwrap_or_default();
            let value = words.next().unwrap_or_default().trim();
            let problem = if word.eq_ignore_ascii_case("endif") {
                if ignored_ifs > 0 {
                    ignored_ifs -= 1;
                    None
                } else if close(&mut open, &mut top) {
                    None
                } else {
                    Some("endif without if".to_owned())
                }
            } else if ignored_ifs > 0 && !word.eq_ignore_ascii_case("if") {
                // In a block that we don't understand: it matches nothing.
                None
            } else if word.eq_ignore_ascii_case("if") {
                match cidr_pattern(value) {
                    Ok((network, negated)) if ignored_ifs == 0 && open.len() < DEPTH => {
                        open.push((network, negated, Vec::new()));
                        None
                    }
                    Ok(_) => {
                        ignored_ifs += 1;
                        Some("too many blocks in blocks".to_owned())
                    }
                    Err(why) => {
                        ignored_ifs += 1;
                        Some(why)
                    }
                }
            } else if value.is_empty() {
                Some("no lookup result".to_owned())
            } else {
                match cidr_pattern(word) {
                    Ok((network, negated)) => {
                        let rules = open.last_mut().map_or(&mut top, |(_, _, rules)| rules);
                        rules.push(CidrRule {
                            network,
                            negated,
                            then: None,
                        });
                        None
                    }
                    Err(why) => Some(why),
                }
            };
            if let Some(problem) = problem {
                let number = line.number;
                self.warn(format!("{table}, line {number}: {problem}: skipped"));
            }
        }
        while close(&mut open, &mut top) {}
        top
    }
}

/// The next item of a list; separators within braces don't separate (`mystrtokq`).
fn next_token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start_matches(SEPARATORS);
    let mut level = 0_usize;
    let mut end = text.len();
    for (at, character) in text.char_indices() {
        match character {
            '{' => level += 1,
            '}' => level = level.saturating_sub(1),
            _ if level == 0 && SEPARATORS.contains(&character) => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (token, after) = text.split_at(end);
    *rest = after;
    (!token.is_empty()).then_some(token)
}

/// The entries of a table that stands in the value itself: `{ { 10.0.0.0/8 OK }, … }`.
fn inline_lines(name: &str) -> Result<Vec<String>, String> {
    let braced = |text: &str| {
        let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        Some(inner.trim().to_owned())
    };
    let entries = braced(name).ok_or("a brace is missing")?;
    let mut rest = entries.as_str();
    let mut lines = Vec::new();
    while let Some(token) = next_token(&mut rest) {
        lines.push(braced(token).unwrap_or_else(|| token.to_owned()));
    }
    Ok(lines)
}

/// The keys of `inline:{ key = value, … }`.
fn inline_keys(entries: &[String]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, _)| key.trim().to_owned())
        .collect()
}

/// The keys of a source for postmap(1).
fn text_keys(text: &str) -> Vec<String> {
    logical_lines(text)
        .filter_map(|line| {
            let (key, value) = line.text.split_once(char::is_whitespace)?;
            (!value.trim().is_empty()).then(|| key.trim_matches('"').to_owned())
        })
        .collect()
}

/// The address that a key stands for. Postfix looks up the printed form of an address, so a key
/// in any other form (a network, an address not shortened) never matches one.
fn address_key(key: &str) -> Option<IpAddr> {
    let key = key.to_ascii_lowercase();
    let client: Client = key.parse().ok()?;
    (client.to_string() == key).then(|| client.address())
}

/// A line of a file, with those that continue it.
struct Line {
    /// Where it begins, from 1.
    number: usize,
    text: String,
}

/// The logical lines of a file (`readlline`): a line that begins with a space continues the one
/// before; empty lines and those that begin with `#` don't count, wherever they are.
fn logical_lines(text: &str) -> impl Iterator<Item = Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, physical) in text.lines().enumerate() {
        let trimmed = physical.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some(line) if physical.starts_with(char::is_whitespace) => {
                line.text.push(' ');
                line.text.push_str(trimmed);
            }
            _ => lines.push(Line {
                number: index + 1,
                text: trimmed.to_owned(),
            }),
        }
    }
    lines.into_iter()
}

/// Whether Postfix takes a pattern for an address and not for a name: nothing but the characters
/// of addresses, and at least a dot or a colon or a bracket (`match_hostaddr`).
fn is_address_like(item: &str) -> bool {
    item.starts_with('[')
        || item
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || b".:[]/".contains(&b))
            && item.bytes().any(|b| b".:/".contains(&b))
            && item.bytes().any(|b| b.is_ascii_hexdigit())
}

/// `[address]/length`, `[address/length]`, `address/length`, `address` (`cidr_match_parse`).
fn parse_network(pattern: &str) -> Result<IpNet, String> {
    let (address, length) = match pattern.strip_prefix('[') {
        Some(rest) => {
            let (inner, after) = rest.split_once(']').ok_or("the ']' is missing")?;
            if after.is_empty() {
                split_length(inner)
            } else {
                let length = after.strip_prefix('/').ok_or("text after the ']'")?;
                (inner, Some(length))
            }
        }
        None => split_length(pattern),
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("{} is no address", excerpt(address)))?;
    let Some(length) = length else {
        return Ok(IpNet::from(address));
    };
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let network = digits
        .then(|| length.parse::<u8>().ok())
        .flatten()
        .and_then(|length| IpNet::new(address, length).ok())
        .ok_or_else(|| format!("/{} is no length of a prefix", excerpt(length)))?;
    if network.trunc() != network {
        return Err(format!(
            "bits after the prefix are set, which Postfix refuses: did you mean {}?",
            network.trunc()
        ));
    }
    Ok(network)
}

fn split_length(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    }
}

/// The pattern of a cidr table, and whether it is negated.
fn cidr_pattern(pattern: &str) -> Result<(IpNet, bool), String> {
    let bare = pattern.trim_start_matches('!');
    if bare.is_empty() {
        return Err("no address pattern".to_owned());
    }
    let negated = (pattern.len() - bare.len()) % 2 == 1;
    parse_network(bare)
        .map(|network| (network, negated))
        .map_err(|why| format!("{}: {why}", excerpt(pattern)))
}

/// The beginning of a text that may be anything.
fn excerpt(text: &str) -> String {
    const LENGTH: usize = 80;
    let mut short: String = text.chars().take(LENGTH).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().collect()
}
