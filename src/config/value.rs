//! What a single value may be: each function takes a TOML value and gives what it means, or says
//! what was expected, with everything that is wrong in it.
//!
//! Must never put a wrong value right in silence: what is not exactly right is refused.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::PermittedNetworks;
use super::duration::{self, Humane, NotADuration};
use super::error::harmless;
use crate::postfix::map_type::MapType;

/// What is wrong with a value, and which bytes of the file are meant.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// A value, or everything that is wrong with it.
pub(super) type Checked<T> = Result<T, Vec<Wrong>>;

type Value<'d> = Spanned<DeValue<'d>>;

/// A value of another type than was expected.
pub(super) fn wrong_type(value: &Value<'_>, expected: &str) -> Wrong {
    let found = match value.get_ref() {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(truth) => format!("{truth}"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    wrong(value, format!("expected {expected}, found {found}"))
}

fn wrong(value: &Value<'_>, message: String) -> Wrong {
    Wrong {
        span: value.span(),
        message,
        hint: None,
    }
}

impl Wrong {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Foreign text, short and harmless, in quotes.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut = if text.chars().nth(SHOWN).is_some() {
        "…"
    } else {
        ""
    };
    format!(
        "\"{}{cut}\"",
        harmless(&text.chars().take(SHOWN).collect::<String>())
    )
}

/// A duration within a range.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl FnOnce(&Value<'_>) -> Checked<Duration> {
    move |value| {
        let (least, most) = (Humane(*range.start()), Humane(*range.end()));
        let expected =
            format!("a duration from {least} to {most}, such as \"30s\" or \"1h 30min\"");
        let DeValue::String(text) = value.get_ref() else {
            let mut wrong = wrong_type(value, &expected);
            if let DeValue::Integer(number) = value.get_ref() {
                wrong = wrong.hint(format!("write the unit: \"{number}s\" or \"{number}min\""));
            }
            return Err(vec![wrong]);
        };
        match duration::parse(text) {
            Ok(duration) if range.contains(&duration) => Ok(duration),
            Ok(_) => {
                let message = format!("must be from {least} to {most}, but is {}", quoted(text));
                Err(vec![wrong(value, message)])
            }
            Err(reason) => {
                let mut wrong = wrong_type(value, &expected).hint(reason.to_string());
                if reason == NotADuration::NoUnit {
                    let number = text.trim();
                    wrong = wrong.hint(format!("write the unit: \"{number}s\" or \"{number}min\""));
                }
                Err(vec![wrong])
            }
        }
    }
}

/// An integer within a range.
pub(super) fn count(range: RangeInclusive<usize>) -> impl FnOnce(&Value<'_>) -> Checked<usize> {
    move |value| {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        integer(value)
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| vec![wrong_type(value, &expected)])
    }
}

