//! `servers`, and what `check-config` says to own definitions.

mod journal_files;

use std::fs;
use std::process::{Command, Output};

use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use serde_json::{Value, json};
use tempfile::TempDir;

const MINE: &str = r#"name = "mine"
description = "My own server"
identifiers = ["mine", "mine2"]
[senders]
users = ["root"]
units = ["mine.service"]
[[login]]
pattern = 'login (?<user>[a-z]+) from {client}$'
[[example]]
message = 'login al from 192.0.2.10'
login = { client = "192.0.2.10", user = "al" }
"#;

struct Host {
    directory: TempDir,
}

impl Host {
    fn new(config: &str, definitions: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Host { directory };
        fs::create_dir(host.path("servers.d")).unwrap();
        fs::write(host.path("config.toml"), config).unwrap();
        for (name, text) in definitions {
            fs::write(host.path("servers.d").join(name), text).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The standard output of a command that succeeds.
    fn shows(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The complaints of one that fails for the configuration.
    fn complains(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{said}");
        said
    }
}

fn server<'a>(servers: &'a Value, name: &str) -> &'a Value {
    let servers = servers.as_array().unwrap();
    servers
        .iter()
        .find(|server| server["name"] == name)
        .unwrap()
}

#[test]
fn the_list_tells_what_is_on_and_what_was_seen() {
    let ago = SignedDuration::from_hours;
    let journal = JournalFiles::import(&export(&[
        Entry::dovecot(ago(30), "old").but("SYSLOG_IDENTIFIER", Some("mine")),
        Entry::dovecot(ago(30), "old"),
        Entry::dovecot(ago(1), "new"),
    ]));
    let config = format!(
        "servers = [\"dovecot\"]\njournal.directory = {:?}\n[senders.mine]\nidentifiers = [\"mine3\"]\nusers = [\"mail\"]\nunits = [\"m.service\"]\ncontainers = [\"mailserver\"]\n",
        journal.path()
    );
    let host = Host::new(&config, &[("mine.toml", MINE)]);
    let servers: Value = serde_json::from_str(&host.shows(&["servers", "--json"])).unwrap();
    assert_eq!(
        *server(&servers, "mine"),
        json!({
            "name": "mine",
            "description": "My own server",
            "identifiers": ["mine", "mine2", "mine3"],
            "users": ["root", "mail"],
            "units": ["mine.service", "m.service"],
            "containers": ["mailserver"],
            "followed-in-containers": true,
            "counts-in-containers": true,
            "on": false,
            "built-in": false,
            "defined-in": host.path("servers.d/mine.toml"),
            "seen-identifiers": [],
            "seen": false,
        })
    );
    let dovecot = server(&servers, "dovecot");
    assert_eq!(dovecot["on"], true);
    assert_eq!(server(&servers, "courier")["followed-in-containers"], false);
    assert_eq!(dovecot["built-in"], true);
    assert_eq!(dovecot["defined-in"], Value::Null);
    assert_eq!(dovecot["seen"], true);
    let older: Value =
        serde_json::from_str(&host.shows(&["servers", "--json", "--since", "48h"])).unwrap();
    assert_eq!(server(&older, "mine")["seen-identifiers"], json!(["mine"]));
    let names: Vec<_> = servers
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str())
        .collect();
    assert!(names.is_sorted(), "{names:?}");

