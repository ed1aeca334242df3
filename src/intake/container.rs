//! Lines of servers in containers, as the journald drivers of container engines write them.
//!
//! The engine's own fields (`CONTAINER_NAME` and its like) have no underscore: anybody can write them.
//! They are true where journald says that an engine wrote them. Must never believe a program in a
//! container anything but its text.

use std::borrow::Cow;

use crate::servers::{Sender, matches_glob};

/// The units in which nothing but an engine of root's writes: dockerd, and podman's conmon.
const ENGINES: [&str; 3] = [
    "docker.service",
    "snap.docker.dockerd.service",
    "libpod-conmon-*.scope",
];

/// What the name of a container begins with that systemd runs from a quadlet, podman-systemd.unit(5).
const QUADLET: &str = "systemd-";

/// Whether a container engine of root's has written an entry for the container of this name: dockerd,
/// conmon, or conmon in the unit of the container's quadlet.
pub(super) fn is_by_engine(sender: &Sender, name: &[u8]) -> bool {
    if sender.uid != Some(0) {
        return false;
    }
    // As for a server that writes as root: who is gone when journald looks has no unit.
    let Some(unit) = sender.unit.as_deref() else {
        return true;
    };
    let quadlet = std::str::from_utf8(name)
        .ok()
        .and_then(|name| name.strip_prefix(QUADLET));
    let is_of_quadlet = unit
        .strip_suffix(".service")
        .is_some_and(|unit| Some(unit) == quadlet);
    is_of_quadlet || ENGINES.iter().any(|engine| matches_glob(engine, unit))
}

/// A line without its end, which conmon leaves there, and without what a terminal adds to it: colours, and
/// a carriage return.
pub(super) fn line_of(message: &[u8]) -> Cow<'_, [u8]> {
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
        for (uid, unit, is_engine) in [
            (0, "docker.service", true),
            (0, "snap.docker.dockerd.service", true),
            (0, "libpod-conmon-15f594f33c49.scope", true),
            (0, "mail.service", true),
            (0, "other.service", false),
            (0, "systemd-mail.service", false),
            (0, "libpod-15f594f33c49.scope", false),
            (0, "docker.service.evil.service", false),
            (0, "", true),
            (1000, "", false),
            (1000, "docker.service", false),
            (1000, "user@1000.service", false),
        ] {
            assert_eq!(
                is_by_engine(&by(uid, unit), b"systemd-mail"),
                is_engine,
                "{uid} {unit}"
            );
        }
        assert!(!is_by_engine(&by(0, "mail.service"), b"mail"));
        assert!(!is_by_engine(&Sender::default(), b"mail"));
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
