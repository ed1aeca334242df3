//! What the service writes to the journal: explained by the catalogue, as much as is wished for, summed
//! up when it would be a flood, and never dropped.

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::fetch_mail;
use crate::service::SOON;

const ADDED: &str = "MESSAGE_ID=acd2aeed701947cf90cb29ad3a3caf8f";
const PROLONGED: &str = "MESSAGE_ID=8957056fa8274b0cadc9c26c4583e880";
const MANY: &str = "MESSAGE_ID=089913c46d31488ca8ebb8d9197d1914";
/// journald's notice that it has dropped messages of a unit.
const DROPPED: &str = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e";

/// Logins of as many clients, one each.
fn logins(clients: usize) -> Vec<String> {
    let login = |n: usize| {
        let (high, low) = (n / 250, n % 250 + 1);
        format!(
            "imap-login: Login: user=<user{n}>, method=PLAIN, rip=198.18.{high}.{low}, \
             lip=192.0.2.1, mpid={n}, TLS, session=<s{n:05}>"
        )
    };
    (0..clients).map(login).collect()
}

/// journald drops the messages of every unit that writes more than some dozens, unless the unit says
/// otherwise. How many exactly depends on the space that the disk has.
fn make_journald_impatient(host: &Host) {
    let limit = "[Journal]\nRateLimitIntervalSec=10min\nRateLimitBurst=10\n";
    host.write_file("/etc/systemd/journald.conf.d/impatient.conf", limit);
    let none = "[Service]\nLogRateLimitIntervalSec=1us\n";
    host.write_file("/etc/systemd/system/dovecot.service.d/log.conf", none);
    host.sh("systemctl daemon-reload
         systemctl restart systemd-journald.service dovecot.service");
}

fn floods_are_summed_up(host: &Host) {
    host.as_dovecot(&logins(1200));
    wait_until("1200 clients are in the map", SOON * 3, || {
        (host.map_clients().len() >= 1200).then_some(())
    });
    assert!(host.systemctl("restart").succeeded());
    let many = host.journal(&[MANY]);
    assert_eq!(
        many,
        ["added 200 more clients within a minute; 1200 clients listed"]
    );
    // None of the first thousand was dropped.
    assert_eq!(host.journal(&[ADDED]).len(), 1000);
}

fn listed_clients_are_told_of_at_debug_only(host: &Host) {
    host.as_dovecot(&logins(300));
    fetch_mail(host, NEAR[0]);
    // Once a client that came after them is listed, they have all been read.
    wait_until("the logins have been read", SOON, || {
        host.listed().contains(&NEAR[0].to_owned()).then_some(())
    });
    assert!(host.systemctl("restart").succeeded());
    let said = host.journal(&[PROLONGED]);
    assert_eq!(
        said,
        ["300 logins of clients that were listed already; 1201 clients listed"]
    );
    host.write_file(
        "/etc/pop-before-smtp/config.d/log.toml",
        "log-level = 'debug'\n",
    );
    assert!(host.systemctl("reload").succeeded());
    wait_until("the level has changed", SOON, || {
        host.run(&["pop-before-smtp", "status", "--json"])
            .contains("debug")
            .then_some(())
    });
    host.as_dovecot(&logins(300));
    wait_until("each login is told of", SOON * 2, || {
        (host.journal(&[PROLONGED]).len() > 300).then_some(())
    });
    host.run(&["rm", "/etc/pop-before-smtp/config.d/log.toml"]);
    assert!(host.systemctl("reload").succeeded());
}

fn the_catalogue_explains(host: &Host) {
    let explained = host.run(&[
        "journalctl",
        "-x",
        "--no-pager",
        "--unit=pop-before-smtp.service",
    ]);
    for text in [
        "░░ Subject: The service has started",
        "░░ Defined-By: pop-before-smtp",
        "░░ Subject: 198.18.0.1 may relay",
        "░░ The user user0 has logged in to dovecot from",
    ] {
        assert!(
            explained.contains(text),
            "{text}: {}",
            explained.chars().take(2000).collect::<String>()
        );
    }
}

#[test]
fn lines_are_explained_and_bounded_and_none_is_lost() {
    let host = Host::boot(Release::any());
    make_journald_impatient(&host);
    let said = host.install_package();
    host.obey(&said);
    floods_are_summed_up(&host);
    the_catalogue_explains(&host);
    listed_clients_are_told_of_at_debug_only(&host);
    let dropped = host.journal(&[DROPPED]);
    let ours = dropped
        .iter()
        .filter(|line| line.contains("pop-before-smtp"));
    assert_eq!(ours.count(), 0, "{dropped:#?}");
}