fn integer(value: &Value<'_>) -> Option<i128> {
    let number = value.get_ref().as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

fn text<'v>(value: &'v Value<'_>, expected: &str) -> Result<&'v str, Wrong> {
    value
        .get_ref()
        .as_str()
        .ok_or_else(|| wrong_type(value, expected))
}

/// A list, each element checked; all that is wrong is told.
fn list<T>(
    value: &Value<'_>,
    expected: &str,
    check: impl Fn(&Value<'_>) -> Result<T, Wrong>,
) -> Checked<Vec<T>> {
    let DeValue::Array(elements) = value.get_ref() else {
        let mut wrong = wrong_type(value, expected);
        if let DeValue::String(text) = value.get_ref() {
            wrong = wrong.hint(format!("a list stands in brackets: [{}]", quoted(text)));
        }
        return Err(vec![wrong]);
    };
    let mut right = Vec::with_capacity(elements.len());
    let mut wrongs = Vec::new();
    for element in elements {
        match check(element) {
            Ok(element) => right.push(element),
            Err(wrong) => wrongs.push(wrong),
        }
    }
    if wrongs.is_empty() {
        Ok(right)
    } else {
        Err(wrongs)
    }
}

/// Whether this can be the name of a server's definition.
pub(super) fn is_server_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What [`is_server_name`] expects.
pub(super) const SERVER_NAME: &str =
    "the name of a server: small letters, digits and hyphens, such as \"dovecot\"";

/// `servers`.
pub(super) fn servers(value: &Value<'_>) -> Checked<Vec<String>> {
    let servers = list(
        value,
        "a list of servers, such as [\"dovecot\"]",
        |element| match text(element, SERVER_NAME)? {
            name if is_server_name(name) => Ok((name.to_owned(), element.span())),
            _ => Err(wrong_type(element, SERVER_NAME)),
        },
    )?;
    if servers.is_empty() {
        return Err(vec![
            wrong(
                value,
                "names no server: no login would ever be recognised".to_owned(),
            )
            .hint("to let nobody in, stop the service: systemctl disable --now pop-before-smtp"),
        ]);
    }
    let mut names: Vec<String> = Vec::with_capacity(servers.len());
    let mut twice = Vec::new();
    for (name, span) in servers {
        if names.contains(&name) {
            let message = format!("\"{name}\" is here for the second time");
            twice.push(Wrong {
                span,
                message,
                hint: None,
            });
        }
        names.push(name);
    }
    if twice.is_empty() {
        Ok(names)
    } else {
        Err(twice)
    }
}

/// A list of networks.
pub(super) fn networks(value: &Value<'_>) -> Checked<Vec<IpNet>> {
    list(
        value,
        "a list of networks, such as [\"192.0.2.0/24\", \"2001:db8::1\"]",
        network,
    )
}

/// `permitted-networks`.
pub(super) fn permitted_networks(value: &Value<'_>) -> Checked<PermittedNetworks> {
    match value.get_ref() {
        DeValue::String(text) if text == "postfix" => Ok(PermittedNetworks::Postfix),
        DeValue::Array(_) => networks(value).map(PermittedNetworks::List),
        other => {
            let expected = "\"postfix\" or a list of networks, such as [\"192.0.2.0/24\"]";
            let mut wrong = wrong_type(value, expected);
            if let DeValue::String(text) = other
                && parse_network(text).is_ok()
            {
                wrong = wrong.hint(format!("a list stands in brackets: [{}]", quoted(text)));
            }
            Err(vec![wrong])
        }
    }
}

fn network(value: &Value<'_>) -> Result<IpNet, Wrong> {
    const EXPECTED: &str =
        "an IPv4 or IPv6 network or address, such as \"192.0.2.0/24\" or \"2001:db8::1\"";
    match parse_network(text(value, EXPECTED)?) {
        Ok(network) => Ok(network),
        Err(None) => Err(wrong_type(value, EXPECTED)),
        Err(Some(HostBits { network, host })) => {
            let wrong = wrong(value, "names a host within a network".to_owned());
            Err(wrong.hint(format!(
                "the network is \"{network}\"; the host alone is \"{host}\""
            )))
        }
    }
}

/// A network that was written with the address of one of its hosts.
#[derive(Debug, PartialEq, Eq)]
struct HostBits {
    network: IpNet,
    host: IpAddr,
}

/// `ADDRESS` or `ADDRESS/LENGTH`; IPv6 also in brackets, as in main.cf: `[2001:db8::]/32`.
/// IPv4-mapped IPv6 becomes IPv4, as clients do.
fn parse_network(text: &str) -> Result<IpNet, Option<HostBits>> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = match address.strip_prefix('[') {
        Some(rest) => {
            let bare = rest.strip_suffix(']').ok_or(None)?;
            IpAddr::V6(bare.parse().map_err(|_| None)?)
        }
        None => address.parse().map_err(|_| None)?,
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u8 = match length {
        None => bits,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| None)?
        }
        Some(_) => return Err(None),
    };
    let (address, length) = match address.to_canonical() {
        canonical if canonical != address && length >= 96 => (canonical, length - 96),
        _ => (address, length),
    };
    let network = IpNet::new(address, length).map_err(|_| None)?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(Some(HostBits {
            network: network.trunc(),
            host: address,
        }))
    }
}

