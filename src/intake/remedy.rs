//! What an administrator can do about entries that were refused, if they were a server's after all.
//!
//! Must never propose to trust a unit that writes for anybody: all containers of the host, all users
//! who log in, all who have jobs. Nor an ordinary user whose entry has no unit. Whoever pastes what is
//! proposed would open the relay to them.

use super::Refused;
use super::container::is_an_engines;
use crate::servers::{Distrust, FIRST_ORDINARY_USER, Senders, matches_glob};

/// How the text begins if nothing is proposed.
pub const NO_REMEDY: &str = "No line of configuration would be safe: ";

/// The chapter of the manual about containers.
const MANUAL: &str = "see MAIL SERVERS IN CONTAINERS in pop-before-smtp.toml(5)";

/// A way to trust what was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// By these lines of configuration.
    Lines(String),
    /// Any way would also trust others. This says why, after [`NO_REMEDY`].
    None(String),
}

/// Whom else a unit writes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// For all containers.
    Containers,
    /// For one container, until it is restarted.
    OneContainer,
    /// For these.
    Others(&'static str),
}

const USERS: Whose = Whose::Others("the programs of whoever logs in");
const JOBS: Whose = Whose::Others("the jobs of all users");
const FORWARDS: Whose = Whose::Others("the commands that users have their mail piped to");
const LOGS: Whose = Whose::Others("what other programs and hosts have sent to it");
const WEB: Whose = Whose::Others("web applications");

/// Units that write for others. A `*` stands for any text.
const WRITE_FOR_OTHERS: &[(&[&str], Whose)] = &[
    (
        &[
            "docker.service",
            "snap.docker.dockerd.service",
            "podman.service",
            "containerd.service",
            "crio.service",
            "cri-o.service",
            "kubelet.service",
            "k3s*.service",
            "podman-*.service",
            "nomad.service",
        ],
        Whose::Containers,
    ),
    (
        &[
            "docker-*.scope",
            "libpod-*.scope",
            "podman-*.scope",
            "machine-*.scope",
            "systemd-nspawn@*.service",
            "/*",
            "lxc*.service",
            "lxc*.scope",
            "incus*.service",
            "cri-containerd-*.scope",
            "crio-*.scope",
        ],
        Whose::OneContainer,
    ),
    (
        &[
            "user@*.service",
            "session-*.scope",
            "ssh.service",
            "sshd.service",
            "ssh@*.service",
            "sshd@*.service",
            "dropbear.service",
            "dropbear@*.service",
            "*getty@*.service",
            "console-getty.service",
        ],
        USERS,
    ),
    (
        &["init.scope"],
        Whose::Others("whatever has no unit of its own"),
    ),
    (
        &[
            "cron.service",
            "crond.service",
            "cronie.service",
            "anacron.service",
            "fcron.service",
            "atd.service",
            "gitlab-runner*.service",
        ],
        JOBS,
    ),
    (
        &[
            "postfix.service",
            "postfix@*.service",
            "exim*.service",
            "sendmail.service",
            "opensmtpd.service",
            "smtpd.service",
        ],
        FORWARDS,
    ),
    (
        &[
            "rsyslog.service",
            "syslog*.service",
            "inetutils-syslogd.service",
            "sysklogd.service",
            "busybox-syslogd.service",
            "metalog.service",
            "vector.service",
            "fluent*.service",
            "systemd-journal-remote.service",
        ],
        LOGS,
    ),
    (
        &[
            "apache2*.service",
            "httpd*.service",
            "lighttpd.service",
            "php*fpm.service",
            "php*fpm@*.service",
        ],
        WEB,
    ),
];

/// Whether a unit writes for others, too.
pub(super) fn writes_for_others(unit: &str) -> bool {
    writes_for(unit).is_some()
}

/// The lines of configuration that add this to a server.
pub(super) fn lines_of(server: &str, added: &Senders) -> String {
    let keys = [
        ("identifiers", &added.identifiers),
        ("users", &added.users),
        ("units", &added.units),
        ("containers", &added.containers),
    ];
    let mut lines = format!("[senders.{server}]");
    for (key, values) in keys.into_iter().filter(|(_, values)| !values.is_empty()) {
        lines.push_str(&format!("\n{key} = {}", toml::Value::from(values.clone())));
    }
    lines
}

