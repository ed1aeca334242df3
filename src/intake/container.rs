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

/// Who has written an entry that names a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// An engine of root's: dockerd, or conmon in a scope of its own.
    Engine,
    /// Root, in the unit of this container's quadlet: conmon, or the container itself. It speaks for
    /// this name, and for no tag.
    Quadlet,
    /// Root, and nobody knows in which unit: the engine, if it was gone when journald looked; or whoever
    /// else is root.
    Root,
    /// Somebody else.
    Nobody,
}

impl Writer {
    /// The writer of an entry for the container of this name.
    pub(super) fn of(sender: &Sender, name: &[u8]) -> Self {
        if sender.uid != Some(0) {
            return Writer::Nobody;
        }
        let Some(unit) = sender.unit.as_deref() else {
            return Writer::Root;
        };
        let quadlet = std::str::from_utf8(name)
            .ok()
            .and_then(|name| name.strip_prefix(QUADLET));
        let unit_of = unit.strip_suffix(".service");
        if ENGINES.iter().any(|engine| matches_glob(engine, unit)) {
            Writer::Engine
        } else if unit_of.is_some() && unit_of == quadlet {
            Writer::Quadlet
        } else {
            Writer::Nobody
        }
    }
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
        for (uid, unit, writer) in [
            (0, "docker.service", Writer::Engine),
            (0, "snap.docker.dockerd.service", Writer::Engine),
            (0, "libpod-conmon-15f594f33c49.scope", Writer::Engine),
            (0, "mail.service", Writer::Quadlet),
            (0, "other.service", Writer::Nobody),
            (0, "systemd-mail.service", Writer::Nobody),
            (0, "libpod-15f594f33c49.scope", Writer::Nobody),
            (0, "docker.service.evil.service", Writer::Nobody),
            (0, "", Writer::Root),
            (1000, "", Writer::Nobody),
            (1000, "docker.service", Writer::Nobody),
            (1000, "user@1000.service", Writer::Nobody),
        ] {
            let of = Writer::of(&by(uid, unit), b"systemd-mail");
            assert_eq!(of, writer, "{uid} {unit}");
        }
        assert_eq!(Writer::of(&by(0, "mail.service"), b"mail"), Writer::Nobody);
        assert_eq!(Writer::of(&Sender::default(), b"mail"), Writer::Nobody);
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
