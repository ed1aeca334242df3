//! Patterns of addresses, and tables of them (cidr_table(5)).
//!
//! Source: `cidr_match.c` and `dict_cidr.c` of Postfix. Must never take a pattern for a larger
//! network than Postfix does.

use std::net::IpAddr;

use ipnet::IpNet;

use super::text::{Line, excerpt, logical_lines};

/// How deep `if` in `if` is followed.
const DEPTH: usize = 16;

/// A rule of a cidr table; what the table makes of a match does not matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CidrRule {
    network: IpNet,
    negated: bool,
    /// `Some` for an `if`: the rules up to its `endif`.
    then: Option<Vec<CidrRule>>,
}

/// Whether an address matches a table, `if` blocks included (`cidr_match_execute`).
pub(super) fn any_matches(rules: &[CidrRule], address: IpAddr) -> bool {
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

/// The rules of cidr_table(5). A wrong line is skipped, as by Postfix; so the block of a wrong `if`
/// counts without its condition.
///
/// # Errors
/// If blocks are nested too deeply to be followed.
pub(super) fn table(text: &str) -> Result<(Vec<CidrRule>, Vec<String>), String> {
    let mut problems = Vec::new();
    let rules = block(&mut logical_lines(text), 0, &mut problems)?;
    Ok((rules, problems))
}

/// The rules up to the `endif` of the block that these lines begin in. An `if` without `endif` holds
/// to the end of the table.
fn block(
    lines: &mut dyn Iterator<Item = Line>,
    depth: usize,
    problems: &mut Vec<String>,
) -> Result<Vec<CidrRule>, String> {
    let mut rules = Vec::new();
    while let Some(Line { number, text }) = lines.next() {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        let rest = rest.trim();
        let rule = if word.eq_ignore_ascii_case("if") {
            match cidr_pattern(rest) {
                Ok(_) if depth >= DEPTH => {
                    return Err(format!("line {number}: too many blocks in blocks"));
                }
                Ok((network, negated)) => Ok(CidrRule {
                    network,
                    negated,
                    then: Some(block(lines, depth + 1, problems)?),
                }),
                Err(why) => Err(why),
            }
        } else if word.eq_ignore_ascii_case("endif") {
            if depth > 0 {
                return Ok(rules);
            }
            Err("endif without if".to_owned())
        } else if rest.is_empty() {
            Err("no lookup result".to_owned())
        } else {
            cidr_pattern(word).map(|(network, negated)| CidrRule {
                network,
                negated,
                then: None,
            })
        };
        match rule {
            Ok(rule) => rules.push(rule),
            Err(problem) => {
                problems.push(format!("line {number}: {problem}: skipped, by Postfix too"));
            }
        }
    }
    Ok(rules)
}

/// `[address]/length`, `[address/length]`, `address/length`, `address` (`cidr_match_parse`).
pub(super) fn network(pattern: &str) -> Result<IpNet, String> {
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
        .map_err(|_| format!("{} is not an address", excerpt(address)))?;
    let Some(length) = length else {
        return Ok(IpNet::from(address));
    };
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let network = digits
        .then(|| length.parse::<u8>().ok())
        .flatten()
        .and_then(|length| IpNet::new(address, length).ok())
        .ok_or_else(|| format!("/{} is not a prefix length", excerpt(length)))?;
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
    network(bare)
        .map(|network| (network, negated))
        .map_err(|why| format!("{}: {why}", excerpt(pattern)))
}