fn writes_for(unit: &str) -> Option<Whose> {
    let is_one = |globs: &[&str]| globs.iter().any(|glob| matches_glob(glob, unit));
    let found = WRITE_FOR_OTHERS.iter().find(|(globs, _)| is_one(globs));
    found.map(|(_, whose)| *whose)
}

impl Refused {
    /// How the sender can be trusted, if it was legitimate.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        let server = &self.server;
        let mut added = Senders::default();
        let of_root = self
            .sender
            .unit
            .as_ref()
            .filter(|_| self.sender.uid == Some(0));
        if self.why == Distrust::Engine {
            // A quadlet whose container has another name than its unit.
            if let Some(unit) = of_root.filter(|unit| !writes_for_others(unit)) {
                added.units.push(unit.clone());
                return Remedy::Lines(lines_of(server, &added));
            }
            return Remedy::None(
                "only dockerd, podman's conmon and the unit of a quadlet are believed about which \
                 container they write for; those of an ordinary user never are"
                    .to_owned(),
            );
        }
        if self.why == Distrust::Bridge {
            return Remedy::None(format!(
                "one login may let in everybody; have the container see where its clients are, by the host's \
                 network or the PROXY protocol; if {} is a single client all the same, name it in \
                 senders.{server}.bridges: {MANUAL}",
                self.client()
                    .map(|client| client.to_string())
                    .unwrap_or_default()
            ));
        }
        if self.why == Distrust::Container && self.container.is_some() {
            return Remedy::Lines(lines_of(server, &self.with_its_container()));
        }
        if self.why == Distrust::Stream {
            return Remedy::None(format!(
                "its users' names may hold line feeds, and each begins another line of its output; have \
                 {server} log by syslog(3): 'pop-before-smtp servers --show {server}'"
            ));
        }
        if self.why == Distrust::Torn {
            let unit = self.sender.unit.as_deref().unwrap_or("its unit");
            return Remedy::None(format!(
                "whoever had that line written may have chosen this one, too; logins count again ten seconds after \
                 a failed one under a long name, or after any other long line once {unit} is restarted: \
                 'pop-before-smtp servers --show {server}'"
            ));
        }
        if self.why == Distrust::Machine {
            return Remedy::None(
                "a source is the journal of one host: write a table [sources.NAME] for each; if that \
                 host was installed anew, reload the service"
                    .to_owned(),
            );
        }
        if self.why == Distrust::User || self.why == Distrust::UserAndUnit {
            let Some(uid) = self.sender.uid else {
                return Remedy::None("journald does not say which user wrote it".to_owned());
            };
            if self.is_elsewhere {
                return Remedy::None(format!(
                    "it was written on another host, where uid {uid} may be anybody; if that is \
                     {server}'s user there, say so in the table of that source, such as \
                     users = {{ {server} = {uid} }}, with the name that the server's definition or \
                     senders.{server}.users has for it"
                ));
            }
            // Entries of a user who is named count without a unit, too.
            if uid >= FIRST_ORDINARY_USER && self.sender.unit.is_none() {
                return Remedy::None(format!(
                    "uid {uid} is an ordinary user's, and journald names no unit: any program of that \
                     user can write the same; if {server} runs as that user, start it from a unit of \
                     its own"
                ));
            }
            added.users.push(uid.to_string());
        }
        if self.why != Distrust::User {
            let Some(unit) = &self.sender.unit else {
                return Remedy::None(
                    "its process had ended before journald looked for its unit, and other programs \
                     of that user can write the same"
                        .to_owned(),
                );
            };
            // What an engine says of its container is true.
            if is_an_engines(unit) && self.container.is_some() {
                return Remedy::Lines(lines_of(server, &self.with_its_container()));
            }
            if let Some(whose) = writes_for(unit) {
                return Remedy::None(instead(server, unit, whose));
            }
            added.units.push(unit.clone());
        }
        Remedy::Lines(lines_of(server, &added))
    }

    fn with_its_container(&self) -> Senders {
        Senders {
            containers: self.container.iter().cloned().collect(),
            ..Senders::default()
        }
    }

    /// The remedy in a sentence, and the lines.
    #[must_use]
    pub fn advice(&self) -> String {
        match self.remedy() {
            Remedy::Lines(lines) => format!(
                "If it is really {}, put into /etc/pop-before-smtp/config.toml:\n{lines}",
                self.server
            ),
            Remedy::None(why) => format!("{NO_REMEDY}{why}"),
        }
    }
}