    let text = host.shows(&["servers"]);
    let mine = text.split("\nmine ").nth(1).unwrap();
    for line in [
        " off  My own server\n",
        " identifiers: mine, mine2, mine3\n",
        " written by: users root, mail, in mine.service, m.service\n",
        " containers: mailserver\n",
        "servers.d/mine.toml\n",
        " seen: no\n",
    ] {
        assert!(mine.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_journal_that_cant_be_read_is_no_no() {
    let host = Host::new("journal.directory = \"/nonexistent\"\n", &[]);
    let servers: Value = serde_json::from_str(&host.shows(&["servers", "--json"])).unwrap();
    assert_eq!(server(&servers, "dovecot")["seen"], Value::Null);
    assert_eq!(server(&servers, "dovecot")["seen-identifiers"], Value::Null);
    let text = host.shows(&["servers"]);
    assert!(text.contains(" seen: unknown\n"), "{text}");
    assert!(text.contains("/nonexistent: does not exist"), "{text}");
    let empty = tempfile::tempdir().unwrap();
    let host = Host::new(&format!("journal.directory = {:?}\n", empty.path()), &[]);
    let text = host.shows(&["servers"]);
    assert!(
        text.contains(" seen: unknown\n") && text.contains("has no entries"),
        "{text}"
    );
}

#[test]
fn a_definition_is_shown_as_it_is_and_can_be_put_to_use() {
    let host = Host::new("servers = [\"dovecot\"]\n", &[("m.toml", MINE)]);
    assert_eq!(host.shows(&["servers", "--show", "mine"]), MINE);
    let shown = host.shows(&["servers", "--show", "dovecot"]);
    assert!(shown.starts_with("# Dovecot"), "{shown}");
    fs::write(host.path("servers.d/dovecot.toml"), &shown).unwrap();
    let servers: Value = serde_json::from_str(&host.shows(&["servers", "--json"])).unwrap();
    assert_eq!(server(&servers, "dovecot")["built-in"], false);
    let unknown = host.run(&["servers", "--show", "nosuch"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        said.contains("there is no server 'nosuch'; there are: "),
        "{said}"
    );
}

#[test]
fn a_wrong_definition_does_not_hide_the_others() {
    let wrong = MINE.replace("{client}", "{clint}");
    let host = Host::new("servers = [\"dovecot\"]\n", &[("mine.toml", &wrong)]);
    let output = host.run(&["servers"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stdout).contains("dovecot"));
    assert!(
        said.contains("mine.toml:8:39: unknown placeholder {clint}"),
        "{said}"
    );
    assert!(
        host.shows(&["servers", "--show", "dovecot"])
            .contains("name = \"dovecot\"")
    );
    assert!(
        host.complains(&["servers", "--show", "mine"])
            .contains("{clint}")
    );
}

#[test]
fn faults_are_shown_where_they_are_and_all_at_once() {
    let text = r#"name = "mine"
description = "Five faults"
identifiers = []
senders = { users = ["root"], units = ["mine.service"] }
[parts]
any = '.*'
open = 'a(b'
[[login]]
pattern = 'login {any} from {client}'
[[login]]
pattern = 'hello {open} {client}$'
[[login]]
pattern = "caf\u00e9 \\d+[z-a] {client}$"
[[logout]]
pattern = 'bye \S+ {client}'
unless = 'x{'
[[logout]]
pattern = '''
bye (?<user>[a-z]*)+) {client}'''
"#;
    let host = Host::new("servers = [\"dovecot\"]\n", &[("mine.toml", text)]);
    let said = host.complains(&["check-config"]);
    for (line, column, says, width) in [
        (3, 15, "name at least one SYSLOG_IDENTIFIER", 2),
        (6, 8, "any text can stand here, before {client}", 2),
        (7, 10, "unclosed group (in the pattern of line 11)", 1),
        (13, 27, "invalid character class range", 3),
        (15, 16, "any text can stand here", 3),
        (19, 21, "unopened group", 1),
    ] {
        let message = format!("mine.toml:{line}:{column}: {says}");
        let after = said
            .split_once(&message)
            .unwrap_or_else(|| panic!("{message}\n{said}"))
            .1;
        let margin = " ".repeat(line.to_string().len());
        let caret = format!(
            " {margin} | {}{}",
            " ".repeat(column - 1),
            "^".repeat(width)
        );
        assert_eq!(after.lines().nth(2), Some(&*caret), "{message}\n{said}");
    }
    assert_eq!(said.matches("mine.toml:").count(), 6, "{said}");
}

#[test]
fn examples_of_all_own_definitions_are_run() {
    let wrong = format!(
        "{MINE}[[example]]\nmessage = 'login bob from 192.0.2.11'\n[[example]]\nmessage = 'x'\nfailure = true\n"
    );
    let host = Host::new("servers = [\"dovecot\"]\n", &[("mine.toml", &wrong)]);
    let said = host.complains(&["check-config"]);
    let file = host.path("servers.d/mine.toml");
    let file = file.display();
    for says in [
        format!(
            "{file}:12: the example does not hold: the message\n    login bob from 192.0.2.11\nmust yield nothing, but yields a login of 192.0.2.11, user bob\n"
        ),
        format!(
            "{file}:14: the example does not hold: the message\n    x\nmust yield a failure, but yields nothing\n"
        ),
    ] {
        assert!(said.contains(&says), "{says}\n{said}");
    }
    let host = Host::new("servers = [\"mine\"]\n", &[("mine.toml", MINE)]);
    let text = host.shows(&["check-config"]);
    assert!(text.contains("servers mine, 1 example held"), "{text}");
    assert!(!text.contains("off: "), "{text}");
}

#[test]
fn a_definition_that_nobody_names_is_said_to_be_off() {
    let host = Host::new("servers = \"built-in\"\n", &[("mine.toml", MINE)]);
    let text = host.shows(&["check-config"]);
    let file = host.path("servers.d/mine.toml");
    let off = format!(
        "off: mine, defined in {}, as 'servers' does",
        file.display()
    );
    assert!(text.contains(&off), "{text}");
}
