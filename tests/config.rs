//! How configurations are read, merged, checked and shown: by what a file on disk makes of it.

use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pop_before_smtp::config::{
    self, ConfigError, Loaded, Origin, PermittedNetworks, Problem, Senders, Settings,
};
use pop_before_smtp::postfix::map_type::MapType;
use proptest::prelude::*;
use tempfile::TempDir;

const SHIPPED: &str = include_str!("../packaging/config.toml");

/// A configuration directory with these files in it.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

fn load(files: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    config::load_directory(directory(files).path(), None)
}

/// Loads one file and nothing else.
fn load_text(text: impl AsRef<[u8]>) -> Result<Loaded, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    config::load_file(&file, None)
}

fn defaults() -> Settings {
    let mut settings = load_text("").unwrap().settings;
    settings.servers_directory = PathBuf::new();
    settings
}

/// The settings, but for the one thing that depends on where the file is.
fn settings(loaded: &Loaded) -> Settings {
    let mut settings = loaded.settings.clone();
    settings.servers_directory = PathBuf::new();
    settings
}

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

#[test]
fn without_files_everything_is_default() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path(), &directory.path().join("missing")] {
        let loaded = config::load_directory(path, None).unwrap();
        let settings = loaded.settings;
        assert_eq!(settings.grace, Duration::from_secs(1800));
        assert_eq!(settings.max_session, Duration::from_secs(86400));
        assert_eq!(settings.servers, ["dovecot"]);
        assert_eq!(settings.never, []);
        assert_eq!(settings.permitted_networks, PermittedNetworks::Postfix);
        assert_eq!(
            settings.state_directory,
            Path::new("/var/lib/pop-before-smtp")
        );
        assert_eq!(settings.journal.directory, None);
        assert_eq!(settings.journal.namespace, None);
        assert_eq!(
            settings.map.path,
            Path::new("/var/lib/pop-before-smtp/clients")
        );
        assert_eq!(settings.map.kind, None);
        assert_eq!(settings.map.value, "OK");
        assert_eq!(settings.map.debounce, Duration::from_secs(1));
        assert_eq!(settings.limits.clients, 1_000_000);
        assert_eq!(settings.limits.clients_per_user, 10_000);
        assert_eq!(settings.limits.sessions, 1_000_000);
        assert_eq!(settings.senders.len(), 0);
        assert_eq!(settings.servers_directory, path.join("servers.d"));
        assert_eq!(loaded.files, [] as [PathBuf; 0]);
        assert_eq!(loaded.warnings, []);
        assert!(
            loaded
                .effective
                .iter()
                .all(|key| key.origin == Origin::Default)
        );
    }
}

#[test]
fn every_key_is_taken() {
    let loaded = load_text(
        r#"
        grace = "45min"
        max-session = "2d"
        servers = ["courier", "dovecot"]
        never = ["192.0.2.0/24", "[2001:db8::]/32", "198.51.100.7"]
        permitted-networks = ["203.0.113.0/24"]
        state-directory = "/srv/pbs"
        [journal]
        directory = "/var/log/journal/remote"
        [map]
        path = "/srv/map/relay"
        type = "cdb"
        value = "RELAY"
        debounce = "2s 500ms"
        [limits]
        clients = 1_000
        clients-per-user = 0x10
        sessions = 7
        [senders.dovecot]
        users = ["vmail", 5000, "5001"]
        units = ["dovecot@*.service"]
        "#,
    )
    .unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.grace, Duration::from_secs(45 * 60));
    assert_eq!(settings.max_session, Duration::from_secs(2 * 86400));
    assert_eq!(settings.servers, ["courier", "dovecot"]);
    let never = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"];
    assert_eq!(settings.never, never.map(|net| net.parse().unwrap()));
    let permitted = vec!["203.0.113.0/24".parse().unwrap()];
    assert_eq!(
        settings.permitted_networks,
        PermittedNetworks::List(permitted)
    );
    assert_eq!(settings.state_directory, Path::new("/srv/pbs"));
    assert_eq!(
        settings.journal.directory.as_deref(),
        Some(Path::new("/var/log/journal/remote"))
    );
    assert_eq!(settings.map.path, Path::new("/srv/map/relay"));
    assert_eq!(settings.map.kind, Some(MapType::Cdb));
    assert_eq!(settings.map.value, "RELAY");
    assert_eq!(settings.map.debounce, Duration::from_millis(2500));
    assert_eq!(settings.limits.clients, 1000);
    assert_eq!(settings.limits.clients_per_user, 16);
    assert_eq!(settings.limits.sessions, 7);
    let senders = Senders {
        users: ["vmail", "5000", "5001"].map(str::to_owned).to_vec(),
        units: vec!["dovecot@*.service".to_owned()],
    };
    assert_eq!(settings.senders.get("dovecot"), Some(&senders));
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        load_text("journal.namespace = 'mail'")
            .unwrap()
            .settings
            .journal
            .namespace
            .as_deref(),
        Some("mail")
    );
}

