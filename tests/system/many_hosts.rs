//! Mail stores here, relays there: a client fetches its mail from a store, and sends through a relay.
//! Hosts are joined by a cable of their own; clients have the same addresses at each of them.

use std::time::{Duration, Instant};

use crate::host::{Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::joined::{PORT, RELAY, STORE, add_store, answers, listen, store_and_relay};
use crate::mail::{Answer, Carriage, MailSession, Protocol, fetch_mail, send_mail};
use crate::service::SOON;
use crate::trust::{FORGED, forge};

/// A host on the same cable that may not ask.
const STRANGER: &str = "198.18.0.3";

fn the_question_goes_to_the_store(release: Release) {
    let store = Host::with_service(release, &answers());
    // Nothing of ours is on the relay.
    let relay = Host::boot(release);
    store.join(STORE, &[(&relay, &[RELAY, STRANGER])]);
    listen(&store);
    let ask = format!(
        "permit_mynetworks, check_policy_service {{ inet:{STORE}:{PORT}, default_action=DUNNO, \
         timeout=2s }}, reject_unauth_destination"
    );
    relay.run(&["postconf", &format!("smtpd_relay_restrictions={ask}")]);
    relay.run(&["postfix", "reload"]);

    let (client, other) = (NEAR[0], NEAR[1]);
    assert_eq!(send_mail(&relay, client), Answer::Refused);
    fetch_mail(&store, client);
    assert_eq!(send_mail(&relay, client), Answer::Accepted);
    assert_eq!(send_mail(&relay, other), Answer::Refused);

    // Nobody else may ask.
    let ask = |from: &str| {
        relay.try_run(&[
            "bash",
            "-c",
            &format!(
                "printf 'request=smtpd_access_policy\\nclient_address={client}\\n\\n' |
                 socat -t 2 - TCP:{STORE}:{PORT},bind={from},connect-timeout=2"
            ),
        ])
    };
    assert_eq!(ask(RELAY).stdout.trim(), "action=OK");
    assert_eq!(ask(STRANGER).stdout, "");
    let told = store.journal(&["--identifier=pop-before-smtp"]);
    let of_stranger = format!("{STRANGER} has asked over TCP");
    assert!(
        told.iter().any(|line| line.starts_with(&of_stranger)),
        "{told:#?}"
    );
    assert_eq!(ask(STRANGER).stdout, "");

    // systemd holds the socket: a question waits for the service, or starts it.
    store.systemctl("restart");
    assert_eq!(send_mail(&relay, client), Answer::Accepted);
    store.systemctl("stop");
    assert_eq!(send_mail(&relay, client), Answer::Accepted);
    wait_until("it runs again", SOON, || store.is_active().then_some(()));

    // Without the store nobody may relay, and everything else goes on.
    store.run(&["ip", "link", "set", "lan", "down"]);
    assert_eq!(send_mail(&relay, client), Answer::Refused);
    store.run(&["ip", "link", "set", "lan", "up"]);
    wait_until("the store is back", SOON, || {
        (send_mail(&relay, client) == Answer::Accepted).then_some(())
    });
}

#[test]
fn the_question_goes_to_the_store_on_bookworm() {
    the_question_goes_to_the_store(Release::Bookworm);
}

#[test]
fn the_question_goes_to_the_store_on_trixie() {
    the_question_goes_to_the_store(Release::Trixie);
}

fn the_journal_comes_to_the_relay(release: Release) {
    let (store, relay) = store_and_relay(release, "grace = \"45s\"\n");
    let [client, other] = NEAR;
    fetch_mail(&store, client);
    add_store(&relay, "store1", &store, STORE);

    // What was before is made up for; and who has not logged in there is refused.
    wait_until("the login at the store counts", SOON, || {
        (relay.listed() == [client]).then_some(())
    });
    assert_eq!(send_mail(&relay, client), Answer::Accepted);
    assert_eq!(send_mail(&relay, other), Answer::Refused);
    fetch_mail(&store, other);
    let begin = Instant::now();
    wait_until("the next one, too", Duration::from_secs(5), || {
        relay.listed().contains(&other.to_owned()).then_some(())
    });
    println!(
        "from the store's login to the relay's list: {:?}",
        begin.elapsed()
    );
    let status = relay.status();
    assert!(status.problems.is_empty(), "{status:?}");
    let list = relay.run(&["pop-before-smtp", "store", "list"]);
    assert!(
        list.starts_with("store1  198.18.0.1  connected since"),
        "{list}"
    );

    // Users there, and here, can write the same, and open nothing.
    forge(&store);
    forge(&relay);
    fetch_mail(&store, client);
    wait_until("what came before is read", SOON, || {
        let said = relay.journal(&["--identifier=pop-before-smtp"]);
        let begins = |with: &str| said.iter().any(|line| line.starts_with(with));
        let are_told =
            begins("source store1: refused a login") && begins("source journal: refused");
        (are_told && relay.listed().contains(&client.to_owned())).then_some(())
    });
    let listed = relay.listed();
    let is_forged = |client: &String| FORGED.iter().any(|begin| client.starts_with(begin));
    assert!(!listed.iter().any(is_forged), "{listed:?}");
    // Which of them tells of a login, is told.
    let list = relay.run(&["pop-before-smtp", "list", "--source", "store1"]);
    assert!(list.contains(client), "{list}");
    let of_store = relay.journal(&["POP_BEFORE_SMTP_SOURCE=store1"]);
    let added = format!("added {client}: tom has logged in to dovecot (source store1)");
    assert!(
        of_store.iter().any(|line| line.starts_with(&added)),
        "{of_store:#?}"
    );
    let metrics = relay.run(&["pop-before-smtp", "metrics"]);
    let connected = "pop_before_smtp_source_connected{source=\"store1\"} 1";
    assert!(metrics.contains(connected), "{metrics}");

    // The key does nothing else, and its command takes nothing else.
    let ssh = |command: &str| {
        relay.try_run(&[
            "ssh",
            "-F",
            "/etc/pop-before-smtp/stores/store1/ssh_config",
            "-oBatchMode=yes",
            "-i",
            "/etc/pop-before-smtp/stores/store1/key",
            "-oUserKnownHostsFile=/etc/pop-before-smtp/stores/store1/known_hosts",
            "store1",
            command,
        ])
    };
    for command in ["id", "", "1; id", "$(id)", "1 2", "+1", "`id`", "1\nid"] {
        let answer = ssh(command);
        assert_eq!(answer.code, Some(2), "{command:?}: {}", answer.transcript());
        assert_eq!(answer.stdout, "", "{command:?}");
    }

    // An entry that is too large, which anybody there can write, stops nothing.
    store.sh(
        "runuser -u ann -- bash -c \"{ echo SYSLOG_IDENTIFIER=dovecot
        printf 'MESSAGE=%0200000d\\n' 0; } | logger --journald\"",
    );
    fetch_mail(&store, client);
    wait_until("the next login counts", SOON, || {
        relay.listed().contains(&client.to_owned()).then_some(())
    });

    // With other servers, other lines are wanted.
    relay.sh("echo 'senders.dovecot.identifiers = [\"dovecot-proxy\"]' >/etc/pop-before-smtp/config.d/60-more.toml
        systemctl reload pop-before-smtp");
    wait_until("it is told of", SOON, || {
        let problems = relay.status().problems;
        let is_told =
            |problem: &String| problem.contains("store1: its authorized_keys names other");
        problems.iter().any(is_told).then_some(())
    });
    let said = relay.run(&["pop-before-smtp", "store", "show", "store1"]);
    let (there, here) = said.split_once("\n\n").unwrap();
    store.sh(&format!("set -e\n{there}"));
    let keys = "/var/lib/pop-before-smtp-journal/.ssh/authorized_keys";
    assert_eq!(store.run(&["cat", keys]).lines().count(), 1);
    relay.sh(&format!("set -e\n{here}"));
    wait_until("all is well", SOON, || {
        relay.status().problems.is_empty().then_some(())
    });

    // Cut off, and back: nothing is lost, and it is said meanwhile.
    store.run(&["ip", "link", "set", "lan", "down"]);
    wait_until("it is noticed", Duration::from_secs(60), || {
        let problems = relay.status().problems;
        problems
            .iter()
            .any(|p| p.contains("store1: not connected"))
            .then_some(())
    });
    let doctor = relay.try_run(&["pop-before-smtp", "doctor"]).stdout;
    assert!(doctor.contains("store1: not connected since"), "{doctor}");
    wait_until("nobody is listed", Duration::from_secs(60), || {
        relay.listed().is_empty().then_some(())
    });
    fetch_mail(&store, client);
    store.run(&["ip", "link", "set", "lan", "up"]);
    relay.await_clients_for(&[client], Duration::from_secs(60));
    wait_until("all is well", SOON, || {
        relay.status().problems.is_empty().then_some(())
    });

    // The journal there is rotated and emptied, and journald restarted.
    store.sh("journalctl --rotate --vacuum-time=1us && systemctl restart systemd-journald");
    fetch_mail(&store, other);
    wait_until("it goes on", SOON, || {
        relay.listed().contains(&other.to_owned()).then_some(())
    });

    // Another machine with the same key is not believed.
    store.sh("rm /etc/machine-id
        tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id");
    relay.run(&["systemctl", "restart", "pop-before-smtp-store@store1"]);
    wait_until("it is refused", SOON, || {
        let problems = relay.status().problems;
        problems
            .iter()
            .any(|p| p.contains("another machine than before"))
            .then_some(())
    });

    let said = relay.run(&["pop-before-smtp", "store", "remove", "store1"]);
    relay.sh(&format!("set -e\n{}", said.split_once('\n').unwrap().1));
    wait_until("nothing is left of it", SOON, || {
        relay.status().problems.is_empty().then_some(())
    });
    assert_eq!(
        relay
            .run(&["pop-before-smtp", "store", "list"])
            .lines()
            .count(),
        1
    );
    relay.sh("! systemctl --quiet is-enabled pop-before-smtp-store@store1 && test ! -e /var/lib/pop-before-smtp-store/store1");
}

#[test]
fn the_journal_comes_to_the_relay_on_bookworm() {
    the_journal_comes_to_the_relay(Release::Bookworm);
}

#[test]
fn the_journal_comes_to_the_relay_on_trixie() {
    the_journal_comes_to_the_relay(Release::Trixie);
}

/// Two stores, and two relays that are alike.
fn any_store_and_any_relay(release: Release) {
    let settings = "grace = \"20s\"\n";
    let stores = [(); 2].map(|()| Host::boot_with(release, Servers::Ssh));
    let relays = [(); 2].map(|()| Host::with_service_and(release, Servers::Ssh, settings));
    let names = ["store1", "store2"];
    let addresses = [STORE, "198.18.0.4"];
    let [first, second] = &stores;
    first.join(
        STORE,
        &[
            (second, &[addresses[1]]),
            (&relays[0], &[RELAY]),
            (&relays[1], &[STRANGER]),
        ],
    );
    for relay in &relays {
        for ((name, store), address) in names.iter().zip(&stores).zip(addresses) {
            add_store(relay, name, store, address);
        }
    }
    let are_listed = |relay: &Host, clients: &[&str]| {
        let listed = relay.listed();
        clients
            .iter()
            .all(|client| listed.iter().any(|l| l == client))
    };
    let [client, other] = NEAR;

    // Fetched from either, sent through either.
    for (store, client) in stores.iter().zip(NEAR) {
        fetch_mail(store, client);
        for relay in &relays {
            wait_until("a login counts", SOON, || {
                (send_mail(relay, client) == Answer::Accepted).then_some(())
            });
        }
    }
    let nobody = |relay: &Host| {
        wait_until("grace has ended", Duration::from_secs(60), || {
            relay.listed().is_empty().then_some(())
        });
    };
    relays.iter().for_each(nobody);

    // A session on each, of one client: the end of one says nothing of the other.
    let tom = ("tom", "secret");
    let log_in =
        |store| MailSession::login(store, client, Protocol::Imap, Carriage::Plain, tom).unwrap();
    let [here, there] = [log_in(first), log_in(second)];
    let sessions = |relay: &Host| {
        relay
            .list()
            .iter()
            .map(|listed| listed.sessions)
            .sum::<u32>()
    };
    for relay in &relays {
        wait_until("both are open", SOON, || {
            (sessions(relay) == 2).then_some(())
        });
    }
    here.logout();
    for relay in &relays {
        wait_until("one is open", SOON, || (sessions(relay) == 1).then_some(()));
    }
    // Nor does a restart of the one's server.
    first.run(&["systemctl", "restart", "dovecot"]);
    fetch_mail(first, other);
    for relay in &relays {
        wait_until("it is read", SOON, || {
            are_listed(relay, &[client, other]).then_some(())
        });
        wait_until("one is still open", SOON, || {
            (sessions(relay) == 1).then_some(())
        });
    }

    // A store that is started anew ends the sessions that it had: none of them tells its end, and the
    // journal names another boot from then on.
    second.sh("systemctl kill --signal=KILL dovecot
        tr a-f b-ga </proc/sys/kernel/random/boot_id | tr g a >/run/boot_id
        mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
        systemctl restart systemd-journald
        systemctl restart dovecot
        pkill journalctl");
    fetch_mail(second, other);
    for relay in &relays {
        wait_until("none is open", SOON, || {
            (sessions(relay) == 0).then_some(())
        });
    }
    drop(there);

    // A relay that is away catches up by itself.
    let [up, down] = &relays;
    down.sh(
        "systemctl stop pop-before-smtp.socket pop-before-smtp-policy.socket pop-before-smtp \
             'pop-before-smtp-store@*'",
    );
    nobody(up);
    fetch_mail(second, other);
    down.sh(
        "systemctl start pop-before-smtp.socket pop-before-smtp-policy.socket pop-before-smtp \
             pop-before-smtp-store@store1 pop-before-smtp-store@store2",
    );
    for relay in &relays {
        relay.await_clients(&[other]);
    }

    // One that is away is a problem of its own.
    first.run(&["systemctl", "stop", "ssh"]);
    first.sh("pkill sshd || true");
    wait_until("it is told of", SOON, || {
        let problems = down.status().problems;
        problems
            .iter()
            .any(|problem| problem.contains("store1: not connected"))
            .then_some(())
    });
    fetch_mail(second, client);
    wait_until("the other goes on", SOON, || {
        are_listed(down, &[client]).then_some(())
    });
}

#[test]
fn any_store_and_any_relay_on_bookworm() {
    any_store_and_any_relay(Release::Bookworm);
}

#[test]
fn any_store_and_any_relay_on_trixie() {
    any_store_and_any_relay(Release::Trixie);
}

/// The other carrier, for those who run it already.
fn an_uploaded_journal_is_a_source(release: Release) {
    let (store, relay) = store_and_relay(release, "");
    relay.write_file(
        "/etc/systemd/system/systemd-journal-remote.service.d/http.conf",
        "[Service]\nExecStart=\nExecStart=/usr/lib/systemd/systemd-journal-remote --listen-http=-3 \
         --output=/var/log/journal/remote/\n",
    );
    relay.sh("systemctl daemon-reload
         systemctl enable --now systemd-journal-remote.socket");
    store.write_file(
        "/etc/systemd/journal-upload.conf.d/relay.conf",
        &format!("[Upload]\nURL=http://{RELAY}:19532\n"),
    );
    store.write_file(
        "/etc/systemd/system/systemd-journal-upload.service.d/patience.conf",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=2\n",
    );
    store.sh("systemctl daemon-reload
         systemctl enable --now systemd-journal-upload");
    let [client, other] = NEAR;
    fetch_mail(&store, client);
    wait_until("its journal has come", SOON, || {
        let files = relay.sh("ls /var/log/journal/remote 2>/dev/null || true");
        files.contains(STORE).then_some(())
    });
    relay.write_file(
        "/etc/pop-before-smtp/config.d/60-store.toml",
        "sources.store1.directory = \"/var/log/journal/remote\"\n",
    );
    relay.systemctl("reload");
    // The files are another group's: it is said, and what helps.
    let doctor = wait_until("the doctor knows what is needed", SOON, || {
        let said = relay.try_run(&["pop-before-smtp", "doctor"]).stdout;
        said.contains("SupplementaryGroups=systemd-journal-remote")
            .then_some(said)
    });
    assert!(doctor.contains("store1"), "{doctor}");
    relay.write_file(
        "/etc/systemd/system/pop-before-smtp.service.d/group.conf",
        "[Service]\nSupplementaryGroups=systemd-journal-remote\n",
    );
    relay.run(&["systemctl", "daemon-reload"]);
    relay.systemctl("restart");
    wait_until("the login at the store counts", SOON, || {
        (relay.listed() == [client]).then_some(())
    });
    assert_eq!(send_mail(&relay, client), Answer::Accepted);
    assert_eq!(send_mail(&relay, other), Answer::Refused);

    // After an outage it goes on by itself.
    store.run(&["ip", "link", "set", "lan", "down"]);
    fetch_mail(&store, other);
    std::thread::sleep(Duration::from_secs(12));
    store.run(&["ip", "link", "set", "lan", "up"]);
    relay.await_clients_for(&[client, other], Duration::from_secs(60));
}

#[test]
fn an_uploaded_journal_is_a_source_on_bookworm() {
    an_uploaded_journal_is_a_source(Release::Bookworm);
}

#[test]
fn an_uploaded_journal_is_a_source_on_trixie() {
    an_uploaded_journal_is_a_source(Release::Trixie);
}

/// journalctl may read an entry while journald writes it: no test can make it do so, but one that never
/// becomes whole looks the same.
#[test]
fn an_entry_that_is_not_whole_is_asked_for_again_once() {
    let (store, relay) = store_and_relay(Release::any(), "grace = \"10m\"\n");
    add_store(&relay, "store1", &store, STORE);
    let [first, second] = NEAR;
    fetch_mail(&store, first);
    relay.await_clients(&[first]);
    let write = |number: u8| {
        store.sh(&format!(
            "printf 'SYSLOG_IDENTIFIER=dovecot\\nNOT_WHOLE={number}\\n' | logger --journald"
        ));
    };
    let asked = || {
        let said = relay.service_journal();
        let is_it = |line: &&String| line.contains("not whole: it is asked for it again");
        said.iter().filter(is_it).count()
    };
    write(1);
    wait_until("it is asked for it", SOON, || (asked() == 1).then_some(()));
    // Not any more, within a minute.
    write(2);
    fetch_mail(&store, second);
    relay.await_clients(&[first, second]);
    assert_eq!(asked(), 1);
    // They are filed as they are, once.
    let filed = relay.sh(
        "journalctl --directory=/var/lib/pop-before-smtp-store/store1 --output=export | grep ^NOT_WHOLE= | sort",
    );
    assert_eq!(filed, "NOT_WHOLE=1\nNOT_WHOLE=2");
    assert_eq!(relay.status().problems, [""; 0]);
}
