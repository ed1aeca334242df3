//! To another version of the package and back, with clients that have logged out and one whose session is
//! open for longer than its grace. Nobody may be lost, on either side.
//!
//! The short form begins with the store that version 2.0.0 left here: `tests/stores/2.0.0.tar.gz`. The long
//! one installs that version's package (`POP_BEFORE_SMTP_FORMER_DEB`), and ours over it, again and again.

use std::path::Path;
use std::time::Duration;

use crate::host::{Host, NEAR};
use crate::image::Release;
use crate::mail::{Carriage, MailSession, Protocol, fetch_mail};
use crate::service::STATE;

/// The package of a version that was released before.
const FORMER: &str = "POP_BEFORE_SMTP_FORMER_DEB";
/// The store that it leaves is written here, if that is set.
const WRITE: &str = "POP_BEFORE_SMTP_CAMPAIGN_WRITE";
const FORMER_STORE: &str = "tests/stores/2.0.0.tar.gz";
/// How often there and back.
const COURSES: usize = 5;

/// Puts the store of a former version in the place of ours.
fn put_former_store(host: &Host) {
    host.systemctl("stop");
    host.copy_in(Path::new(FORMER_STORE), "/opt/store.tar.gz");
    host.sh(&format!(
        "cd {STATE} && rm -rf store && tar xzf /opt/store.tar.gz --owner pop-before-smtp \
         --group pop-before-smtp"
    ));
    host.systemctl("start");
}

fn keep_former_store(host: &Host) {
    host.sh(&format!(
        "tar czf /opt/store.tar.gz -C {STATE} store.format-2 --transform s/.format-2//"
    ));
    std::fs::copy(host.path("/opt/store.tar.gz"), FORMER_STORE).unwrap();
}

#[test]
fn upgrade() {
    let former = std::env::var_os(FORMER);
    // An installation takes a while.
    let grace = Duration::from_secs(if former.is_some() { 40 } else { 12 });
    let settings = format!("grace = \"{}s\"\n", grace.as_secs());
    let host = Host::with_service(Release::any(), &settings);
    if let Some(former) = &former {
        host.copy_in(Path::new(former), "/opt/former.deb");
    }
    let user = ("tom", "secret");
    let stays = MailSession::login(&host, NEAR[0], Protocol::Imap, Carriage::Plain, user).unwrap();
    host.await_clients(&[NEAR[0]]);
    std::thread::sleep(grace);
    let courses = if former.is_some() { COURSES } else { 1 };
    for _ in 0..courses {
        host.await_clients_for(&[NEAR[0]], 2 * grace);
        if former.is_some() {
            host.install("/opt/former.deb");
            host.await_clients(&[NEAR[0]]);
            assert!(host.map_permits(NEAR[0]));
        }
        fetch_mail(&host, NEAR[1]);
        host.await_clients(&NEAR);
        if former.is_some() {
            host.install("/opt/pop-before-smtp.deb");
        } else {
            put_former_store(&host);
        }
        host.await_clients(&NEAR);
        assert!(NEAR.iter().all(|client| host.map_permits(client)));
        assert!(host.status().problems.is_empty());
        host.sh(&format!("test -e {STATE}/store.format-2/db"));
    }
    if former.is_some() && std::env::var_os(WRITE).is_some() {
        keep_former_store(&host);
    }
    stays.logout();
    host.await_clients_for(&[], 2 * grace);
}