#[test]
fn later_files_go_before_earlier_ones_key_by_key() {
    let directory = directory(&[
        (
            "config.toml",
            "grace = '1h'\nnever = ['192.0.2.1']\n[map]\nvalue = 'RELAY'\ntype = 'hash'\n[senders.dovecot]\nusers = ['a']\n",
        ),
        ("config.d/20-b.toml", "grace = '3h'\n\n[map]\ntype = 'lmdb'"),
        (
            "config.d/10-a.toml",
            "grace = '2h'\nmax-session = '5h'\nnever = ['192.0.2.2']",
        ),
        (
            "config.d/30-c.toml",
            "[senders.dovecot]\nunits = ['x.service']",
        ),
        ("config.d/.hidden.toml", "grace = 'nonsense'"),
        ("config.d/40-d.toml.bak", "grace = 'nonsense'"),
        ("config.d/README", "nonsense"),
        ("config.d/.toml", "nonsense"),
        ("config.d/50-directory.toml/inner.toml", "nonsense"),
        ("other.toml", "nonsense"),
    ]);
    let path = directory.path();
    symlink("/dev/null", path.join("config.d/60-masked.toml")).unwrap();
    fs::write(path.join("elsewhere"), "[limits]\nclients = 5").unwrap();
    symlink("../elsewhere", path.join("config.d/70-link.toml")).unwrap();
    let loaded = config::load_directory(path, None).unwrap();
    assert_eq!(loaded.settings.grace, Duration::from_secs(3 * 3600));
    assert_eq!(loaded.settings.max_session, Duration::from_secs(5 * 3600));
    assert_eq!(loaded.settings.never, ["192.0.2.2/32".parse().unwrap()]);
    assert_eq!(loaded.settings.map.value, "RELAY");
    assert_eq!(loaded.settings.map.kind, Some(MapType::Lmdb));
    assert_eq!(loaded.settings.limits.clients, 5);
    let senders = Senders {
        users: vec!["a".to_owned()],
        units: vec!["x.service".to_owned()],
    };
    assert_eq!(loaded.settings.senders.get("dovecot"), Some(&senders));
    assert_eq!(loaded.settings.servers_directory, path.join("servers.d"));
    let files = [
        "config.toml",
        "config.d/10-a.toml",
        "config.d/20-b.toml",
        "config.d/30-c.toml",
        "config.d/70-link.toml",
    ];
    assert_eq!(loaded.files, files.map(|file| path.join(file)));
    let origins = [
        ("grace", "config.d/20-b.toml:1"),
        ("max-session", "config.d/10-a.toml:2"),
        ("never", "config.d/10-a.toml:3"),
        ("map.type", "config.d/20-b.toml:4"),
        ("map.value", "config.toml:4"),
        ("limits.clients", "config.d/70-link.toml:2"),
        ("senders.dovecot.users", "config.toml:7"),
        ("senders.dovecot.units", "config.d/30-c.toml:2"),
    ];
    for key in &loaded.effective {
        let origin = origins.iter().find(|(name, _)| *name == key.key());
        let expected = origin.map_or("default".to_owned(), |(_, origin)| {
            path.join(origin).display().to_string()
        });
        assert_eq!(key.origin.to_string(), expected, "{}", key.key());
    }
}

