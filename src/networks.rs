//! Permitted networks: those that Postfix lets relay anyway, and whose clients are never listed.
//!
//! Read from the value of mynetworks with the syntax that Postfix gives it (postconf(5);
//! `match_list.c`, `match_ops.c`, `cidr_match.c`, `dict_cidr.c`). Pure: files and tables that the
//! value names are asked of a [`Lookup`]. Where Postfix can't tell, or we can't, a client counts
//! as *not* permitted: listing one that may relay anyway does no harm, leaving out one that may
//! not does. Must never permit whom Postfix refuses, and never fail.

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
        } else {
            match parse_network(item) {
                Ok(network) => self.push(permits, Pattern::Network(network)),
                Err(why) if is_address_like(item) => self.unknown(item, origin, permits, &why),
                // Were it the client's name, Postfix would permit the client. That we list it
                // does no harm.
                Err(_) if permits => self.warn(format!(
                    "{origin}: {} is no address: clients that Postfix permits by their name are \
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
        let rules = self.cidr_table(&text, &table)?;
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

    /// The rules of cidr_table(5). What is wrong is skipped with a warning, as Postfix does; so
    /// the block of an `if` that is wrong counts without its condition.
    fn cidr_table(&mut self, text: &str, table: &str) -> Result<Vec<CidrRule>, String> {
        let mut blocks = Blocks::default();
        for line in logical_lines(text) {
            let (word, rest) = line
                .text
                .split_once(char::is_whitespace)
                .unwrap_or((&line.text, ""));
            let rest = rest.trim();
            let problem = if word.eq_ignore_ascii_case("if") {
                match cidr_pattern(rest) {
                    Ok(_) if blocks.open.len() >= DEPTH => {
                        return Err(format!("line {}: too many blocks in blocks", line.number));
                    }
                    Ok((network, negated)) => {
                        blocks.open(network, negated);
                        None
                    }
                    Err(why) => Some(why),
                }
            } else if word.eq_ignore_ascii_case("endif") {
                let closed = blocks.close();
                (!closed).then(|| "endif without if".to_owned())
            } else if rest.is_empty() {
                Some("no lookup result".to_owned())
            } else {
                match cidr_pattern(word) {
                    Ok((network, negated)) => {
                        blocks.push(CidrRule {
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
                self.warn(format!(
                    "{table}, line {number}: {problem}: skipped, by Postfix too"
                ));
            }
        }
        // An `if` without `endif` holds to the end of the table.
        while blocks.close() {}
        Ok(blocks.top)
    }
}

/// A cidr table in the reading.
#[derive(Default)]
struct Blocks {
    /// The rules outside of all blocks.
    top: Vec<CidrRule>,
    /// The blocks that are not closed yet, the outermost first.
    open: Vec<CidrRule>,
}

impl Blocks {
    fn push(&mut self, rule: CidrRule) {
        let block = self.open.last_mut().and_then(|block| block.then.as_mut());
        block.unwrap_or(&mut self.top).push(rule);
    }

    fn open(&mut self, network: IpNet, negated: bool) {
        self.open.push(CidrRule {
            network,
            negated,
            then: Some(Vec::new()),
        });
    }

    /// False if no block is open.
    fn close(&mut self) -> bool {
        let Some(block) = self.open.pop() else {
            return false;
        };
        self.push(block);
        true
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
fn inline_entries(name: &str) -> Result<Vec<String>, String> {
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

/// A path that means the same to Postfix and to us: its programs work in its queue directory.
fn absolute(name: &str) -> Result<&str, String> {
    if name.starts_with('/') {
        Ok(name)
    } else {
        Err("its path is not absolute".to_owned())
    }
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

/// Whether something that is no address was meant for one: it is in brackets, or it has a slash
/// or a colon among the characters of addresses. Postfix then fails (`match_hostaddr`), whereas
/// it takes all else for names.
fn is_address_like(item: &str) -> bool {
    let of_addresses = |b: u8| b.is_ascii_hexdigit() || b".:[]/".contains(&b);
    item.starts_with('[') || item.contains(['/', ':']) && item.bytes().all(of_addresses)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Files and tables that are there, by name: `/path`, `hash:/path`.
    #[derive(Default)]
    struct Files(HashMap<String, String>);

    impl Files {
        fn with(mut self, name: &str, text: &str) -> Self {
            self.0.insert(name.to_owned(), text.to_owned());
            self
        }
    }

    impl Lookup for Files {
        fn file(&self, path: &str) -> Result<String, String> {
            let text = self.0.get(path).cloned();
            text.ok_or_else(|| "No such file or directory".to_owned())
        }

        fn keys(&self, kind: &str, name: &str) -> Result<Vec<String>, String> {
            let keys = self.file(&format!("{kind}:{name}"))?;
            Ok(keys.split_whitespace().map(str::to_owned).collect())
        }
    }

    fn parse(value: &str, files: &Files) -> (Networks, Vec<String>) {
        Networks::parse(value, files)
    }

    fn decides(networks: &Networks, permitted: &[&str], others: &[&str]) {
        for address in permitted {
            assert!(networks.contains(address.parse().unwrap()), "{address}");
        }
        for address in others {
            assert!(!networks.contains(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn what_debian_configures_and_what_postfix_computes() {
        let (networks, warnings) = parse(
            "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
            &Files::default(),
        );
        assert_eq!(warnings, Vec::<String>::new());
        decides(
            &networks,
            &["127.0.0.1", "::1", "::ffff:127.1.2.3"],
            &["128.0.0.1", "::2", "::"],
        );
        assert_eq!(
            networks.to_string(),
            "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"
        );
        let (networks, warnings) = parse("", &Files::default());
        assert!(networks.is_empty() && warnings.is_empty());
        assert_eq!(networks.to_string(), "none");
    }

    /// The answers are those of smtpd 3.7.11, asked by XCLIENT.
    #[test]
    fn forms_of_items_that_postfix_takes() {
        for (value, permitted, others) in [
            (
                "10.0.0.0/8,192.0.2.1\r\n\t198.51.100.0/24,,",
                vec!["10.1.1.1", "192.0.2.1", "198.51.100.9"],
                vec!["192.0.2.2"],
            ),
            (
                "[10.0.0.0]/8 [192.0.2.0/24] [198.51.100.7]",
                vec!["10.1.1.1", "192.0.2.9", "198.51.100.7"],
                vec!["198.51.100.8"],
            ),
            (
                "[2001:DB8::0:1] [2001:db9:0:0::/64]",
                vec!["2001:db8::1", "2001:db9::5"],
                vec!["2001:db8::2", "2001:db9:0:1::5"],
            ),
            ("10.0.0.0/08", vec!["10.1.1.1"], vec!["11.1.1.1"]),
            ("!10.0.0.5 10.0.0.0/8", vec!["10.0.0.6"], vec!["10.0.0.5"]),
            ("![10.0.0.5] 10.0.0.0/8", vec!["10.0.0.6"], vec!["10.0.0.5"]),
            (
                "!!10.0.0.5 !10.0.0.0/8 0.0.0.0/0",
                vec!["10.0.0.5", "9.9.9.9"],
                vec!["10.0.0.6", "2001:db8::1"],
            ),
            (
                "proxy:cidr:{{10.0.0.0/8 x}} 192.0.2.1",
                vec!["10.0.0.5", "192.0.2.1"],
                vec!["192.0.2.2"],
            ),
            (
                "cidr:{{192.0.2.0/24 OK},{!2001:db8::/32 x}, {if 198.51.100.0/24}, {198.51.100.7 y}, {endif}}",
                vec!["192.0.2.1", "2001:db9::1", "198.51.100.7"],
                vec!["2001:db8::1", "198.51.100.8", "10.0.0.1"],
            ),
            (
                "inline:{10.0.0.5=x, {192.0.2.9 = y}, 2001:db8::1=z}",
                vec!["10.0.0.5", "192.0.2.9", "2001:db8::1"],
                vec!["192.0.2.1"],
            ),
        ] {
            let (networks, warnings) = parse(value, &Files::default());
            assert_eq!(warnings, Vec::<String>::new(), "{value}");
            decides(&networks, &permitted, &others);
        }
    }

    /// Each gives a warning that names the culprit, and permits no more than smtpd 3.7.11.
    #[test]
    fn forms_of_items_that_postfix_does_not_take() {
        for (value, culprit, permitted, others) in [
            (
                "10.0.0.1/8 192.0.2.0/24",
                "10.0.0.1/8: bits after the prefix are set, which Postfix refuses: did you mean 10.0.0.0/8?",
                vec![],
                vec!["10.0.0.1", "192.0.2.1"],
            ),
            (
                "192.0.2.0/24 [2001:db8::1]/32",
                "[2001:db8::1]/32: bits",
                vec!["192.0.2.1"],
                vec!["2001:db8::1"],
            ),
            (
                "10.0.0.0/8 2001:db8::/32 192.0.2.1",
                "2001:db8::/32: an IPv6 address must be in brackets",
                vec!["10.0.0.1"],
                vec!["2001:db8::1", "192.0.2.1"],
            ),
            (
                "10.0.0.0/8, 0.0.0.0/33",
                "0.0.0.0/33: /33 is no length",
                vec!["10.0.0.1"],
                vec!["9.9.9.9"],
            ),
            (
                "10.0.0.0/8 [::1]/ 0.0.0.0/0",
                "[::1]/: / is no length",
                vec!["10.0.0.1"],
                vec!["9.9.9.9"],
            ),
            (
                "10.0.0.0/8 [::1]/+1 0.0.0.0/0",
                "[::1]/+1",
                vec!["10.0.0.1"],
                vec!["9.9.9.9"],
            ),
            (
                "10.0.0.0/8 # 192.0.2.0/24 0.0.0.0/0",
                "a comment after other text",
                vec!["10.0.0.1"],
                vec!["192.0.2.1"],
            ),
            (
                "10.0.0.0/8 {192.0.2.0/24}",
                "{192.0.2.0/24} is no address",
                vec!["10.0.0.1"],
                vec!["192.0.2.1"],
            ),
            (
                "192.168.1 10.0.0.0/8",
                "192.168.1 is no address",
                vec!["10.0.0.1"],
                vec!["192.168.1.1"],
            ),
            (
                "010.0.0.1 192.0.2.9",
                "010.0.0.1 is no address",
                vec!["192.0.2.9"],
                vec!["10.0.0.1"],
            ),
            (
                "cafe.de mail.example.org 10.0.0.0/8",
                "mail.example.org is no address",
                vec!["10.0.0.1"],
                vec!["9.9.9.9"],
            ),
            (
                "!mail.example.org 10.0.0.0/8",
                "mail.example.org: no address, and names",
                vec![],
                vec!["10.0.0.1"],
            ),
            (
                "10.0.0.0/8 /nonexistent 192.0.2.0/24",
                "/nonexistent: No such file",
                vec!["10.0.0.1"],
                vec!["192.0.2.1"],
            ),
            (
                "10.0.0.0/8 !",
                "no pattern after '!'",
                vec!["10.0.0.1"],
                vec!["9.9.9.9"],
            ),
            (
                "nosuch:/x 192.0.2.1",
                "nosuch:/x: the keys of a table of type nosuch",
                vec!["192.0.2.1"],
                vec!["10.0.0.1"],
            ),
            (
                "!mysql:/x 10.0.0.0/8",
                "mysql:/x: the keys",
                vec![],
                vec!["10.0.0.1"],
            ),
            (
                "hash:nets 10.0.0.0/8",
                "its path is not absolute",
                vec!["10.0.0.1"],
                vec![],
            ),
            ("static:all", "static:all", vec![], vec!["10.0.0.1"]),
        ] {
            let (networks, warnings) = parse(value, &Files::default());
            assert!(
                warnings
                    .iter()
                    .any(|w| w.starts_with("mynetworks: ") && w.contains(culprit)),
                "{value}: {warnings:?}"
            );
            decides(&networks, &permitted, &others);
        }
    }

    #[test]
    fn files_stand_for_their_lines_and_an_exclamation_mark_for_all_of_them() {
        let files = Files::default()
            .with(
                "/nets",
                "# ours\n10.0.0.0/8\n  192.0.2.1 # the printer\n\n!/inner\n198.51.100.0/24\n",
            )
            .with("/inner", "198.51.100.7\n!203.0.113.9\n");
        let (networks, warnings) = parse("/nets", &files);
        decides(
            &networks,
            &["10.0.0.1", "192.0.2.1", "198.51.100.8", "203.0.113.9"],
            &["198.51.100.7"],
        );
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("/nets: a comment"), "{warnings:?}");

        let (networks, _) = parse("!/inner 0.0.0.0/0", &files);
        decides(&networks, &["203.0.113.9", "1.2.3.4"], &["198.51.100.7"]);
    }

    #[test]
    fn a_file_that_names_itself_ends() {
        let files = Files::default().with("/nets", "10.0.0.0/8\n/nets\n/nets\n192.0.2.1");
        let (networks, warnings) = parse("/nets", &files);
        decides(&networks, &["10.0.0.1"], &["192.0.2.1"]);
        assert!(warnings[0].contains("does it name itself?"), "{warnings:?}");
        assert!(warnings.len() <= WARNINGS + 1, "{}", warnings.len());
    }

    #[test]
    fn tables_of_keys() {
        let files = Files::default()
            .with(
                "hash:/t",
                "10.0.0.5 2001:db8::1 192.0.2 2001:db8:0::2 mail.example.org",
            )
            .with("lmdb:/t", "10.0.0.6")
            .with(
                "/x",
                "10.0.0.7 yes\n10.0.0.8\n# 10.0.0.9 no\n2001:DB8::A yes\n",
            );
        let (networks, warnings) = parse("hash:/t proxy:lmdb:/t texthash:/x", &files);
        assert_eq!(warnings, Vec::<String>::new());
        decides(
            &networks,
            &[
                "10.0.0.5",
                "2001:db8::1",
                "10.0.0.6",
                "10.0.0.7",
                "2001:db8::a",
            ],
            &["192.0.2.1", "2001:db8::2", "10.0.0.8", "10.0.0.9"],
        );
        assert_eq!(networks.to_string(), "hash:/t proxy:lmdb:/t texthash:/x");

        // A name in it could be the client's.
        let (networks, warnings) = parse("!hash:/t 10.0.0.0/8", &files);
        decides(&networks, &[], &["10.0.0.5", "10.0.0.9"]);
        assert!(warnings[0].contains("holds names"), "{warnings:?}");
        let (networks, _) = parse("!lmdb:/t 10.0.0.0/8", &files);
        decides(&networks, &["10.0.0.5"], &["10.0.0.6"]);
    }

    /// The answers are those of smtpd 3.7.11.
    #[test]
    fn cidr_tables_with_what_is_wrong_in_them() {
        for (rules, permitted, others, warned) in [
            (
                "192.0.2.0/24 OK\nif 10.0.0.0/8\n10.0.0.5 x\n",
                vec!["192.0.2.9", "10.0.0.5"],
                vec!["10.0.0.6"],
                0,
            ),
            (
                "if bogus\n10.0.0.5 x\nendif\n192.0.2.0/24 OK",
                vec!["192.0.2.9", "10.0.0.5"],
                vec!["10.0.0.6"],
                2,
            ),
            (
                "if 10.0.0.0/8 foo\n10.0.0.5 x\nendif\n192.0.2.0/24 OK\nendif\n9.9.9.9 z",
                vec!["10.0.0.5", "192.0.2.9", "9.9.9.9"],
                vec!["10.0.0.6"],
                3,
            ),
            (
                "10.0.0.5\n10.0.0.6 x\n10.0.0.7/8 x\n",
                vec!["10.0.0.6"],
                vec!["10.0.0.5", "10.0.0.7"],
                2,
            ),
            (
                "IF !10.0.0.0/8\nif 0.0.0.0/1\n0.0.0.0/0 x\nendif\nENDIF\n",
                vec!["9.9.9.9", "11.0.0.1"],
                vec!["10.0.0.1", "192.0.2.1", "2001:db8::1"],
                0,
            ),
            (
                "# c\n\n10.0.0.5\n # c\n  continued\n2001:db8::/32 x",
                vec!["10.0.0.5", "2001:db8::5"],
                vec![],
                0,
            ),
        ] {
            let files = Files::default().with("/c", rules);
            let (networks, warnings) = parse("cidr:/c", &files);
            decides(&networks, &permitted, &others);
            assert_eq!(warnings.len(), warned, "{warnings:?}");
            assert!(warnings.iter().all(|w| w.starts_with("cidr:/c, line ")));
        }
        let deep = format!("{}10.0.0.5 x", "if 0.0.0.0/0\n".repeat(100_000));
        let files = Files::default().with("/c", &deep);
        let (networks, warnings) = parse("!cidr:/c 10.0.0.0/8", &files);
        decides(&networks, &[], &["10.0.0.5", "10.0.0.6"]);
        assert!(warnings[0].contains("too many blocks"), "{warnings:?}");
    }

    #[test]
    fn networks_of_the_configuration() {
        let list = ["10.1.2.3/8", "2001:db8::5/32", "::ffff:192.0.2.9/120"];
        let networks = Networks::from(list.map(|n| n.parse().unwrap()).to_vec());
        decides(
            &networks,
            &["10.9.9.9", "2001:db8:1::", "192.0.2.1"],
            &["11.0.0.1", "192.0.3.1"],
        );
        assert_eq!(
            networks.to_string(),
            "10.0.0.0/8 [2001:db8::]/32 192.0.2.0/24"
        );
    }

    /// A rule of the naive model: the number of `!`, the address as a number, the length, IPv4.
    type Item = (usize, u128, u8, bool);

    fn item() -> impl Strategy<Value = Item> {
        // Few addresses, so that rules and questions meet.
        (0..3_usize, 0..4_u128, 0..=3_u8, any::<bool>()).prop_map(|(marks, top, length, v4)| {
            let bits = if v4 { 32 } else { 128 };
            let kept = if length == 0 {
                0
            } else {
                top >> 2_u8.saturating_sub(length) << 2_u8.saturating_sub(length)
            };
            let length = if length == 3 { bits } else { length };
            (marks, kept << (bits - 2), length, v4)
        })
    }

    fn address(number: u128, v4: bool) -> IpAddr {
        if v4 {
            IpAddr::V4(u32::try_from(number).unwrap().into())
        } else {
            IpAddr::V6(number.into())
        }
    }

    fn written(&(marks, number, length, v4): &Item, brackets: u8) -> String {
        let address = address(number, v4);
        let text = match (brackets, v4) {
            (0, _) | (2, false) => format!("[{address}]/{length}"),
            (1, _) => format!("[{address}/{length}]"),
            _ => format!("{address}/{length}"),
        };
        format!("{}{text}", "!".repeat(marks))
    }

    fn model(items: &[Item], number: u128, v4: bool, marks: usize) -> Option<bool> {
        let bits = if v4 { 32 } else { 128 };
        items.iter().filter(|item| item.3 == v4).find_map(|item| {
            let shift = bits - u32::from(item.2);
            let high = |n: u128| n.checked_shr(shift).unwrap_or(0);
            (high(item.1) == high(number)).then_some((item.0 + marks).is_multiple_of(2))
        })
    }

    proptest! {
        #[test]
        fn decides_as_a_naive_model(
            before in prop::collection::vec((item(), 0..3_u8), 0..6),
            file in prop::collection::vec((item(), 0..3_u8), 0..6),
            after in prop::collection::vec((item(), 0..3_u8), 0..6),
            marks in 0..3_usize,
            low in any::<bool>(),
        ) {
            let text = |items: &[(Item, u8)], between: &str| {
                items.iter().map(|(i, b)| written(i, *b)).collect::<Vec<_>>().join(between)
            };
            let files = Files::default().with("/f", &text(&file, "\n"));
            let value = format!(
                "{} {}/f, {}", text(&before, ", "), "!".repeat(marks), text(&after, "\t")
            );
            let (networks, warnings) = parse(&value, &files);
            prop_assert_eq!(warnings, Vec::<String>::new());
            let rules = |items: &[(Item, u8)]| items.iter().map(|(i, _)| *i).collect::<Vec<_>>();
            for v4 in [true, false] {
                for top in 0..4_u128 {
                    let bits = if v4 { 32 } else { 128 };
                    let number = (top << (bits - 2)) + u128::from(low);
                    let expected = model(&rules(&before), number, v4, 0)
                        .or_else(|| model(&rules(&file), number, v4, marks))
                        .or_else(|| model(&rules(&after), number, v4, 0))
                        .unwrap_or(false);
                    let address = address(number, v4);
                    prop_assert_eq!(networks.contains(address), expected, "{} in {}", address, value);
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(value: String, file: String, address: IpAddr) {
            let files = Files::default().with("/f", &file).with("/c", &file);
            for value in [value.as_str(), "/f", "!/f", "cidr:/c", "!cidr:/c", "texthash:/f"] {
                let (networks, warnings) = parse(value, &files);
                let _ = networks.contains(address);
                prop_assert!(warnings.len() <= WARNINGS + 1);
            }
        }

        #[test]
        fn no_text_of_the_right_characters_makes_it_panic(
            value in "[0-9a-f.:/!,# {}\\[\\]\n]{0,60}", address: IpAddr,
        ) {
            let files = Files::default().with("/f", &value).with("/c", &value);
            for value in [value.as_str(), "/f", "cidr:/c"] {
                let _ = parse(value, &files).0.contains(address);
            }
        }
    }
}
