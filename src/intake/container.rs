//! Lines of servers in containers, as the journald drivers of container engines write them.
//!
//! The engine's own fields (`CONTAINER_NAME` and its like) have no underscore: anybody can write them.
//! They are true where journald says that an engine wrote them. Must never believe a program in a
//! container anything but its text.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use crate::client::Client;
use crate::journal::Container;
use crate::servers::{Sender, is_container, matches_glob};

/// The units in which nothing but an engine of root's writes: dockerd, and podman's conmon.
const ENGINES: [&str; 3] = [
    "docker.service",
    "snap.docker.dockerd.service",
    "libpod-conmon-*.scope",
];

/// What the name of a container begins with that systemd runs from a quadlet, podman-systemd.unit(5).
const QUADLET: &str = "systemd-";

/// Who has written an entry that names a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// An engine of root's: dockerd, or conmon in a scope of its own.
    Engine,
    /// Root, in the unit of this container's quadlet: conmon, or the container itself. It speaks for
    /// this name, and for no tag.
    Quadlet,
    /// Somebody of whom nothing is known but what is of any other process.
    Other,
}

impl Writer {
    /// The writer of an entry for the container of this name.
    pub(super) fn of(sender: &Sender, name: &[u8]) -> Self {
        let unit = sender.unit.as_deref().filter(|_| sender.uid == Some(0));
        match unit {
            Some(unit) if is_an_engines(unit) => Writer::Engine,
            Some(unit) if is_the_quadlets(unit, name) => Writer::Quadlet,
            _ => Writer::Other,
        }
    }
}

/// Whether this is the unit of the quadlet whose container is called so: as its unit, or with what
/// systemd's are called by default.
fn is_the_quadlets(unit: &str, name: &[u8]) -> bool {
    let Some(of_unit) = unit.strip_suffix(".service") else {
        return false;
    };
    let name = name.strip_prefix(QUADLET.as_bytes()).unwrap_or(name);
    !name.is_empty() && name == of_unit.as_bytes()
}

/// Whether nothing but an engine of root's writes in a unit of this name.
#[must_use]
pub fn is_an_engines(unit: &str) -> bool {
    ENGINES.iter().any(|engine| matches_glob(engine, unit))
}

/// The units in which the lines of a container of this name may be written: those of engines, and of its
/// quadlet. A `*` stands for any text.
pub fn units_of_container(name: &str) -> impl Iterator<Item = String> {
    let quadlet = format!("{}.service", name.strip_prefix(QUADLET).unwrap_or(name));
    ENGINES.map(str::to_owned).into_iter().chain([quadlet])
}

/// The name of a container, if it has one that can be named in the configuration.
pub(super) fn printable_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    is_container(name).then(|| name.to_owned())
}

/// What tells one run of a container from the next: its id stays the same when it is only restarted.
pub(super) fn run_of(container: &Container, sender: &Sender) -> Vec<u8> {
    let Container { id, epoch, .. } = container;
    // Each run has a conmon of its own. Docker's daemon is one for all, and numbers them itself.
    let conmon = sender.pid.unwrap_or_default().to_be_bytes();
    let run: &[u8] = if epoch.is_empty() { &conmon } else { epoch };
    [id, b" ".as_slice(), run].concat()
}

/// The networks that engines make for containers, unless they are told otherwise: Docker's bridges, the
/// ingress of its swarms, slirp4netns, and podman's bridges. What has an address there is another
/// container, a proxy of webmail, or what forwards a port and hides the client.
const NETWORKS: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(10, 0, 0, 0), 24),
    (Ipv4Addr::new(10, 0, 2, 0), 24),
    (Ipv4Addr::new(10, 88, 0, 0), 16),
    (Ipv4Addr::new(10, 89, 0, 0), 16),
];

/// Whether all clients of a container may seem to come from this address: it is one of the networks of
/// containers, or the first or last of another private network, as bridges have it.
pub(super) fn may_be_a_bridges(client: Client) -> bool {
    let is_in = |(network, length): &(Ipv4Addr, u8)| {
        let network = Ipv4Net::new(*network, *length).map(IpNet::V4);
        network.is_ok_and(|network| network.contains(&client.address()))
    };
    NETWORKS.iter().any(is_in) || client.is_private() && client.looks_like_a_gateway()
}

