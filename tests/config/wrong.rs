//! What is refused, and what is said about it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pop_before_smtp::config::{self, Problem};

use super::{directory, load, load_text};

/// The only problem of a text: `LINE:COLUMN KEY`, and the problem.
fn problem(text: impl AsRef<[u8]>) -> (String, Problem) {
    let error = load_text(&text).unwrap_err();
    let [problem] = error.problems() else {
        panic!(
            "not one problem in {:?}: {error}",
            String::from_utf8_lossy(text.as_ref())
        );
    };
    let place = problem
        .place
        .as_ref()
        .map_or_else(String::new, |p| format!("{}:{}", p.line, p.column));
    let key = problem.key.as_deref().unwrap_or("");
    (format!("{place} {key}").trim().to_owned(), problem.clone())
}

/// Each wrong text with the one problem in it: place and key, and parts of what is said.
#[test]
fn what_is_wrong_is_named_with_its_place_and_what_was_expected() {
    let cases: &[(&str, &str, &[&str])] = &[
        // Keys.
        (
            "\n max_session = '1h'",
            "2:2 max_session",
            &["no such key", "`max-session`"],
        ),
        ("garce = '1h'", "1:1 garce", &["no such key", "`grace`"]),
        (
            "debounce = '1s'",
            "1:1 debounce",
            &["no such key", "`map.debounce`"],
        ),
        (
            "[map]\ngrace = '1h'",
            "2:1 map.grace",
            &["no such key", "`grace`"],
        ),
        (
            "[limits]\nclient = 1",
            "2:1 limits.client",
            &["no such key", "`limits.clients`"],
        ),
        (
            "[limit]\nclients = 1\nsessions = 2",
            "1:2 limit",
            &["no such key", "`limits`"],
        ),
        (
            "map.colour = 1",
            "1:5 map.colour",
            &["known keys here: `path`, `type`, `value`, `debounce`"],
        ),
        ("\"\" = 1", "1:1 \"\"", &["no such key", "`max-session`"]),
        // Zeros that the parser takes for a part of the number.
        (
            "limits.clients = 1_0\0\0\x30",
            "1:18 limits.clients",
            &["found the number 10\\u{0}\\u{0}0"],
        ),
        ("\"a.b\\u001b\" = 1", "1:1 \"a.b\\u{1b}\"", &["no such key"]),
        (
            "[senders.dovecot]\nuser = []",
            "2:1 senders.dovecot.user",
            &["`senders.dovecot.users`"],
        ),
        ("[senders.Dovecot]", "1:10 senders", &["lower-case letters"]),
        (
            "journal = 3",
            "1:11 journal",
            &["a table [journal]", "the number 3"],
        ),
        (
            "[[map]]",
            "1:1 map",
            &["a table [map]", "a list", "not [[map]]"],
        ),
        (
            "senders.dovecot = true",
            "1:19 senders.dovecot",
            &["a table [senders.dovecot]", "true"],
        ),
        // Durations.
        (
            "grace = 1800",
            "1:9 grace",
            &["found the number 1800", "\"1800s\""],
        ),
        (
            "grace = '1800'",
            "1:9 grace",
            &["found the text \"1800\"", "\"1800s\""],
        ),
        (
            "grace = '30 parsecs'",
            "1:9 grace",
            &["a duration from 1s to 30d", "30 parsecs"],
        ),
        ("grace = ''", "1:9 grace", &["a duration", "the text \"\""]),
        ("grace = '1 month'", "1:9 grace", &["days or hours"]),
        ("grace = '-1h'", "1:9 grace", &["negative"]),
        ("grace = '0s'", "1:9 grace", &["from 1s to 30d", "\"0s\""]),
        ("grace = '999ms'", "1:9 grace", &["from 1s to 30d"]),
        ("grace = '30d 1s'", "1:9 grace", &["from 1s to 30d"]),
        (
            "grace = ['1h']",
            "1:9 grace",
            &["a duration", "found a list"],
        ),
        (
            "grace = 1979-05-27",
            "1:9 grace",
            &["a duration", "found a date"],
        ),
        (
            "max-session = '31d'",
            "1:15 max-session",
            &["from 1s to 30d"],
        ),
        (
            "map.debounce = '61s'",
            "1:16 map.debounce",
            &["from 0s to 1min", "\"61s\""],
        ),
        // Servers.
        ("servers = []", "1:11 servers", &["names no server"]),
        (
            "servers = 'dovecot'",
            "1:11 servers",
            &["a list", "[\"dovecot\"]"],
        ),
        (
            "servers = ['dovecot', 'Dovecot']",
            "1:23 servers",
            &["lower-case letters", "\"Dovecot\""],
        ),
        (
            "servers = ['../x']",
            "1:12 servers",
            &["lower-case letters"],
        ),
        ("servers = ['']", "1:12 servers", &["lower-case letters"]),
        (
            "servers = [3]",
            "1:12 servers",
            &["lower-case letters", "the number 3"],
        ),
        (
            "servers = ['a', 'b', 'a']",
            "1:22 servers",
            &["\"a\"", "appears twice"],
        ),
        // Networks.
        (
            "never = ['192.0.2.10/24']",
            "1:10 never",
            &["\"192.0.2.0/24\"", "\"192.0.2.10\""],
        ),
        (
            "never = ['mail.example.org']",
            "1:10 never",
            &["network", "mail.example.org"],
        ),
        (
            "never = '192.0.2.1'",
            "1:9 never",
            &["a list", "[\"192.0.2.1\"]"],
        ),
        (
            "never = [\n  '192.0.2.1',\n  1,\n]",
            "3:3 never",
            &["network", "the number 1"],
        ),
        (
            "permitted-networks = 'Postfix'",
            "1:22 permitted-networks",
            &["\"postfix\" or a list"],
        ),
        (
            "permitted-networks = '192.0.2.0/24'",
            "1:22 permitted-networks",
            &["[\"192.0.2.0/24\"]"],
        ),
        (
            "permitted-networks = ['postfix']",
            "1:23 permitted-networks",
            &["network"],
        ),
        // Paths.
        (
            "state-directory = 'pbs'",
            "1:19 state-directory",
            &["begins with /", "\"pbs\""],
        ),
        (
            "state-directory = ''",
            "1:19 state-directory",
            &["begins with /"],
        ),
        (
            "state-directory = '/my state'",
            "1:19 state-directory",
            &["' '", "main.cf"],
        ),
        (
            "journal.directory = 'journal'",
            "1:21 journal.directory",
            &["begins with /"],
        ),
        (
            "journal.directory = \"/a\\u0000\"",
            "1:21 journal.directory",
            &["control character"],
        ),
        ("map.path = 'clients'", "1:12 map.path", &["begins with /"]),
        (
            "map.path = '/x/clients.lmdb'",
            "1:12 map.path",
            &[".lmdb", "\"/x/clients\""],
        ),
        ("map.path = '/x/'", "1:12 map.path", &["a directory"]),
        ("map.path = '/x/..'", "1:12 map.path", &["a directory"]),
        ("map.path = '/a,b'", "1:12 map.path", &["','"]),
        (
            "map.path = '/var/lib/pop-before-smtp/store'",
            "1:12 map.path",
            &["store"],
        ),
        ("map.path = '/var/lib'", "1:12 map.path", &["a directory"]),
        // The journal's namespace.
        (
            "journal.namespace = '*'",
            "1:21 journal.namespace",
            &["write its name"],
        ),
        (
            "journal.namespace = '+mail'",
            "1:21 journal.namespace",
            &["\"mail\""],
        ),
        (
            "journal.namespace = 'a/b'",
            "1:21 journal.namespace",
            &["letters, digits"],
        ),
        (
            "journal.namespace = '..'",
            "1:21 journal.namespace",
            &["a journal namespace"],
        ),
        (
            "journal.look-every = '1us'",
            "1:22 journal.look-every",
            &["must be from 1ms to 1s"],
        ),
        (
            "journal.look-every = 10",
            "1:22 journal.look-every",
            &["a duration from 1ms to 1s", "write the unit"],
        ),
        (
            "[journal]\nnamespace = 'a'\ndirectory = '/b'",
            "2:13 journal.namespace",
            &["journal.directory", ".toml:3"],
        ),
        // The map.
        (
            "map.type = 'dbm'",
            "1:12 map.type",
            &[
                "\"auto\", \"lmdb\", \"cdb\", \"hash\", \"btree\"",
                "\"dbm\"",
            ],
        ),
        ("map.type = 'LMDB'", "1:12 map.type", &["\"lmdb\""]),
        (
            "map.value = 'REJECT'",
            "1:13 map.value",
            &["\"OK\"", "REJECT"],
        ),
        ("map.value = ''", "1:13 map.value", &["\"OK\""]),
        (
            "map.value = \"OK\\n192.0.2.1 OK\"",
            "1:13 map.value",
            &["\"OK\""],
        ),
        // The log level.
        (
            "log-level = 'trace'",
            "1:13 log-level",
            &["\"debug\"", "trace"],
        ),
        ("log-level = 7", "1:13 log-level", &["\"info\"", "7"]),
        // Limits.
        (
            "limits.clients = 0",
            "1:18 limits.clients",
            &["from 1 to 10000000", "0"],
        ),
        (
            "limits.clients = -1",
            "1:18 limits.clients",
            &["from 1 to 10000000", "-1"],
        ),
        (
            "limits.sessions = 10000001",
            "1:19 limits.sessions",
            &["from 1 to 10000000"],
        ),
        (
            "limits.sessions = 1.0",
            "1:19 limits.sessions",
            &["a whole number", "1.0"],
        ),
        (
            "limits.sessions = '1'",
            "1:19 limits.sessions",
            &["a whole number", "the text \"1\""],
        ),
        (
            "limits.clients-per-user = 99999999999999999999",
            "1:27 limits.clients-per-user",
            &["a whole number"],
        ),
        // Senders.
        ("senders.x.users = [-1]", "1:20 senders.x.users", &["-1"]),
        (
            "senders.x.users = [4294967295]",
            "1:20 senders.x.users",
            &["4294967295"],
        ),
        (
            "senders.x.users = ['65535']",
            "1:20 senders.x.users",
            &["65535"],
        ),
        (
            "senders.x.users = ['a b']",
            "1:20 senders.x.users",
            &["a b"],
        ),
        ("senders.x.users = ['']", "1:20 senders.x.users", &["\"\""]),
        (
            "senders.x.users = ['*']",
            "1:20 senders.x.users",
            &["\"*\""],
        ),
        (
            "senders.x.units = ['*']",
            "1:20 senders.x.units",
            &["every program"],
        ),
        (
            "senders.x.units = ['dovecot']",
            "1:20 senders.x.units",
            &["\"dovecot.service\""],
        ),
        (
            "senders.x.units = 'x.service'",
            "1:19 senders.x.units",
            &["[\"x.service\"]"],
        ),
        (
            "senders.x.identifiers = ['']",
            "1:26 senders.x.identifiers",
            &["\"\""],
        ),
        (
            "senders.x.identifiers = ['dovecot-*']",
            "1:26 senders.x.identifiers",
            &["name each identifier"],
        ),
        (
            "senders.x.identifiers = [\"a\\nb\"]",
            "1:26 senders.x.identifiers",
            &["journalctl"],
        ),
        (
            "senders.x.identifiers = [' a']",
            "1:26 senders.x.identifiers",
            &["journalctl"],
        ),
        (
            "senders.x.identifiers = 'a'",
            "1:25 senders.x.identifiers",
            &["[\"a\"]"],
        ),
        // Syntax.
        (
            "grace = '1h'\ngrace = '2h'",
            "2:1",
            &["`grace`", "appears twice"],
        ),
        ("[map]\n[map]", "2:2", &["`map`", "appears twice"]),
        ("grace", "1:6", &["syntax", "="]),
        ("[map\n", "1:5", &["syntax", "]"]),
        ("grace = '1h\n", "1:12", &["syntax"]),
        ("grace = '''1h\n", "1:14", &["syntax"]),
        ("\u{feff}grace = 1", "1:9 grace", &["the number 1"]),
        (
            "grace = '1h'\r\nmax-session = 1\r\n",
            "2:15 max-session",
            &["the number 1"],
        ),
    ];
    for (text, place, parts) in cases {
        let (found, problem) = problem(text);
        let said = problem.to_string();
        assert_eq!(found, *place, "{text:?}\n{said}");
        for part in *parts {
            assert!(said.contains(part), "{text:?} without {part:?}:\n{said}");
        }
    }
}