#[test]
fn drop_ins_are_read_without_a_main_file() {
    let loaded = load(&[("config.d/a.toml", "grace = '2h'")]).unwrap();
    assert_eq!(loaded.settings.grace, Duration::from_secs(2 * 3600));
}

#[test]
fn a_named_file_is_the_whole_configuration() {
    let directory = directory(&[
        ("config.toml", "grace = '1h'"),
        ("config.d/a.toml", "grace = '2h'"),
    ]);
    let file = directory.path().join("config.toml");
    let loaded = config::load(Some(&file)).unwrap();
    assert_eq!(loaded.settings.grace, Duration::from_secs(3600));
    assert_eq!(loaded.files, [file]);
    assert_eq!(
        loaded.settings.servers_directory,
        directory.path().join("servers.d")
    );
}

#[test]
fn a_named_file_must_be_there() {
    let error = config::load(Some(Path::new("/nonexistent/x.toml"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nonexistent/x.toml: can't be read: No such file or directory (os error 2)"
    );
}

#[test]
fn the_definitions_of_a_file_named_relatively_are_found_from_anywhere() {
    let loaded = config::load_file(Path::new("packaging/config.toml"), None).unwrap();
    let expected = std::env::current_dir().unwrap().join("packaging/servers.d");
    assert_eq!(loaded.settings.servers_directory, expected);
}

#[test]
fn the_state_directory_is_what_systemd_says() {
    let state = |text: &str, variable: &str| {
        let directory = directory(&[("config.toml", text)]);
        config::load_directory(directory.path(), Some(OsStr::new(variable)))
    };
    let loaded = state("", "/srv/state:/srv/other").unwrap();
    assert_eq!(loaded.settings.state_directory, Path::new("/srv/state"));
    assert_eq!(loaded.settings.map.path, Path::new("/srv/state/clients"));
    assert!(
        config::show(&loaded).contains("state-directory = \"/srv/state\"  # $STATE_DIRECTORY\n")
    );
    let loaded = state("state-directory = '/own'", "/srv/state").unwrap();
    assert_eq!(loaded.settings.state_directory, Path::new("/own"));
    assert_eq!(loaded.settings.map.path, Path::new("/own/clients"));
    let loaded = state("", "").unwrap();
    assert_eq!(
        loaded.settings.state_directory,
        Path::new("/var/lib/pop-before-smtp")
    );
    for wrong in ["relative", "/with blank", ":/x"] {
        let error = state("", wrong).unwrap_err().to_string();
        assert!(
            error.contains("STATE_DIRECTORY") && error.contains(wrong),
            "{error}"
        );
    }
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
            &["known here: `path`, `type`, `value`, `debounce`"],
        ),
        ("\"\" = 1", "1:1 \"\"", &["no such key", "`max-session`"]),
        ("\"a.b\\u001b\" = 1", "1:1 \"a.b\\u{1b}\"", &["no such key"]),
        (
            "[senders.dovecot]\nuser = []",
            "2:1 senders.dovecot.user",
            &["`senders.dovecot.users`"],
        ),
        ("[senders.Dovecot]", "1:10 senders", &["small letters"]),
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
            &["small letters", "\"Dovecot\""],
        ),
        ("servers = ['../x']", "1:12 servers", &["small letters"]),
        ("servers = ['']", "1:12 servers", &["small letters"]),
        (
            "servers = [3]",
            "1:12 servers",
            &["small letters", "the number 3"],
        ),
        (
            "servers = ['a', 'b', 'a']",
            "1:22 servers",
            &["\"a\"", "second time"],
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
        // Syntax.
        (
            "grace = '1h'\ngrace = '2h'",
            "2:1",
            &["`grace`", "second time"],
        ),
        ("[map]\n[map]", "2:2", &["`map`", "second time"]),
        ("grace", "1:6", &["syntax", "="]),
        ("[map\n", "1:5", &["syntax", "]"]),
        ("grace = '1h\n", "1:12", &["syntax"]),
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
DIR/config.toml:1:11: servers: names no server: no login would ever be recognised
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
   = known here: `path`, `type`, `value`, `debounce`

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
    let error = load_text("=\n".repeat(1000)).unwrap_err();
    assert_eq!(error.problems().len(), 1000);
    assert!(error.to_string().ends_with("… and 950 more"), "{error}");
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
            said.contains("may be written by everybody") && said.contains("chmod o-w"),
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

#[test]
fn what_is_odd_is_taken_with_a_warning() {
    for (text, said) in [
        (
            "grace = '2h'\nmax-session = '1h'",
            "x.toml:2:15: max-session: is shorter than `grace`",
        ),
        (
            "max-session = '10min'",
            "x.toml:1:15: max-session: is shorter than `grace`",
        ),
        (
            "[senders.courier]\nusers = ['root']",
            "x.toml:2:9: senders.courier.users: has no effect",
        ),
        (
            "senders.dovecot.units = ['user@*.service']",
            "programs of ordinary users",
        ),
        (
            "senders.dovecot.units = ['a.service', '*s*.scope']",
            "programs of ordinary users",
        ),
    ] {
        let warnings = load_text(text).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].to_string().contains(said), "{}", warnings[0]);
    }
}