/// A line without its end, which conmon leaves there, and without what a terminal adds to it: colours, and
/// a carriage return.
#[must_use]
pub fn line_of(message: &[u8]) -> Cow<'_, [u8]> {
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    let message = message.strip_suffix(b"\r").unwrap_or(message);
    if !message.contains(&ESCAPE) {
        return message.into();
    }
    let mut text = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((first, behind)) = rest.split_first() {
        match colour(rest) {
            Some(length) => rest = &rest[length..],
            None => {
                text.push(*first);
                rest = behind;
            }
        }
    }
    text.into()
}

const ESCAPE: u8 = 0x1b;

/// The length of the colour that a text begins with: `ESC [ 1 ; 32 m` (ECMA-48, SGR).
fn colour(text: &[u8]) -> Option<usize> {
    let parameters = text.strip_prefix(b"\x1b[")?;
    let is_parameter = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
    let length = parameters.iter().take_while(is_parameter).count();
    (parameters.get(length) == Some(&b'm')).then_some(length + 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by(uid: u32, unit: &str) -> Sender {
        Sender {
            uid: Some(uid),
            unit: (!unit.is_empty()).then(|| unit.to_owned()),
            pid: Some(1),
        }
    }

    #[test]
    fn an_engine_is_root_in_its_unit() {
        for (uid, unit, writer) in [
            (0, "docker.service", Writer::Engine),
            (0, "snap.docker.dockerd.service", Writer::Engine),
            (0, "libpod-conmon-15f594f33c49.scope", Writer::Engine),
            (0, "mail.service", Writer::Quadlet),
            (0, "other.service", Writer::Other),
            (0, "systemd-mail.service", Writer::Other),
            (0, "libpod-15f594f33c49.scope", Writer::Other),
            (0, "docker.service.evil.service", Writer::Other),
            (0, "", Writer::Other),
            (1000, "", Writer::Other),
            (1000, "docker.service", Writer::Other),
            (1000, "user@1000.service", Writer::Other),
        ] {
            let of = Writer::of(&by(uid, unit), b"systemd-mail");
            assert_eq!(of, writer, "{uid} {unit}");
        }
        assert_eq!(Writer::of(&by(0, "mail.service"), b"mail"), Writer::Quadlet);
        assert_eq!(Writer::of(&by(0, ".service"), b"systemd-"), Writer::Other);
        assert_eq!(Writer::of(&Sender::default(), b"mail"), Writer::Other);
    }

    #[test]
    fn what_has_an_address_of_a_container_or_of_a_bridge_is_no_client() {
        for (address, may_be) in [
            ("172.17.0.1", true),
            ("192.168.0.1", true),
            ("10.88.0.1", true),
            ("fd4d:6169:6c63:6f77::1", true),
            ("10.0.2.2", true),
            ("10.0.2.100", true),
            ("172.17.0.2", true),
            ("10.0.0.2", true),
            ("10.89.3.7", true),
            ("10.0.1.20", false),
            ("192.168.1.20", false),
            ("172.32.0.2", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(
                may_be_a_bridges(address.parse().unwrap()),
                may_be,
                "{address}"
            );
        }
    }

    #[test]
    fn what_a_terminal_adds_is_taken_off_and_nothing_else() {
        for (line, text) in [
            ("plain", "plain"),
            ("plain\r", "plain"),
            ("plain\n", "plain"),
            ("plain\r\n", "plain"),
            ("plain\n\n", "plain\n"),
            ("\x1b[32mimap-login\x1b[0m: x\x1b[m\r", "imap-login: x"),
            ("\x1b[1;32mx", "x"),
            ("\x1b]0;x\x07", "\x1b]0;x\x07"),
            ("\x1b[2Jx", "\x1b[2Jx"),
            ("\x1b[3", "\x1b[3"),
            ("a\rb", "a\rb"),
        ] {
            assert_eq!(line_of(line.as_bytes()), text.as_bytes(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn it_only_leaves_out(line in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = line_of(&line);
            let mut rest = line.iter();
            prop_assert!(text.iter().all(|byte| rest.any(|other| other == byte)));
        }
    }
}