#[test]
fn columns_are_characters() {
    let error = load_text("never = ['äöü', 1]").unwrap_err();
    let columns = error
        .problems()
        .iter()
        .map(|p| p.place.as_ref().unwrap().column);
    assert_eq!(columns.collect::<Vec<_>>(), [10, 17]);
}

#[test]
fn everything_that_is_wrong_in_all_files_is_told_at_once_in_their_order() {
    let directory = directory(&[
        (
            "config.toml",
            "servers = []\ngrace = 1\n[map]\ncolour = 'red'\n",
        ),
        ("config.d/10.toml", "grace = \n[map\n"),
        ("config.d/20.toml", "grace = 'x'\n"),
        ("config.d/30.toml", "grace = '1h'\n"),
    ]);
    let path = directory.path();
    symlink("nowhere", path.join("config.d/40.toml")).unwrap();
    let error = config::load_directory(path, None).unwrap_err().to_string();
    // A link that leads nowhere hides which files there are.
    assert!(
        error.contains(&format!(
            "{}: can't be read: No such file",
            path.join("config.d/40.toml").display()
        )),
        "{error}"
    );
    fs::remove_file(path.join("config.d/40.toml")).unwrap();
    let error = config::load_directory(path, None).unwrap_err().to_string();
    let expected = r#"
DIR/config.toml:1:11: servers: names no server: no login would be recognised
 1 | servers = []
   |           ^^
   = to let nobody in, stop the service: systemctl disable --now pop-before-smtp

DIR/config.toml:2:9: grace: expected a duration from 1s to 30d, such as "30s" or "1h 30min", found the number 1
 2 | grace = 1
   |         ^
   = write the unit: "1s" or "1min"

DIR/config.toml:4:1: map.colour: there is no such key
 4 | colour = 'red'
   | ^^^^^^
   = known keys here: `path`, `type`, `value`, `debounce`

DIR/config.d/10.toml:1:9: TOML syntax: string values must be quoted, expected literal string
 1 | grace = 
   |         ^

DIR/config.d/10.toml:2:5: TOML syntax: unclosed table, expected `]`
 2 | [map
   |     ^

DIR/config.d/20.toml:1:9: grace: expected a duration from 1s to 30d, such as "30s" or "1h 30min", found the text "x"
 1 | grace = 'x'
   |         ^^^
   = it is not a number with a unit
"#;
    assert_eq!(
        error,
        expected.trim().replace("DIR", &path.display().to_string())
    );
}

#[test]
fn a_file_full_of_nonsense_gives_a_bounded_error() {
    for text in [
        "=\n",
        "[[",
        "x=1\ny",
        "never=[1",
        "never = [[[",
        "'",
        "a.b.c={",
    ] {
        let started = Instant::now();
        let error = load_text(text.repeat((1 << 18) / text.len())).unwrap_err();
        assert!(error.problems().len() <= 51);
        assert!(error.to_string().len() < 51 * 1000, "{error}");
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{text}: {:?}",
            started.elapsed()
        );
    }
    let text: String = (0..1000).map(|n| format!("x{n} = 1\n")).collect();
    let error = load_text(text).unwrap_err();
    assert_eq!(error.problems().len(), 51);
    assert!(
        error
            .to_string()
            .ends_with("x.toml: 950 more mistakes follow"),
        "{error}"
    );
}