#[test]
fn empty_lists_of_senders_say_nothing() {
    let loaded = load_text("[senders.dovecot]\nusers = []\nunits = []").unwrap();
    assert_eq!(loaded.settings.senders.len(), 0);
}

#[test]
fn a_later_file_can_take_back_the_journal_of_an_earlier_one() {
    let loaded = load(&[
        ("config.toml", "[journal]\ndirectory = '/a'"),
        (
            "config.d/a.toml",
            "[journal]\ndirectory = ''\nnamespace = 'mail'",
        ),
    ]);
    let journal = loaded.unwrap().settings.journal;
    assert_eq!(
        (journal.directory, journal.namespace.as_deref()),
        (None, Some("mail"))
    );
}

#[test]
fn the_shipped_file_changes_nothing() {
    let loaded = load_text(SHIPPED).unwrap();
    assert_eq!(settings(&loaded), defaults());
    assert!(
        loaded
            .effective
            .iter()
            .all(|key| key.origin == Origin::Default)
    );
}

/// The shipped file with every key in effect.
fn shipped_uncommented() -> String {
    let uncomment = |line: &str| {
        let key = line
            .strip_prefix('#')
            .filter(|key| key.starts_with(|c: char| !c.is_whitespace()));
        key.unwrap_or(line).to_owned() + "\n"
    };
    SHIPPED.lines().map(uncomment).collect()
}

#[test]
fn the_shipped_file_shows_the_defaults() {
    let loaded = load_text(shipped_uncommented()).unwrap();
    assert_eq!(settings(&loaded), defaults());
    assert_eq!(loaded.warnings, []);
    for key in &loaded.effective {
        assert!(
            matches!(key.origin, Origin::File { .. }),
            "{} is not in the shipped file",
            key.key()
        );
    }
}

#[test]
fn the_shipped_file_explains_every_key() {
    let lines: Vec<&str> = SHIPPED.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        assert!(line.chars().count() <= 100, "{line}");
        if line.starts_with('#') && !line.starts_with("# ") && line.contains(" = ") {
            assert!(
                lines[index - 1].starts_with("# "),
                "nothing is said about {line}"
            );
        }
    }
}

