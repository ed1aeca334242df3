//! `migrate`: what it says of old configurations, and of maps that a real postmap has made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const OLD: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/migrate/pop-before-smtp-conf.pl"
);

struct Host {
    directory: TempDir,
}

impl Host {
    fn new(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Host { directory };
        fs::write(host.path("config.toml"), config).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A map of the old daemon.
    fn old_map(&self, kind: &str, text: &str) -> PathBuf {
        fs::write(self.path("old"), text).unwrap();
        let table = format!("{kind}:{}", self.path("old").display());
        let made = Command::new("postmap").arg(table).status().unwrap();
        assert!(made.success());
        fs::remove_file(self.path("old")).unwrap();
        self.path("old.db")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
            .arg("--config")
            .arg(self.path("config.toml"))
            .arg("migrate")
            .args(arguments)
            .output()
            .unwrap()
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The lines of a report that are to be written into a file.
    fn written(&self, report: &str, file: &str) -> PathBuf {
        let (_, rest) = report.split_once(&format!("{file}:\n")).unwrap();
        let lines = rest.lines().map_while(|line| line.strip_prefix("     "));
        let text: Vec<&str> = lines.collect();
        let path = self.path(Path::new(file).file_name().unwrap().to_str().unwrap());
        fs::write(&path, text.join("\n") + "\n").unwrap();
        path
    }
}

#[test]
fn an_old_configuration_is_carried_over() {
    let host = Host::new("never = [\"198.51.100.0/24\"]\npermitted-networks = [\"10.0.0.0/8\"]\n");
    let map = host.old_map(
        "hash",
        "192.0.2.10 relay\n2001:db8::10 relay\n10.1.2.3 relay\n198.51.100.7 relay\n172.16 relay\n",
    );
    let before = fs::read(&map).unwrap();
    let report = host.said(&["--old-config", OLD, "--old-map", map.to_str().unwrap()]);
    println!("{report}");
    for expected in [
        "4 clients",
        "\n     grace = \"45min\"\n",
        "\n     permitted-networks = [\"127.0.0.0/8\", \"192.0.2.77/32\", \"192.168.3.0/26\"]\n",
        "\n     [map]\n     value = \"relay\"\n",
        "$pat is for dovecot: built in, and on.",
        "not from /var/log/maillog",
        "check_client_access ",
        "anyway, and never listed: 10.1.2.3\n",
        "in 'never', and never listed: 198.51.100.7\n",
        "with the next login, if not at once: 192.0.2.10, 2001:db8::10\n",
        "@mynets: 'office.example.org' is no network",
        "line 20: grace is set in a block",
        "$tie_func: tie_elsewhere",
        "key '172.16': no single address",
        "\nNothing has been changed.\n",
    ] {
        assert!(report.contains(expected), "{expected}\n{report}");
    }
    for unexpected in ["oldpop", "custom_match", "touch"] {
        assert!(!report.contains(unexpected), "{unexpected}\n{report}");
    }
    assert!(!Path::new("/tmp/migrate-has-run-perl").exists());
    assert_eq!(fs::read(&map).unwrap(), before);

    // What it says to write is right.
    let written = host.written(&report, "/etc/pop-before-smtp/config.d/50-migrated.toml");
    let shown = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .args(["--config", written.to_str().unwrap(), "show-config"])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("grace = \"45min\""), "{shown}");
    assert!(shown.contains("value = \"relay\""), "{shown}");
}

#[test]
fn a_server_of_ones_own_becomes_a_definition() {
    let host = Host::new("");
    let old = host.path("old.pl");
    fs::write(
        &old,
        r"$pat = '^[LOGTIME] \S+ minepop\[\d+\]: login \S+ from (\d+\.\d+\.\d+\.\d+)';",
    )
    .unwrap();
    let map = host.old_map("btree", "192.0.2.10 ok\n");
    let report = host.said(&[
        "--old-config",
        old.to_str().unwrap(),
        "--old-map",
        map.to_str().unwrap(),
    ]);
    assert!(report.contains("btree:"), "{report}");
    assert!(report.contains("servers = [\"minepop\"]"), "{report}");
    assert!(report.contains("$grace: 30min is the default"), "{report}");
    assert!(report.contains("$dbvalue: OK is the default"), "{report}");
    fs::create_dir(host.path("servers.d")).unwrap();
    let definition = host.written(&report, "/etc/pop-before-smtp/servers.d/minepop.toml");
    fs::rename(definition, host.path("servers.d/minepop.toml")).unwrap();
    let written = host.written(&report, "/etc/pop-before-smtp/config.d/50-migrated.toml");
    let checked = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .args(["--config", written.to_str().unwrap(), "check-config"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{checked:?}");
    assert!(said.contains("servers minepop"), "{said}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let host = Host::new("");
    let old = host.path("old.pl");
    fs::write(&old, "$pat = qr/^x/;\n$dbvalue = 'reject';\n\u{1b}[2J\n").unwrap();
    fs::write(host.path("junk.db"), [0; 100]).unwrap();
    let junk = host.path("junk.db");
    let report = host.said(&[
        "--old-config",
        old.to_str().unwrap(),
        "--old-map",
        junk.to_str().unwrap(),
    ]);
    assert!(report.contains("The old map can't be read: "), "{report}");
    assert!(report.contains("no hash and no tree"), "{report}");
    assert!(
        report.contains("the patterns: can't read the pattern"),
        "{report}"
    );
    assert!(report.contains("$dbvalue: "), "{report}");
    assert!(!report.contains('\u{1b}'));

    let missing = host.run(&["--old-config", "/nowhere/x.pl"]);
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("/nowhere/x.pl"), "{said}");
    let directory = host.run(&["--old-config", "/"]);
    assert_eq!(directory.status.code(), Some(1));
}