#[test]
fn a_long_line_is_cut_around_the_culprit() {
    let text = format!("never = [{} 1]", "'192.0.2.1', ".repeat(100));
    let (place, problem) = problem(text);
    assert_eq!(place, "1:1311 never");
    let said = problem.to_string();
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines.iter().all(|line| line.chars().count() < 180),
        "{said}"
    );
    let mark = lines[2].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[1].chars().nth(mark), Some('1'), "{said}");
    assert_eq!(lines[1].chars().nth(mark + 1), Some(']'), "{said}");
}

#[test]
fn nothing_in_a_file_acts_on_the_terminal() {
    for text in [
        "grace = '\u{1b}[31mred'",
        "grace = \"\\u001b[31m\"",
        "\"\\u001b[31m\" = 1",
        "# \u{1b}[31m",
        "grace = 1 # \u{202e}",
        "never = ['\u{202e}']",
        "grace = \u{7}",
        "servers = [\"\\u0007\"]",
        "map.value = \"\\u0007\"",
        "map.path = \"/\\u0007\"",
        "[senders.\"\\u0007\"]",
    ] {
        let said = load_text(text).unwrap_err().to_string();
        assert!(
            said.chars().all(|c| c == '\n' || !c.is_control()),
            "{said:?}"
        );
        assert!(!said.contains('\u{202e}'), "{said:?}");
    }
}