#[test]
fn it_is_shown_with_where_it_came_from() {
    let directory = directory(&[
        (
            "config.toml",
            "grace = '90min'\nnever = ['192.0.2.0/24', '2001:db8::1']\n",
        ),
        (
            "config.d/a\nb.toml",
            "limits.sessions = 1_000\n[senders.dovecot]\nusers = [5000]",
        ),
    ]);
    let loaded = config::load_directory(directory.path(), None).unwrap();
    let expected = r#"
grace = "1h 30min"  # DIR/config.toml:1
max-session = "24h"  # default
servers = ["dovecot"]  # default
never = ["192.0.2.0/24", "2001:db8::1"]  # DIR/config.toml:2
permitted-networks = "postfix"  # default
state-directory = "/var/lib/pop-before-smtp"  # default

[journal]
directory = ""  # default
namespace = ""  # default

[map]
path = "/var/lib/pop-before-smtp/clients"  # default
type = "auto"  # default
value = "OK"  # default
debounce = "1s"  # default

[limits]
clients = 1000000  # default
clients-per-user = 10000  # default
sessions = 1000  # DIR/config.d/a\nb.toml:1

[senders.dovecot]
users = ["5000"]  # DIR/config.d/a\nb.toml:3
units = []  # default
"#;
    let path = directory.path().display().to_string();
    assert_eq!(
        config::show(&loaded),
        expected.trim_start().replace("DIR", &path)
    );
    let json = config::show_json(&loaded);
    assert_eq!(json["grace"]["value"], "1h 30min");
    assert_eq!(json["grace"]["origin"], format!("{path}/config.toml:1"));
    assert_eq!(
        json["never"]["value"],
        serde_json::json!(["192.0.2.0/24", "2001:db8::1"])
    );
    assert_eq!(json["limits.sessions"]["value"], 1000);
    assert_eq!(json["map.debounce"]["origin"], "default");
    assert_eq!(json.as_object().unwrap().len(), loaded.effective.len());
}

/// Whatever a text is, it is taken or refused with places that lie in it; what is taken can be
/// shown, and means the same then.
fn check_anything(text: &[u8]) -> Result<(), TestCaseError> {
    match load_text(text) {
        Ok(loaded) => {
            let shown = load_text(config::show(&loaded));
            prop_assert!(
                shown.is_ok(),
                "{}\n{}",
                config::show(&loaded),
                shown.unwrap_err()
            );
            prop_assert_eq!(settings(&loaded), settings(&shown.unwrap()));
        }
        Err(error) => {
            prop_assert!(!error.problems().is_empty());
            let text = String::from_utf8_lossy(text);
            let lines: Vec<&str> = text.split('\n').collect();
            for problem in error.problems() {
                let Some(place) = &problem.place else {
                    continue;
                };
                prop_assert!((1..=lines.len()).contains(&place.line), "{}", problem);
                prop_assert!(
                    place.line == 1
                        || place.line < lines.len()
                        || !lines[place.line - 1].is_empty()
                );
                let length = lines[place.line - 1].chars().count();
                prop_assert!((1..=length + 1).contains(&place.column), "{}", problem);
                prop_assert!(place.width >= 1);
            }
            prop_assert!(
                error
                    .to_string()
                    .chars()
                    .all(|c| c == '\n' || !c.is_control())
            );
        }
    }
    Ok(())
}

/// Values, right and wrong ones, for a key.
fn value() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        (
            0..100_u32,
            prop_oneof!["s", "min", "h", "d", "ms", "w", "x"]
        )
            .prop_map(|(n, unit)| format!("{n}{unit}")),
        any::<IpAddr>().prop_map(|address| address.to_string()),
        (any::<[u8; 4]>(), 0..40_u8).prop_map(|(a, n)| format!("{}/{n}", IpAddr::from(a))),
        "/[ -~]{0,20}",
        "[a-z@*-]{0,8}[.]service",
        "postfix|auto|hash|OK|RELAY ok|dovecot|courier|",
        any::<String>(),
    ];
    let quoted = text
        .prop_map(|text| toml::Value::String(text).to_string())
        .boxed();
    let list =
        prop::collection::vec(quoted.clone(), 0..4).prop_map(|l| format!("[{}]", l.join(", ")));
    prop_oneof![3 => quoted, 3 => list, 1 => any::<i64>().prop_map(|n| n.to_string()), 1 => (1..100_u8).prop_map(|n| n.to_string()), 1 => Just("true".to_owned())]
}

