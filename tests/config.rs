//! How configurations are read, merged, checked and shown: by what a file on disk makes of it.

#[path = "config/anything.rs"]
mod anything;
#[path = "config/wrong.rs"]
mod wrong;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;
use pop_before_smtp::config::{
    self, ConfigError, Loaded, Origin, PermittedNetworks, Senders, Settings,
};
use pop_before_smtp::postfix::map_type::MapType;
use pop_before_smtp::servers::BUILT_IN;
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

#[test]
fn without_files_everything_is_default() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path(), &directory.path().join("missing")] {
        let loaded = config::load_directory(path, None).unwrap();
        let settings = loaded.settings;
        assert_eq!(settings.grace, Duration::from_secs(1800));
        assert_eq!(settings.max_session, Duration::from_secs(86400));
        assert!(settings.servers.contains(&"dovecot".to_owned()));
        assert_eq!(settings.never, []);
        assert_eq!(settings.permitted_networks, PermittedNetworks::Postfix);
        assert_eq!(
            settings.state_directory,
            Path::new("/var/lib/pop-before-smtp")
        );
        assert_eq!(settings.log_level, LevelFilter::Info);
        assert_eq!(settings.journal.directory, None);
        assert_eq!(settings.journal.namespace, None);
        assert_eq!(settings.journal.look_every, Some(Duration::from_millis(2)));
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
        log-level = "debug"
        [journal]
        directory = "/var/log/journal/remote"
        look-every = "10ms"
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
        identifiers = ["dovecot-proxy", "mail1/imap"]
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
    assert_eq!(settings.log_level, LevelFilter::Debug);
    assert_eq!(
        settings.journal.directory.as_deref(),
        Some(Path::new("/var/log/journal/remote"))
    );
    assert_eq!(settings.map.path, Path::new("/srv/map/relay"));
    assert_eq!(settings.map.kind, Some(MapType::Cdb));
    assert_eq!(settings.map.value, "RELAY");
    let look_every = settings.journal.look_every;
    assert_eq!(look_every, Some(Duration::from_millis(10)));
    assert_eq!(settings.map.debounce, Duration::from_millis(2500));
    assert_eq!(settings.limits.clients, 1000);
    assert_eq!(settings.limits.clients_per_user, 16);
    assert_eq!(settings.limits.sessions, 7);
    let senders = Senders {
        identifiers: vec!["dovecot-proxy".to_owned(), "mail1/imap".to_owned()],
        users: ["vmail", "5000", "5001"].map(str::to_owned).to_vec(),
        units: vec!["dovecot@*.service".to_owned()],
        containers: Vec::new(),
        bridges: Vec::new(),
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
            "grace = '1h'\nnever = ['192.0.2.1']\n[map]\nvalue = 'RELAY'\ntype = 'hash'\n[senders.dovecot]\nusers = ['a']\nidentifiers = ['a']\n",
        ),
        ("config.d/20-b.toml", "grace = '3h'\n\n[map]\ntype = 'lmdb'"),
        (
            "config.d/10-a.toml",
            "grace = '2h'\nmax-session = '5h'\nnever = ['192.0.2.2']",
        ),
        (
            "config.d/30-c.toml",
            "[senders.dovecot]\nunits = ['x.service']\nidentifiers = ['b']",
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
        identifiers: vec!["b".to_owned()],
        users: vec!["a".to_owned()],
        units: vec!["x.service".to_owned()],
        containers: Vec::new(),
        bridges: Vec::new(),
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
        ("senders.dovecot.identifiers", "config.d/30-c.toml:3"),
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

#[test]
fn what_is_odd_is_taken_with_a_warning() {
    for (text, said) in [
        (
            "grace = '2h'\nmax-session = '1h'",
            "x.toml:2:15: max-session: with a `max-session` shorter than",
        ),
        (
            "max-session = '10min'",
            "x.toml:1:15: max-session: with a `max-session` shorter than",
        ),
        (
            "grace = '25h'",
            "x.toml:1:9: grace: with a `max-session` shorter than",
        ),
        (
            "servers = ['dovecot']\n[senders.courier]\nusers = ['root']",
            "x.toml:3:9: senders.courier.users: has no effect",
        ),
        (
            "senders.dovcot.units = ['a.service']",
            "did you mean `dovecot`?",
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
fn all_built_in_servers_can_be_named_beside_others() {
    let servers = |text| load_text(text).map(|loaded| loaded.settings.servers);
    let all = servers("").unwrap();
    let with_one = servers("servers = ['built-in', 'mine']").unwrap();
    assert_eq!(with_one, [&all[..], &["mine".to_owned()]].concat());
    let twice = servers("servers = ['built-in', 'dovecot']").unwrap_err();
    let said = "x.toml:1:24: servers: \"dovecot\" appears twice";
    assert!(twice.to_string().contains(said), "{twice}");
}

#[test]
fn empty_lists_of_senders_say_nothing() {
    let loaded = load_text("[senders.dovecot]\nusers = []\nunits = []\nidentifiers = []").unwrap();
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
servers = SERVERS  # default
never = ["192.0.2.0/24", "2001:db8::1"]  # DIR/config.toml:2
permitted-networks = "postfix"  # default
publish = ["map", "policy"]  # default
state-directory = "/var/lib/pop-before-smtp"  # default
log-level = "info"  # default

[journal]
directory = ""  # default
namespace = ""  # default
look-every = "2ms"  # default

[map]
path = "/var/lib/pop-before-smtp/clients"  # default
type = "auto"  # default
value = "OK"  # default
debounce = "1s"  # default

[policy]
ipv6-prefix = 128  # default
relays = []  # default

[limits]
clients = 1000000  # default
clients-per-user = 10000  # default
sessions = 1000  # DIR/config.d/a\nb.toml:1

[senders.dovecot]
identifiers = []  # default
users = ["5000"]  # DIR/config.d/a\nb.toml:3
units = []  # default
containers = []  # default
bridges = []  # default
"#;
    let path = directory.path().display().to_string();
    let servers: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        config::show(&loaded),
        (expected.trim_start())
            .replace("DIR", &path)
            .replace("SERVERS", &toml::Value::from(servers).to_string())
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