/// A path that begins at the root.
fn path(value: &Value<'_>) -> Result<PathBuf, Wrong> {
    const EXPECTED: &str = "a path that begins with /";
    let path = text(value, EXPECTED)?;
    if !path.starts_with('/') {
        return Err(wrong_type(value, EXPECTED));
    }
    if path.chars().any(char::is_control) {
        return Err(wrong(value, "holds a control character".to_owned()));
    }
    Ok(PathBuf::from(path))
}

/// What a path must not hold if main.cf is to name it: what separates or quotes there, postconf(5).
pub(super) fn unfit_for_main_cf(path: &str) -> Option<char> {
    path.chars().find(|c| {
        c.is_whitespace() || c.is_control() || matches!(c, ',' | '{' | '}' | '$' | '"' | '\'')
    })
}

fn postfix_path(value: &Value<'_>) -> Result<PathBuf, Wrong> {
    let path = path(value)?;
    match unfit_for_main_cf(&path.to_string_lossy()) {
        None => Ok(path),
        Some(character) => {
            let message = format!("holds {character:?}, which main.cf can't have in a path");
            Err(wrong(value, message))
        }
    }
}

/// `state-directory`.
pub(super) fn state_directory(value: &Value<'_>) -> Checked<PathBuf> {
    postfix_path(value).map_err(|wrong| vec![wrong])
}

/// `map.path`.
pub(super) fn map_path(value: &Value<'_>) -> Checked<PathBuf> {
    let path = postfix_path(value).map_err(|wrong| vec![wrong])?;
    let text = path.to_string_lossy();
    if text.ends_with('/') || path.file_name().is_none() {
        return Err(vec![wrong(
            value,
            "names a directory, not a file".to_owned(),
        )]);
    }
    for extension in [".db", ".lmdb", ".cdb"] {
        if let Some(bare) = text.strip_suffix(extension) {
            let message = format!("has the extension {extension}, which postmap adds itself");
            return Err(vec![
                wrong(value, message).hint(format!("write {}", quoted(bare))),
            ]);
        }
    }
    Ok(path)
}

/// `journal.directory`; empty is none.
pub(super) fn journal_directory(value: &Value<'_>) -> Checked<Option<PathBuf>> {
    if value.get_ref().as_str() == Some("") {
        return Ok(None);
    }
    path(value).map(Some).map_err(|wrong| vec![wrong])
}

/// `journal.namespace`; empty is none. The rules are systemd's `log_namespace_name_valid`.
pub(super) fn journal_namespace(value: &Value<'_>) -> Checked<Option<String>> {
    const EXPECTED: &str = "the name of a journal namespace, as in LogNamespace=";
    const LONGEST: usize = 222;
    let name = text(value, EXPECTED).map_err(|wrong| vec![wrong])?;
    if name.is_empty() {
        return Ok(None);
    }
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'@'));
    if plain && name.len() <= LONGEST && !matches!(name, "." | "..") {
        return Ok(Some(name.to_owned()));
    }
    let mut wrong = wrong_type(value, EXPECTED);
    wrong = match name.strip_prefix('+') {
        Some(bare) => wrong.hint(format!(
            "one namespace is read, and nothing else: {}",
            quoted(bare)
        )),
        None if name == "*" => wrong.hint("one namespace is read: write its name"),
        None => wrong.hint(format!(
            "letters, digits and :-_.@, at most {LONGEST} of them"
        )),
    };
    Err(vec![wrong])
}

/// `map.type`; `auto` is none.
pub(super) fn map_type(value: &Value<'_>) -> Checked<Option<MapType>> {
    let expected = format!(
        "\"auto\", {}",
        MapType::ALL.map(|t| format!("\"{t}\"")).join(", ")
    );
    let name = text(value, &expected).map_err(|wrong| vec![wrong])?;
    match name.parse() {
        Ok(kind) => Ok(Some(kind)),
        Err(()) if name == "auto" => Ok(None),
        Err(()) => Err(vec![wrong_type(value, &expected)]),
    }
}

