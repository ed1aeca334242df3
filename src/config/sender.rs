//! What is added to a server's definition: identifiers, and the users and units that may write its
//! entries.
//!
//! Must never take a pattern that lets everybody in.

use toml::de::DeValue;

use super::value::{Checked, Value, Wrong, integer, list, quoted, text, wrong_type};
use crate::servers::{Users, is_container, is_identifier, matches_glob};

/// `senders.SERVER.identifiers`: values of `SYSLOG_IDENTIFIER`.
pub(super) fn identifiers(value: &Value<'_>) -> Checked<Vec<String>> {
    const EXPECTED: &str =
        "an identifier as `journalctl -o verbose` shows it, such as \"dovecot-proxy\"";
    list(
        value,
        "a list of identifiers, such as [\"dovecot-proxy\"]",
        |element| {
            let name = text(element, EXPECTED)?;
            if is_identifier(name) {
                return Ok(name.to_owned());
            }
            let wrong = wrong_type(element, EXPECTED);
            Err(if name.contains('*') {
                wrong.hint("a * is not a wildcard here: name each identifier")
            } else {
                wrong
            })
        },
    )
}

/// `senders.SERVER.containers`: names of containers, or their tags.
pub(super) fn containers(value: &Value<'_>) -> Checked<Vec<String>> {
    const EXPECTED: &str =
        "the name of a container as `podman ps` or `docker ps` shows it, or its tag";
    list(
        value,
        "a list of containers, such as [\"mailserver\"]",
        |element| {
            let name = text(element, EXPECTED)?;
            if is_container(name) {
                return Ok(name.to_owned());
            }
            let wrong = wrong_type(element, EXPECTED);
            Err(if name.contains('*') {
                wrong.hint("a * is not a wildcard here: name each container")
            } else {
                wrong
            })
        },
    )
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

/// `sources.NAME.users`: names of users on another host, and their numbers there.
pub(super) fn users_elsewhere(value: &Value<'_>) -> Checked<Users> {
    const EXPECTED: &str = "the names and numbers of users there, such as { cyrus = 112 }";
    let DeValue::Table(table) = value.get_ref() else {
        return Err(wrong_type(value, EXPECTED).into());
    };
    let (mut users, mut wrongs) = (Users::new(), Vec::new());
    for (name, number) in table {
        match integer(number).and_then(uid) {
            Some(number) if is_user_name(name.get_ref()) => {
                users.insert(name.get_ref().clone().into_owned(), number);
            }
            Some(_) => wrongs.push(Wrong::new(name.span(), format!("expected {EXPECTED}"))),
            None => wrongs.push(wrong_type(number, "the number of a user, such as 112")),
        }
    }
    if wrongs.is_empty() {
        Ok(users)
    } else {
        Err(wrongs)
    }
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
                    wrong.hint("this would trust every program on this machine")
                } else if !name.contains('.') {
                    wrong.hint(format!(
                        "also write the type of the unit: {}",
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
        .any(|unit| matches_glob(pattern, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_patterns_that_name_something_are_taken() {
        for unit in [
            "dovecot.service",
            "popa3d@*.service",
            "dovecot*.service",
            "*dovecot.service",
            "session-1.scope",
            "popa3d-s@0-2001:db8::1:1110-2001:db8::10:52655.service",
            "a\\x2db.service",
        ] {
            assert!(is_unit_pattern(unit), "{unit}");
        }
    }

    #[test]
    fn what_names_no_unit_or_everybody_is_refused() {
        let long = format!("{}.service", "a".repeat(248));
        for unit in [
            "",
            "*",
            "**",
            "*.service",
            "*@*.service",
            "-.service",
            "dovecot",
            "dovecot*",
            ".service",
            "dovecot.timer",
            "dove cot.service",
            "dovecot.service ",
            "dovécot.service",
            "a/b.service",
            &long,
        ] {
            assert!(!is_unit_pattern(unit), "{unit}");
        }
    }

    #[test]
    fn units_of_ordinary_users_are_known() {
        for unit in [
            "user@*.service",
            "user@1000.service",
            "session-*.scope",
            "*1*.service",
            "se*.scope",
        ] {
            assert!(matches_user_units(unit), "{unit}");
        }
        for unit in ["dovecot.service", "popa3d@*.service", "user-*.service"] {
            assert!(!matches_user_units(unit), "{unit}");
        }
    }
}