#[test]
fn a_file_that_is_not_utf8_is_refused_where_it_is_not() {
    let (place, problem) = problem(b"grace = '1h'\n# caf\xe9\n");
    assert_eq!(place, "2:6");
    assert!(problem.to_string().contains("is not UTF-8"), "{problem}");
    assert!(problem.to_string().contains("0xe9"), "{problem}");
    let (place, _) = self::problem(b"\xff");
    assert_eq!(place, "1:1");
    let (place, _) = self::problem(b"# \xc3");
    assert_eq!(place, "1:3");
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let directory = directory(&[("config.toml/x", ""), ("file", "")]);
    let path = directory.path();
    let fifo = path.join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    symlink("loop", path.join("loop")).unwrap();
    for (file, said) in [
        (path.join("config.toml"), "is a directory, not a file"),
        (fifo, "is not a regular file"),
        (PathBuf::from("/dev/zero"), "is not a regular file"),
        (
            path.join("loop"),
            "can't be read: Too many levels of symbolic links (os error 40)",
        ),
        (
            path.join("file/x"),
            "can't be read: Not a directory (os error 20)",
        ),
    ] {
        let error = config::load_file(&file, None).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: {said}", file.display()));
    }
    let error = config::load_directory(path, None).unwrap_err().to_string();
    assert!(error.contains("config.toml: is a directory"), "{error}");
    let error = load(&[("config.d", "")]).unwrap_err().to_string();
    assert!(error.contains("config.d: is not a directory"), "{error}");
    let error = config::load_directory(&path.join("file"), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("Not a directory"), "{error}");
}

