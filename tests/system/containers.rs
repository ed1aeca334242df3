//! A mail server in a container: podman's conmon writes its lines to the host's journal.

use crate::host::{Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::mail::{Answer, send_mail};
use crate::service::SOON;

const SETTINGS: &str = "[senders.dovecot]\ncontainers = [\"systemd-mail\"]\n";

/// Has a container of this name write a line, in a unit as a quadlet's is.
fn write(host: &Host, name: &str, unit: &str, line: &str) {
    host.sh(&format!(
        "systemd-run --quiet --wait --pipe --collect --unit={unit} podman --storage-driver=vfs \
         --cgroup-manager=cgroupfs run --rm --replace --network=none --cgroups=disabled \
         --log-driver=journald --name {name} --rootfs /var/tmp/box /bin/busybox echo '{line}'"
    ));
}

fn login(client: &str) -> String {
    format!(
        "imap-login: Info: Login: user=<tom>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=7, \
         session=<{client}>"
    )
}

/// Podman as trixie has it runs without an image in a host that is a container itself.
#[test]
fn a_server_in_a_container_of_podmans_on_trixie() {
    let host = Host::with_service_and(Release::Trixie, Servers::Podman, SETTINGS);
    host.sh("mkdir -p /var/tmp/box/bin && cp /bin/busybox /var/tmp/box/bin/");
    // In a container there is no key ring to be had.
    host.write_file(
        "/etc/containers/containers.conf",
        "[containers]\nkeyring = false\n",
    );
    let [client, other] = NEAR;
    // Another container, and the right name in another unit.
    write(&host, "web", "web", &login("203.0.113.1"));
    write(&host, "systemd-mail", "web", &login("203.0.113.2"));
    // A user who says that he is one.
    host.sh(&format!(
        "runuser -u tom -- bash -c \"printf 'CONTAINER_NAME=systemd-mail\\nSYSLOG_IDENTIFIER=x\\n\
         MESSAGE=%s\\n' '{}' | logger --journald\"",
        login("203.0.113.3")
    ));
    assert_eq!(send_mail(&host, client), Answer::Refused);
    write(&host, "systemd-mail", "mail", &login(client));
    let header = "2026-11-27T10:00:00.123456+00:00 mail dovecot: ";
    let line = login(other).replace("Info: ", "");
    write(&host, "systemd-mail", "mail", &format!("{header}{line}"));
    host.await_clients(&[client, other]);
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    wait_until("who is no engine is reported", SOON, || {
        let said = host.service_journal();
        let is_told = |client: &str| {
            let begin = format!("refused a login of {client} that looks like dovecot's");
            said.iter().any(|line| line.starts_with(&begin))
        };
        (is_told("203.0.113.2") && is_told("203.0.113.3")).then_some(())
    });
    let listed = host.listed();
    assert!(
        listed
            .iter()
            .all(|client| !client.starts_with("203.0.113.")),
        "{listed:?}"
    );
}
