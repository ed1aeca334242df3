//! pop-before-smtp.toml(5), from the file that is shipped, which explains every key.

use super::page::title;
use super::text::{escape, paragraphs};

const SHIPPED: &str = include_str!("../../packaging/config.toml");

/// Each key with its type and range, and an example that says something else than the default.
const KEYS: &[(&str, &str, &str)] = &[
    ("grace", "duration, from 1s to 30d", "\"10min\""),
    ("max-session", "duration, from 1s to 30d", "\"2h 30min\""),
    (
        "servers",
        "\"built-in\", or a list of names",
        "[\"dovecot\"]",
    ),
    (
        "never",
        "list of networks and addresses",
        "[\"198.51.100.0/24\", \"2001:db8::5\"]",
    ),
    (
        "permitted-networks",
        "\"postfix\", or a list of networks and addresses",
        "[\"127.0.0.0/8\", \"::1\", \"192.0.2.0/24\"]",
    ),
    (
        "publish",
        "list of \"map\" and \"policy\", not empty",
        "[\"policy\"]",
    ),
    (
        "state-directory",
        "absolute path",
        "\"/srv/pop-before-smtp\"",
    ),
    (
        "log-level",
        "\"error\", \"warn\", \"info\" or \"debug\"",
        "\"debug\"",
    ),
    (
        "journal.directory",
        "absolute path, or empty",
        "\"/var/log/journal/remote\"",
    ),
    ("journal.namespace", "name, or empty", "\"mail\""),
    (
        "journal.look-every",
        "duration, from 1ms to 1s, or empty",
        "\"10ms\"",
    ),
    (
        "map.path",
        "absolute path",
        "\"/var/lib/pop-before-smtp/relay\"",
    ),
    (
        "map.type",
        "\"auto\", \"lmdb\", \"cdb\", \"hash\" or \"btree\"",
        "\"lmdb\"",
    ),
    ("map.value", "text, an action of access(5)", "\"permit\""),
    ("map.debounce", "duration, up to 1min", "\"5s\""),
    ("policy.ipv6-prefix", "number of bits, from 48 to 128", "64"),
    (
        "policy.relays",
        "list of networks and addresses",
        "[\"192.0.2.2\", \"192.0.2.3\"]",
    ),
    (
        "limits.clients",
        "number of clients, from 1 to 10000000",
        "5000",
    ),
    (
        "limits.clients-per-user",
        "number of clients, from 1 to 10000000",
        "20",
    ),
    (
        "limits.sessions",
        "number of sessions, from 1 to 10000000",
        "5000",
    ),
    (
        "sources.store1.directory",
        "absolute path, or empty",
        "\"/var/log/journal/remote/store1\"",
    ),
    ("sources.store1.namespace", "name, or empty", "\"mail\""),
    (
        "sources.store1.users",
        "names of users and their numbers",
        "{ cyrus = 112 }",
    ),
    (
        "senders.dovecot.identifiers",
        "list of identifiers",
        "[\"dovecot-proxy\"]",
    ),
    (
        "senders.dovecot.users",
        "list of names and numbers of users",
        "[\"vmail\", 5000]",
    ),
    (
        "senders.dovecot.units",
        "list of units",
        "[\"dovecot-proxy.service\"]",
    ),
    (
        "senders.dovecot.containers",
        "list of containers",
        "[\"mailserver\"]",
    ),
    (
        "senders.dovecot.bridges",
        "list of networks",
        "[\"172.18.0.0/16\"]",
    ),
];

/// A piece of the shipped file: the comment above it, without its marks, and what it is about.
enum Piece {
    Text(String),
    Table(String, String),
    Key {
        key: String,
        default: String,
        text: String,
    },
}

