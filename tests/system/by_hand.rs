//! Clients that an administrator lists and takes off: Postfix follows, logins of before do not bring
//! anybody back, and everything is told.

use serde_json::Value;

use crate::host::{Finished, Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::{Answer, Carriage, MailSession, Protocol, fetch_mail, send_mail};
use crate::service::{SOON, STATE};

const TOM: (&str, &str) = ("tom", "secret");

fn ask(host: &Host, words: &[&str]) -> Finished {
    host.try_run(&[&["pop-before-smtp"], words].concat())
}

/// The verdict, which the exit status says as well.
#[track_caller]
fn check(host: &Host, client: &str, expected: bool) -> Value {
    let asked = ask(host, &["check", client, "--json"]);
    let verdict: Value = serde_json::from_str(&asked.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", asked.transcript()));
    assert_eq!(verdict["may-relay"], expected, "{verdict:#}");
    assert_eq!(asked.code, Some(i32::from(!expected)), "{verdict:#}");
    assert_eq!(verdict["journal-trouble"], Value::Null, "{verdict:#}");
    assert_eq!(
        verdict["map-value"].is_string(),
        host.map_permits(client),
        "{verdict:#}"
    );
    verdict
}

/// What has happened to a client, in words and in order.
fn history(host: &Host, client: &str) -> Vec<String> {
    let told = ask(host, &["history", client, "--json"]);
    let items = told.stdout.lines().map(|line| {
        let item: Value = serde_json::from_str(line).unwrap();
        item["event"].as_str().unwrap().to_owned()
    });
    items.collect()
}

#[test]
fn an_administrator_allows_and_revokes() {
    let host = Host::with_service(Release::any(), "grace = \"10min\"\n");
    let [client, other] = NEAR;
    let verdict = check(&host, client, false);
    assert_eq!(verdict["reason"], "it is not listed");
    assert_eq!(ask(&host, &["history", client]).code, Some(1));

    // The command returns when the map has it: nothing is waited for here.
    let allowed = ask(
        &host,
        &["allow", client, "--for", "1h", "--note", "ticket 7"],
    );
    assert_eq!(allowed.code, Some(0), "{}", allowed.transcript());
    assert!(host.map_permits(client));
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    let verdict = check(&host, client, true);
    assert_eq!(verdict["grant"]["note"], "ticket 7");
    assert_eq!(host.list()[0].server.as_deref(), Some("manual"));

    // It survives a restart, and the loss of the store; a logout takes nothing from it.
    fetch_mail(&host, client);
    host.systemctl("stop");
    host.sh(&format!("rm -rf {STATE}/store"));
    host.systemctl("start");
    check(&host, client, true);

    // Whom nobody may list, and what is no address.
    for (words, code) in [
        (&["allow", "127.0.0.1"][..], 1),
        (&["allow", client, "--for", "8d"], 1),
        (&["allow", "192.0.2"], 2),
        (&["revoke"], 2),
    ] {
        let refused = ask(&host, words);
        assert_eq!(refused.code, Some(code), "{}", refused.transcript());
    }

    let revoked = ask(&host, &["revoke", client]);
    assert_eq!(revoked.code, Some(0), "{}", revoked.transcript());
    assert!(!host.map_permits(client));
    assert_eq!(send_mail(&host, client), Answer::Refused);
    let verdict = check(&host, client, false);
    let reason = verdict["reason"].as_str().unwrap();
    assert!(reason.contains("revoked"), "{reason}");
    let told = history(&host, client);
    for event in ["allowed", "login", "logout", "removed"] {
        assert!(told.iter().any(|t| t == event), "no {event}: {told:?}");
    }
    check(&host, other, false);

    // Only root changes something.
    for words in ["allow 192.0.2.77", "revoke --all", "check 192.0.2.77"] {
        let command = format!("setpriv --reuid nobody --clear-groups pop-before-smtp {words}");
        let refused = host.try_run(&["sh", "-c", &command]);
        assert_eq!(refused.code, Some(77), "{}", refused.transcript());
    }
}

#[test]
fn what_is_revoked_does_not_come_back() {
    let host = Host::with_service(Release::any(), "grace = \"10min\"\n");
    let [client, other] = NEAR;
    let open = MailSession::login(&host, client, Protocol::Imap, Carriage::Plain, TOM).unwrap();
    fetch_mail(&host, other);
    host.await_clients(&NEAR);

    assert_eq!(ask(&host, &["revoke", client]).code, Some(0));
    assert_eq!(send_mail(&host, client), Answer::Refused);
    assert_eq!(host.listed(), [other]);
    // Its session was open. When a later login has been read, so has that session's end.
    open.logout();
    fetch_mail(&host, "192.0.2.50");
    wait_until("the later login is listed", SOON, || {
        host.listed()
            .contains(&"192.0.2.50".to_owned())
            .then_some(())
    });
    let still = ["192.0.2.50", other];
    assert_eq!(host.listed(), still);

    host.systemctl("restart");
    assert_eq!(host.listed(), still);
    // The journal holds the login, and is read again as a whole.
    host.systemctl("stop");
    host.sh(&format!("rm -rf {STATE}/store"));
    host.systemctl("start");
    assert_eq!(host.listed(), still);
    check(&host, client, false);

    // The next login counts, and --user takes whoever is left.
    fetch_mail(&host, client);
    host.await_clients(&["192.0.2.10", "192.0.2.50", other]);
    check(&host, client, true);
    assert_eq!(ask(&host, &["revoke", "--user", "tom"]).code, Some(0));
    assert_eq!(host.map_clients(), [""; 0]);
    assert_eq!(send_mail(&host, other), Answer::Refused);
}