#[test]
fn a_huge_file_is_no_configuration() {
    let error = load_text("#".repeat((1 << 20) + 1))
        .unwrap_err()
        .to_string();
    assert!(error.contains("larger than 1 MiB"), "{error}");
    assert!(load_text("#".repeat(1 << 20)).is_ok());
}

#[test]
fn what_everybody_may_write_is_refused() {
    for writable in ["", "config.toml", "config.d", "config.d/a.toml"] {
        let directory = directory(&[("config.toml", ""), ("config.d/a.toml", "")]);
        assert!(config::load_directory(directory.path(), None).is_ok());
        let path = directory.path().join(writable);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o002)).unwrap();
        let error = config::load_directory(directory.path(), None).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].file.as_deref(), Some(path.as_path()));
        let said = error.to_string();
        assert!(
            said.contains("is world-writable") && said.contains("chmod o-w"),
            "{said}"
        );
    }
}

#[test]
fn what_belongs_to_somebody_else_is_taken_with_a_warning() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root can give a file away");
        return;
    }
    let directory = directory(&[("config.toml", "")]);
    let file = directory.path().join("config.toml");
    std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
    let loaded = config::load_directory(directory.path(), None).unwrap();
    let [warning] = loaded.warnings.as_slice() else {
        panic!("{:?}", loaded.warnings);
    };
    assert_eq!(warning.file.as_deref(), Some(file.as_path()));
    assert!(warning.to_string().contains("uid 12345"), "{warning}");
}