fn pieces() -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut text, mut table) = (String::new(), String::new());
    for line in SHIPPED.lines().chain([""]) {
        let code = line.strip_prefix('#').unwrap_or(line);
        if let Some(header) = code.strip_prefix('[') {
            let name = header.trim_end_matches(']');
            table = format!("{name}.");
            pieces.push(Piece::Table(name.to_owned(), std::mem::take(&mut text)));
        } else if let Some((key, default)) =
            code.split_once(" = ").filter(|_| !code.starts_with(' '))
        {
            pieces.push(Piece::Key {
                key: format!("{table}{key}"),
                default: default.to_owned(),
                text: std::mem::take(&mut text),
            });
        } else if line.starts_with('#') {
            text += code.strip_prefix(' ').unwrap_or(code);
            text.push('\n');
        } else if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
    }
    pieces
}

/// The name of a key in its table.
fn in_its_table(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The page: the head of the file, every table and key in its order, and `prose`.
pub(super) fn page(prose: &str, date: &str) -> String {
    let mut page = title("pop-before-smtp.toml", "5", date);
    page += ".SH NAME\npop\\-before\\-smtp.toml \\- configuration of pop\\-before\\-smtp\n\
             .SH SYNOPSIS\n.nf\n/etc/pop\\-before\\-smtp/config.toml\n\
             /etc/pop\\-before\\-smtp/config.d/*.toml\n.fi\n.SH DESCRIPTION\n";
    let mut keys_begun = false;
    for piece in pieces() {
        match piece {
            Piece::Text(text) => page += &paragraphs(&text),
            Piece::Table(name, text) => {
                page += &format!(".SS [{}]\n{}", escape(&name), paragraphs(&text));
            }
            Piece::Key { key, default, text } => {
                if !keys_begun {
                    page += ".SH KEYS\n";
                    keys_begun = true;
                }
                let (_, kind, example) = KEYS
                    .iter()
                    .find(|(name, ..)| *name == key)
                    .unwrap_or_else(|| {
                        panic!("name type and example of {key} in tests/manual/configuration.rs")
                    });
                page += &format!(
                    ".TP\n.B {}\n{}; default \\fB{}\\fR\n.RS\n.PP\n{}.PP\nExample: \\fB{} = {}\\fR\n.RE\n",
                    escape(&key),
                    escape(kind),
                    escape(&default),
                    paragraphs(&text),
                    escape(in_its_table(&key)),
                    escape(example),
                );
            }
        }
    }
    page + prose
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use pop_before_smtp::config::{Loaded, load_file};

    fn load(text: &str) -> Loaded {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        load_file(&file, None).unwrap_or_else(|error| panic!("{text}\n{error}"))
    }

    #[test]
    fn every_example_is_taken_and_says_something_else_than_the_default() {
        for (key, _, example) in KEYS {
            let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
            let table = if table.is_empty() {
                String::new()
            } else {
                format!("[{table}]\n")
            };
            let value = |loaded: &Loaded| {
                let found = loaded
                    .effective
                    .iter()
                    .find(|effective| effective.key() == *key);
                found.map(|effective| effective.value.to_string())
            };
            // Without a journal, a source is none.
            let journal = match (table.as_str(), name) {
                ("[sources.store1]\n", "users") => "directory = \"/x\"\n",
                _ => "",
            };
            let set = value(&load(&format!("{table}{journal}{name} = {example}\n")));
            assert!(set.is_some(), "{key}");
            assert_ne!(set, value(&load("")), "{key}");
        }
    }

    #[test]
    fn no_key_is_described_that_is_not_there() {
        let in_file = pieces();
        for (key, ..) in KEYS {
            let is_there =
                |piece: &Piece| matches!(piece, Piece::Key { key: name, .. } if name == key);
            assert!(
                in_file.iter().any(is_there),
                "{key} is not in packaging/config.toml"
            );
        }
    }

    #[test]
    fn the_examples_of_the_page_are_configurations() {
        let prose = super::super::prose("pop-before-smtp.toml.5");
        let examples: Vec<&str> = prose.split(".EX\n").skip(1).collect();
        assert!(examples.len() > 1);
        for example in examples {
            let text = example.split(".EE\n").next().unwrap_or_default();
            load(&text.replace("\\-", "-").replace("\\(dq", "\""));
        }
    }
}