/// `map.value`.
pub(super) fn map_value(value: &Value<'_>) -> Checked<String> {
    const EXPECTED: &str = "the right-hand side of access(5) that permits, such as \"OK\"";
    let action = text(value, EXPECTED).map_err(|wrong| vec![wrong])?;
    check_action(action)
        .map(|()| action.to_owned())
        .map_err(|reason| vec![wrong_type(value, EXPECTED).hint(reason)])
}

/// Whether an access map may have this on its right-hand side, access(5).
fn check_action(action: &str) -> Result<(), String> {
    if action.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    if action.trim() != action {
        return Err("it begins or ends with a blank".to_owned());
    }
    let word = action.split_whitespace().next().unwrap_or_default();
    let permits = ["OK", "RELAY", "permit"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word));
    let digits = !word.is_empty() && action.bytes().all(|b| b.is_ascii_digit());
    if permits || digits {
        Ok(())
    } else {
        Err("only OK, RELAY, permit or digits let a client relay".to_owned())
    }
}

/// `senders.SERVER.users`: names or numbers.
pub(super) fn users(value: &Value<'_>) -> Checked<Vec<String>> {
    const EXPECTED: &str = "the name or number of a user, such as \"vmail\" or 5000";
    list(
        value,
        "a list of users, such as [\"vmail\", 5000]",
        |element| {
            let user = match element.get_ref() {
                DeValue::Integer(_) => {
                    integer(element).and_then(|n| uid(n).map(|uid| uid.to_string()))
                }
                DeValue::String(name) if name.bytes().all(|b| b.is_ascii_digit()) => name
                    .parse()
                    .ok()
                    .and_then(|n| uid(n).map(|uid| uid.to_string())),
                DeValue::String(name) if is_user_name(name) => Some(name.clone().into_owned()),
                _ => None,
            };
            user.ok_or_else(|| wrong_type(element, EXPECTED))
        },
    )
}

/// A number that can be a user's: -1, in 16 bits or 32, never is.
fn uid(number: i128) -> Option<u32> {
    u32::try_from(number)
        .ok()
        .filter(|uid| *uid != u32::MAX && *uid != u32::from(u16::MAX))
}

/// What no system takes for a user's name is refused; the rest is the system's business.
fn is_user_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && !name.starts_with('-')
        && !name
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || matches!(c, ':' | '/' | '*'))
}

/// `senders.SERVER.units`: names of units, systemd.unit(5), or patterns of them.
pub(super) fn units(value: &Value<'_>) -> Checked<Vec<String>> {
    const EXPECTED: &str =
        "the name of a unit, such as \"dovecot.service\" or \"popa3d@*.service\"";
    list(
        value,
        "a list of units, such as [\"dovecot.service\"]",
        |element| {
            let name = text(element, EXPECTED)?;
            if is_unit_pattern(name) {
                return Ok(name.to_owned());
            }
            let wrong = wrong_type(element, EXPECTED);
            Err(
                if name.contains('*') && name.bytes().all(|b| !b.is_ascii_alphanumeric()) {
                    wrong.hint("this would believe every program on this machine")
                } else if !name.contains('.') {
                    wrong.hint(format!(
                        "write the type of the unit, too: {}",
                        quoted(&format!("{name}.service"))
                    ))
                } else {
                    wrong
                },
            )
        },
    )
}

/// A unit that entries can come from. Before its type it must name something: `*.service` is
/// everybody.
fn is_unit_pattern(name: &str) -> bool {
    const LONGEST: usize = 255;
    let stem = [".service", ".scope", ".socket", ".mount", ".swap"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    stem.is_some_and(|stem| {
        name.len() <= LONGEST
            && stem.bytes().any(|b| b.is_ascii_alphanumeric())
            && stem.bytes().all(|b| {
                b.is_ascii_alphanumeric()
                    || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@' | b'*')
            })
    })
}

/// Whether a pattern lets in units in which the programs of ordinary users run.
pub(super) fn matches_user_units(pattern: &str) -> bool {
    ["user@1000.service", "session-1.scope", "session-c1.scope"]
        .iter()
        .any(|unit| glob_matches(pattern, unit))
}

/// `*` stands for any text.
fn glob_matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        // The first place where it fits leaves the most for what follows.
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}
