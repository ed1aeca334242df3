//! The service under test, as its administrator meets it: installed from the package, configured by a
//! drop-in, asked over its control socket. Must use nothing that an administrator does not have.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::host::{Finished, Host, look_until, wait_until};
use crate::image::{Release, Servers};

/// The directory of the service's state, with the access map in it.
pub const STATE: &str = "/var/lib/pop-before-smtp";
/// Our settings, between those of the package and those of the administrator.
pub const SETTINGS: &str = "/etc/pop-before-smtp/config.d/50-test.toml";
/// Longer than any change should take to reach Postfix, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(20);

/// A client of `pop-before-smtp list --json`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    pub client: String,
    pub user: Option<String>,
    pub server: Option<String>,
    pub since: Timestamp,
    /// None of a client that is listed by hand, and that has not logged in.
    pub last_login: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub sessions: u32,
}

/// The part of `pop-before-smtp status --json` that the tests look at.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    pub clients: u32,
    pub sessions: u32,
    pub caught_up: bool,
    pub map: Option<Map>,
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Map {
    pub path: String,
    #[serde(rename = "type")]
    pub kind: String,
}

impl Host {
    /// Boots a host and installs the package on it, with these settings. Postfix is told of the
    /// access map by the line that the package prints.
    pub fn with_service(release: Release, settings: &str) -> Host {
        Host::with_service_and(release, Servers::Dovecot, settings)
    }

    /// The same with other POP3 and IMAP servers than Dovecot.
    pub fn with_service_and(release: Release, servers: Servers, settings: &str) -> Host {
        let host = Host::boot_with(release, servers);
        host.write_file(SETTINGS, settings);
        let said = host.install_package();
        // Without a map there is no line for it.
        if !settings.contains("publish = [\"policy\"]") {
            host.obey(&said);
        }
        host
    }

    /// Installs the package of `POP_BEFORE_SMTP_DEB` with apt, and gives what was said.
    pub fn install_package(&self) -> String {
        let package = package();
        self.copy_in(&package, "/opt/pop-before-smtp.deb");
        self.install("/opt/pop-before-smtp.deb")
    }

    /// Installs a package that is in the host already.
    pub fn install(&self, path: &str) -> String {
        self.sh(&format!(
            "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
             --option Dpkg::Use-Pty=0 --option Dpkg::Options::=--force-confold \
             --allow-downgrades --reinstall {path} 2>&1"
        ))
    }

