//! A mail server in a container: podman's conmon writes its lines to the host's journal.

use crate::host::{FAR, Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::mail::{Answer, Carriage, MailSession, Protocol, send_mail, send_mail_to};
use crate::service::{SETTINGS as SETTINGS_FILE, SOON};

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

/// A host whose podman can start containers in it.
fn with_podman(settings: &str) -> Host {
    let host = Host::with_service_and(Release::Trixie, Servers::Podman, settings);
    // In a container there is no key ring to be had.
    host.write_file(
        "/etc/containers/containers.conf",
        "[containers]\nkeyring = false\n",
    );
    host
}

/// Podman as trixie has it runs without an image in a host that is a container itself.
#[test]
fn a_server_in_a_container_of_podmans_on_trixie() {
    let host = with_podman(SETTINGS);
    host.sh("mkdir -p /var/tmp/box/bin && cp /bin/busybox /var/tmp/box/bin/");
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

/// The pod's bridge at the host, and the containers behind it.
const BRIDGE: &str = "10.89.0.1";
const POD: &str = "10.89.0.2";

/// A network of their own for containers, as an engine makes it: the host forwards, and changes no
/// address. And one port of it that a proxy serves, as docker-proxy does.
const POD_NETWORK: &str = "
set -eu
ip netns add pod
ip link add pod type veth peer name eth0 netns pod
ip address add 10.89.0.1/24 dev pod && ip link set pod up
ip -n pod address add 10.89.0.2/24 dev eth0
ip -n pod link set eth0 up && ip -n pod link set lo up
ip -n pod route add default via 10.89.0.1
sysctl --quiet --write net.ipv4.ip_forward=1
ip -n clients route add 10.89.0.0/24 via 192.0.2.1
systemd-run --quiet --unit=proxy socat TCP-LISTEN:1143,fork,reuseaddr TCP:10.89.0.2:143
# The containers' files are the host's, but for what is mounted over them.
mkdir /var/tmp/box && mount --bind / /var/tmp/box
mkdir /var/tmp/dovecot /var/tmp/smtp
sed 's,^log_path.*,log_path = /dev/stderr,' /etc/dovecot/dovecot.conf >/var/tmp/dovecot/dovecot.conf
cp /etc/dovecot/users /var/tmp/dovecot/
systemctl stop dovecot
cp -a /etc/postfix /var/tmp/smtp/etc
cp -a /var/lib/postfix /var/tmp/smtp/lib
cp -a /var/spool/postfix /var/tmp/smtp/spool
rm -rf /var/tmp/smtp/spool/pop-before-smtp /var/tmp/smtp/spool/pid/*
";

/// A quadlet (podman-systemd.unit(5)); the last four lines are what a container in a container needs.
fn quadlet(host: &Host, name: &str, command: &str, mounts: &str) {
    host.write_file(
        &format!("/etc/containers/systemd/{name}.container"),
        &format!(
            "[Container]\nExec={command}\nLogDriver=journald\n{mounts}\nTmpfs=/run\n\
             Rootfs=/var/tmp/box\nNetwork=ns:/run/netns/pod\n\
             GlobalArgs=--storage-driver=vfs --cgroup-manager=cgroupfs\nPodmanArgs=--cgroups=disabled --stop-timeout=1\n"
        ),
    );
    host.run(&["systemctl", "daemon-reload"]);
    host.run(&["systemctl", "start", name]);
}

/// Logs in at this address and port, and out again.
fn log_in(host: &Host, client: &str, server: &str) {
    let url = format!("imap://{server}/");
    let options =
        "--silent --show-error --retry 20 --retry-connrefused --retry-delay 1 --user tom:secret";
    let options: Vec<&str> = options.split(' ').collect();
    let said = host.client(&[&["curl", "--interface", client], &options[..], &[&*url]].concat());
    assert!(said.succeeded(), "{}", said.transcript());
}

fn postfix_asks(host: &Host, whom: &str) {
    host.sh(&format!(
        "postconf -c /var/tmp/smtp/etc -e maillog_file=/dev/stdout smtpd_peername_lookup=no \
         'smtpd_relay_restrictions = permit_mynetworks, {whom}, reject_unauth_destination' &&
         systemctl restart smtp"
    ));
    wait_until("the Postfix in the container answers", SOON, || {
        let connected = host.client(&["bash", "-c", &format!("exec 3<>/dev/tcp/{POD}/25")]);
        connected.succeeded().then_some(())
    });
}

/// Dovecot in one container and Postfix in another one, as quadlets, with a network of their own.
#[test]
fn dovecot_and_postfix_in_containers_of_podmans_on_trixie() {
    let settings = format!("policy.relays = [\"{POD}\"]\n");
    let host = with_podman(&settings);
    let [client, other] = [NEAR[0], FAR];
    host.sh(POD_NETWORK);
    let mount = "Volume=/var/tmp/dovecot:/etc/dovecot:ro";
    quadlet(&host, "mail", "/usr/sbin/dovecot -F", mount);

    // Nobody has said that there is a mail server in this container: doctor finds it, and what it prints
    // has its logins read.
    log_in(&host, client, POD);
    let found = host.try_run(&["pop-before-smtp", "doctor"]).stdout;
    assert!(found.contains("the container systemd-mail"), "{found}");
    let lines: Vec<&str> = (found.lines())
        .map(|line| line.trim_start().trim_start_matches("#   "))
        .skip_while(|line| *line != "[senders.dovecot]")
        .take(2)
        .collect();
    assert_eq!(
        lines,
        ["[senders.dovecot]", "containers = [\"systemd-mail\"]"],
        "{found}"
    );
    assert_eq!(send_mail(&host, client), Answer::Refused);
    host.write_file(SETTINGS_FILE, &format!("{settings}{}\n", lines.join("\n")));
    host.reload();
    log_in(&host, client, POD);
    host.await_clients(&[client]);
    // The host's Postfix, and one in a container: with the map, which the host makes ...
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    let mounts = "Volume=/var/tmp/smtp/etc:/etc/postfix\nVolume=/var/tmp/smtp/spool:/var/spool/postfix\n\
                  Volume=/var/tmp/smtp/lib:/var/lib/postfix\n\
                  Volume=/var/lib/pop-before-smtp:/var/lib/pop-before-smtp:ro\n\
                  Volume=/var/spool/postfix/pop-before-smtp:/var/spool/postfix/pop-before-smtp";
    quadlet(&host, "smtp", "/usr/sbin/postfix start-fg", mounts);
    let table = format!("{}:/var/lib/pop-before-smtp/clients", host.map_type());
    let relays = |client| send_mail_to(&host, client, POD).0;
    let is_asked = |whom: &str| {
        postfix_asks(&host, whom);
        assert_eq!(relays(client), Answer::Accepted, "{whom}");
        assert_eq!(relays(other), Answer::Refused, "{whom}");
    };
    is_asked(&format!("check_client_access {table}"));
    // ... and with the policy socket, whose directory is mounted, also when the socket is made anew.
    let socket =
        "check_policy_service { unix:pop-before-smtp/policy, default_action=DUNNO, timeout=5s }";
    is_asked(socket);
    host.sh(
        "systemctl stop pop-before-smtp pop-before-smtp-policy.socket &&
             systemctl start pop-before-smtp-policy.socket pop-before-smtp",
    );
    assert_eq!(relays(client), Answer::Accepted);
    assert_eq!(relays(other), Answer::Refused);
    // Over TCP, at the bridge's address.
    host.write_file(
        "/etc/systemd/system/pop-before-smtp-policy-inet.socket.d/address.conf",
        &format!("[Socket]\nListenStream=\nListenStream={BRIDGE}:10040\n"),
    );
    host.sh(
        "systemctl daemon-reload && systemctl enable pop-before-smtp-policy-inet.socket 2>&1 &&
             systemctl restart pop-before-smtp",
    );
    is_asked(&format!(
        "check_policy_service {{ inet:{BRIDGE}:10040, default_action=DUNNO, timeout=2s }}"
    ));

    // Its sessions don't outlive a container, however it ends: nobody has logged out.
    let open = || host.status().sessions;
    for end in [
        "systemctl restart mail",
        "podman kill --signal=KILL systemd-mail; sleep 1; systemctl restart mail",
    ] {
        let right = ("tom", "secret");
        let session = MailSession::login_at(
            &host,
            other,
            Protocol::Imap,
            Carriage::Plain,
            (POD, 143),
            right,
        );
        let session = session.unwrap();
        wait_until("a session is open", SOON, || (open() == 1).then_some(()));
        host.sh(&end.replace(
            "podman",
            "podman --storage-driver=vfs --cgroup-manager=cgroupfs",
        ));
        wait_until("no session is open", SOON, || (open() == 0).then_some(()));
        drop(session);
    }

    // Through a proxy every client comes from the bridge.
    let through = "192.0.2.1:1143";
    log_in(&host, NEAR[0], through);
    let refused = format!("refused a login of {BRIDGE} that looks like dovecot's");
    wait_until("the bridge is refused", SOON, || {
        let said = host.service_journal();
        said.iter()
            .any(|line| line.starts_with(&refused))
            .then_some(())
    });
    assert!(!host.listed().contains(&BRIDGE.to_owned()));
    let found = host.try_run(&["pop-before-smtp", "doctor"]).stdout;
    assert!(found.contains("senders.dovecot.bridges"), "{found}");
    let asked_for = format!("{}\nbridges = [\"{BRIDGE}\"]\n", lines.join("\n"));
    host.write_file(SETTINGS_FILE, &format!("{settings}{asked_for}"));
    host.reload();
    log_in(&host, NEAR[0], through);
    host.await_clients(&[BRIDGE, client, other]);
}