/// Right values for every key, each there or not.
fn right() -> impl Strategy<Value = String> {
    let duration = |most: u64| (1..=most).prop_map(|s| format!("'{s}s'")).boxed();
    let networks = prop::collection::vec(
        prop_oneof![
            any::<IpAddr>().prop_map(|a| format!("'{a}'")),
            (any::<[u8; 3]>()).prop_map(|[a, b, c]| format!("'{a}.{b}.{c}.0/24'")),
            any::<u16>().prop_map(|n| format!("'2001:db8:{n:x}::/48'")),
        ],
        0..5,
    )
    .prop_map(|networks| format!("[{}]", networks.join(",")))
    .boxed();
    let path = "'/[a-z0-9./~#;=é-]{0,20}x'".boxed();
    let count = (1..=10_000_000_u32).prop_map(|n| n.to_string()).boxed();
    let keys = vec![
        ("grace", duration(2_592_000)),
        ("max-session", duration(2_592_000)),
        ("servers", "\\['[a-z0-9-]{1,20}'\\]".boxed()),
        ("never", networks.clone()),
        (
            "permitted-networks",
            prop_oneof![Just("'postfix'".to_owned()), networks].boxed(),
        ),
        ("state-directory", path.clone()),
        ("journal.directory", "'/[ -&(-~ü]{0,20}'".boxed()),
        ("map.path", path),
        ("map.type", "'auto'|'lmdb'|'cdb'|'hash'|'btree'".boxed()),
        ("map.value", "'OK'|'RELAY'|'permit'".boxed()),
        (
            "map.debounce",
            (0..=60_000_u32).prop_map(|ms| format!("'{ms}ms'")).boxed(),
        ),
        ("limits.clients", count.clone()),
        ("limits.clients-per-user", count.clone()),
        ("limits.sessions", count),
        (
            "senders.dovecot.users",
            "\\['[a-z][a-z0-9_$.\"\\\\-]{0,20}', [1-9]{1,4}\\]".boxed(),
        ),
        (
            "senders.dovecot.units",
            "\\['[a-z]{1,9}@[*].service', '[a-z\\\\]{1,9}a.scope'\\]".boxed(),
        ),
        ("senders.a-1.units", "\\[\\]|\\['a.service'\\]".boxed()),
    ];
    keys.into_iter()
        .map(|(key, value)| {
            prop::option::of(value).prop_map(move |value| {
                value
                    .map(|value| format!("{key} = {value}\n"))
                    .unwrap_or_default()
            })
        })
        .collect::<Vec<_>>()
        .prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        check_anything(&text)?;
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "([a-z.-]{1,8}|[ =\\[\\]{},'\"#\n\t\r\\\\é0-9_]|\u{feff}){0,60}") {
        check_anything(text.as_bytes())?;
    }

    #[test]
    fn any_damage_to_a_right_file_is_taken_or_refused(
        at: prop::sample::Index,
        removed in 0..40_usize,
        inserted in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8),
            "[]\\[={}'\"#\n,.0-9a-z]{0,8}".prop_map(String::into_bytes),
        ],
    ) {
        let mut text = shipped_uncommented().into_bytes();
        let start = at.index(text.len());
        let end = (start + removed).min(text.len());
        text.splice(start..end, inserted);
        check_anything(&text)?;
    }

    #[test]
    fn any_value_of_any_key_is_taken_or_refused(
        values in prop::collection::vec((prop::sample::select(KEYS), value()), 1..6),
    ) {
        let lines = values.iter().map(|(key, value)| format!("{key} = {value}\n"));
        check_anything(lines.collect::<String>().as_bytes())?;
    }

    #[test]
    fn what_is_shown_means_the_same(text in right()) {
        match load_text(&text) {
            Ok(loaded) => {
                let shown = load_text(config::show(&loaded)).unwrap();
                prop_assert_eq!(settings(&loaded), settings(&shown));
                prop_assert_eq!(config::show_json(&loaded).as_object().unwrap().len(), loaded.effective.len());
            }
            // The only thing that can be wrong with it: that the map is where other things are.
            Err(error) => {
                let said = error.to_string();
                prop_assert!(said.contains("map.path: is "), "{}\n{}", text, said);
            }
        }
    }
}

/// Keys for which values are tried.
const KEYS: &[&str] = &[
    "grace",
    "max-session",
    "servers",
    "never",
    "permitted-networks",
    "state-directory",
    "journal.directory",
    "journal.namespace",
    "map.path",
    "map.type",
    "map.value",
    "map.debounce",
    "limits.clients",
    "limits.clients-per-user",
    "limits.sessions",
    "senders.dovecot.users",
    "senders.dovecot.units",
    "senders",
    "map",
    "journal.x",
];