    /// Does what the package's installation says: puts its one line into main.cf.
    pub fn obey(&self, said: &str) {
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("smtpd_relay_restrictions = "))
            .collect();
        let [line] = lines[..] else {
            panic!("not one line for main.cf, but {}: {said}", lines.len());
        };
        self.run(&["postconf", "-e", line]);
        self.run(&["postfix", "reload"]);
    }

    /// Who may relay now, in the order of their addresses' text.
    #[track_caller]
    pub fn list(&self) -> Vec<Listed> {
        let json = self.run(&["pop-before-smtp", "list", "--json"]);
        let mut list: Vec<Listed> = serde_json::from_str(&json)
            .unwrap_or_else(|error| panic!("list --json: {error}: {json}"));
        list.sort_by(|a, b| a.client.cmp(&b.client));
        list
    }

    /// The addresses of [`Host::list`].
    #[track_caller]
    pub fn listed(&self) -> Vec<String> {
        self.list()
            .into_iter()
            .map(|listed| listed.client)
            .collect()
    }

    /// How the service is. With problems to tell of, `status` ends with 1.
    #[track_caller]
    pub fn status(&self) -> Status {
        let asked = self.try_run(&["pop-before-smtp", "status", "--json"]);
        let status: Status = serde_json::from_str(&asked.stdout)
            .unwrap_or_else(|error| panic!("status --json: {error}: {}", asked.transcript()));
        let expected = i32::from(!status.problems.is_empty());
        assert_eq!(asked.code, Some(expected), "{status:?}");
        status
    }

    /// Waits until exactly these clients are listed, and the map says the same.
    #[track_caller]
    pub fn await_clients(&self, clients: &[&str]) {
        self.await_clients_for(clients, SOON);
    }

    #[track_caller]
    pub fn await_clients_for(&self, clients: &[&str], timeout: Duration) {
        let mut expected: Vec<String> = clients.iter().map(ToString::to_string).collect();
        expected.sort();
        let found = look_until(timeout, || {
            (self.map_clients() == expected && self.listed() == expected).then_some(())
        });
        assert!(
            found.is_some(),
            "not within {timeout:?}: {expected:?}; in the list are {:?}, in the map {:?}",
            self.listed(),
            self.map_clients()
        );
    }

    /// The index of the access map that is there.
    pub fn map_index(&self) -> String {
        let index = self.sh(&format!(
            "cd {STATE} && ls clients.lmdb clients.cdb clients.db 2>/dev/null || true"
        ));
        let index = index.trim();
        let is_one = !index.is_empty() && !index.contains('\n');
        assert!(is_one, "not one index of the access map, but {index:?}");
        index.to_owned()
    }

    /// The type of the access map that is there, by the name of its index.
    pub fn map_type(&self) -> String {
        match self.map_index().trim_start_matches("clients.") {
            "db" => "hash".to_owned(),
            named_so => named_so.to_owned(),
        }
    }

    /// The clients that the access map permits, in the order of their text. Asks postmap alone, and so
    /// does not start a stopped service. The keys that are not addresses are left out.
    pub fn map_clients(&self) -> Vec<String> {
        let table = format!("{}:{STATE}/clients", self.map_type());
        let dump = self.run(&[&self.real_postmap(), "-s", &table]);
        let mut clients: Vec<String> = dump
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(key, _)| key.parse::<std::net::IpAddr>().is_ok())
            .map(|(key, _)| key.to_owned())
            .collect();
        clients.sort();
        clients
    }

    /// Whether the access map permits a client.
    pub fn map_permits(&self, client: &str) -> bool {
        let table = format!("{}:{STATE}/clients", self.map_type());
        let found = self.try_run(&[&self.real_postmap(), "-q", client, &table]);
        found.succeeded() && found.stdout.trim() == "OK"
    }

    /// postmap, also while another program stands in its place.
    pub fn real_postmap(&self) -> String {
        let real = "/usr/sbin/postmap.real";
        if self.try_run(&["test", "-e", real]).succeeded() {
            real.to_owned()
        } else {
            "/usr/sbin/postmap".to_owned()
        }
    }

    /// The main process of the running service, as the host numbers it; waits for one.
    #[track_caller]
    pub fn main_process(&self) -> u32 {
        wait_until("the service runs", SOON, || {
            // systemd says 0 where there is none.
            let process = self.service_property("MainPID").parse().unwrap();
            (process != 0 && self.is_active()).then_some(process)
        })
    }

    pub fn service_property(&self, name: &str) -> String {
        self.run(&[
            "systemctl",
            "show",
            "--value",
            "--property",
            name,
            "pop-before-smtp.service",
        ])
    }

    pub fn is_active(&self) -> bool {
        self.try_run(&[
            "systemctl",
            "--quiet",
            "is-active",
            "pop-before-smtp.service",
        ])
        .succeeded()
    }

    pub fn systemctl(&self, verb: &str) -> Finished {
        self.try_run(&["systemctl", verb, "pop-before-smtp.service"])
    }

    /// Has the service read its configuration, and waits until it is in force: systemd only sends a signal.
    pub fn reload(&self) {
        let reloads = || {
            let said = self.service_journal();
            said.iter().filter(|l| l.starts_with("reloaded: ")).count()
        };
        let before = reloads();
        assert!(self.systemctl("reload").succeeded());
        wait_until("the configuration is in force", SOON, || {
            (reloads() > before).then_some(())
        });
    }

    /// The service's own lines in the journal.
    pub fn service_journal(&self) -> Vec<String> {
        self.journal(&["--identifier=pop-before-smtp"])
    }

    /// Writes lines to the journal as Dovecot does: by root, under its identifier, in its unit.
    pub fn as_dovecot(&self, lines: &[String]) {
        self.write_file("/run/lines-of-dovecot", &lines.join("\n"));
        // The host's own cgroup file system is where the unit's processes are listed.
        self.sh(
            "echo $$ >/sys/fs/cgroup/system.slice/dovecot.service/cgroup.procs
             exec logger --tag dovecot --priority mail.info --file /run/lines-of-dovecot",
        );
    }
}

/// When each socket was opened.
pub fn opened(host: &Host) -> String {
    host.run(&[
        "systemctl",
        "show",
        "--property=ActiveState,ActiveEnterTimestampMonotonic",
        "pop-before-smtp.socket",
        "pop-before-smtp-policy.socket",
    ])
}

/// Where the package is that the tests are about.
pub fn package() -> PathBuf {
    std::env::var_os("POP_BEFORE_SMTP_DEB").map_or_else(
        || {
            panic!(
                "POP_BEFORE_SMTP_DEB is not set: it names the package to test, as tests/run and \
                 packaging/try do it"
            )
        },
        PathBuf::from,
    )
}