fn instead(server: &str, unit: &str, whose: Whose) -> String {
    match whose {
        Whose::Containers => {
            format!(
                "{unit} writes for every container of this host; if {server} is in one, name that container in \
                 senders.{server}.containers: {MANUAL}"
            )
        }
        Whose::OneContainer => format!(
            "{unit} is a container's, and another with each start; if {server} is in it, name the container \
             in senders.{server}.containers: {MANUAL}"
        ),
        Whose::Others(whose) => format!(
            "{unit} writes for {whose}; if {server} is among them, start it from a unit of its own"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Id;
    use crate::servers::{Meaning, Sender};

    fn refused(why: Distrust, uid: Option<u32>, unit: Option<&str>) -> Refused {
        Refused {
            server: "dovecot".into(),
            meaning: Meaning::Login {
                client: None,
                user: None,
                session: None,
            },
            sender: Sender {
                uid,
                unit: unit.map(str::to_owned),
                pid: None,
            },
            source: Id::DEFAULT_SOURCE,
            why,
            is_elsewhere: false,
            container: None,
        }
    }

    #[test]
    fn a_number_of_another_host_is_not_taken_for_one_of_this() {
        let refused = Refused {
            is_elsewhere: true,
            ..refused(Distrust::User, Some(112), Some("dovecot.service"))
        };
        let advice = refused.advice();
        assert!(advice.starts_with(NO_REMEDY), "{advice}");
        assert!(advice.contains("users = { dovecot = 112 }"), "{advice}");
    }

    #[test]
    fn no_unit_that_writes_for_others_is_proposed() {
        for unit in [
            "docker.service",
            "containerd.service",
            "podman.service",
            "libpod-conmon-0f3d.scope",
            "libpod-0f3d.scope",
            "docker-0f3d.scope",
            "user@1000.service",
            "session-4.scope",
            "session-c2.scope",
            "init.scope",
            "cron.service",
            "crond.service",
            "atd.service",
            "ssh.service",
            "sshd.service",
            "sshd@0-192.0.2.1:22-192.0.2.10:5.service",
            "serial-getty@ttyS0.service",
            "postfix@-.service",
            "rsyslog.service",
            "php8.4-fpm.service",
            "apache2.service",
        ] {
            for why in [Distrust::Unit, Distrust::UserAndUnit] {
                let refused = refused(why, Some(0), Some(unit));
                assert!(matches!(refused.remedy(), Remedy::None(_)), "{unit}");
                let advice = refused.advice();
                assert!(advice.starts_with(NO_REMEDY), "{advice}");
                assert!(advice.contains(unit), "{advice}");
                assert!(!advice.contains("[senders"), "{advice}");
            }
        }
        let docker = refused(Distrust::Unit, Some(0), Some("docker.service")).advice();
        assert!(docker.contains("every container"), "{docker}");
    }

    #[test]
    fn a_unit_of_its_own_is_proposed() {
        for (why, uid, unit, lines) in [
            (
                Distrust::Unit,
                0,
                "dovecot-proxy.service",
                "[senders.dovecot]\nunits = [\"dovecot-proxy.service\"]",
            ),
            (
                Distrust::UserAndUnit,
                5000,
                "mail.service",
                "[senders.dovecot]\nusers = [\"5000\"]\nunits = [\"mail.service\"]",
            ),
            // The unit is trusted already.
            (
                Distrust::User,
                5000,
                "docker.service",
                "[senders.dovecot]\nusers = [\"5000\"]",
            ),
        ] {
            let refused = refused(why, Some(uid), Some(unit));
            assert_eq!(refused.remedy(), Remedy::Lines(lines.to_owned()));
            assert!(refused.advice().ends_with(lines));
        }
    }

    #[test]
    fn without_a_user_or_a_unit_there_is_nothing_to_trust() {
        for (why, uid) in [
            (Distrust::NoUnit, Some(1000)),
            (Distrust::User, None),
            (Distrust::User, Some(1000)),
        ] {
            let advice = refused(why, uid, None).advice();
            assert!(advice.starts_with(NO_REMEDY), "{advice}");
            assert!(!advice.contains("[senders"), "{advice}");
        }
        // A server's own user: a process may be gone before journald looks for its unit.
        let lines = "[senders.dovecot]\nusers = [\"110\"]".to_owned();
        let own = refused(Distrust::User, Some(110), None);
        assert_eq!(own.remedy(), Remedy::Lines(lines));
    }
}
