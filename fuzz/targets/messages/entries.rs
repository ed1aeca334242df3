//! Entries of a journal, made of bytes; and who may have written them, by a simple reading of the
//! definitions.

use jiff::{SignedDuration, Timestamp};
use pop_before_smtp::journal::{Container, Entry};
use pop_before_smtp::origin::{Id, Origin};
use pop_before_smtp::servers::{Definition, Sender};

/// The container that Dovecot runs in.
pub const CONTAINER: &str = "mail";

/// The unit of people's own processes, and one of nobody's.
const OF_PEOPLE: &str = "user@1000.service";
const OF_NOBODY: &str = "run-u7.service";
/// That of an engine of root's.
const OF_ENGINE: &str = "docker.service";

/// An entry, and whether its sender may write for a server.
#[derive(Debug)]
pub struct Made {
    pub entry: Entry,
    pub may_write: fn(&Definition, bool, &Entry) -> bool,
}

/// The number of a user: the same for a name wherever it is asked for, and a system user's.
#[must_use]
pub fn number_of(user: &str) -> u32 {
    match user {
        "root" => 0,
        name => 100 + name.bytes().map(u32::from).sum::<u32>() % 800,
    }
}

/// The entries of these bytes.
#[must_use]
pub fn entries(data: &[u8], definitions: &[Definition]) -> Vec<Made> {
    let mut time = Timestamp::UNIX_EPOCH;
    let identifiers: Vec<(&str, &Definition)> = definitions
        .iter()
        .flat_map(|d| d.identifiers.iter().map(move |i| (i.as_str(), d)))
        .collect();
    let lines = data.split(|byte| *byte == b'\n').take(64);
    lines
        .filter_map(|line| {
            let (&[identifier, sender, origin, when], message) = line.split_first_chunk()?;
            time += [0, 1, 400, -3600].map(SignedDuration::from_secs)[usize::from(when % 4)];
            let (identifier, of) = identifiers[usize::from(identifier) % identifiers.len()];
            let container = container(origin);
            let sender = sender_of(sender, of, !container.name.is_empty());
            let mut entry = Entry::new(time, identifier, &written_out(message), sender);
            entry.origin = origin_of(origin);
            entry.is_cut = when & 0x10 != 0;
            entry.lacks_end = when & 0x40 != 0;
            entry.is_by_syslog = when & 0x80 == 0;
            entry.container = container;
            entry.container.is_partial &= when & 0x20 != 0;
            Some(Made { entry, may_write })
        })
        .collect()
}

/// A message as it stands in a line of ours: 1 is a line feed, 2 a long text.
fn written_out(message: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(message.len());
    for byte in message {
        match byte {
            1 => text.push(b'\n'),
            2 => text.extend_from_slice(&[b'A'; 505]),
            byte => text.push(*byte),
        }
    }
    text
}

fn sender_of(choice: u8, of: &Definition, is_container: bool) -> Sender {
    let own_unit = of
        .units
        .first()
        .map(|unit| unit.replace('*', "1-192.0.2.1:110-192.0.2.77:5"));
    let own_user = match of.users.first().map(String::as_str) {
        None | Some("*") => 1000,
        Some(user) => user.parse().unwrap_or_else(|_| number_of(user)),
    };
    let (uid, unit) = match choice % 8 {
        0..=2 if is_container => (Some(0), Some(OF_ENGINE.to_owned())),
        0..=3 => (Some(own_user), own_unit),
        4 => (Some(1000), Some(OF_PEOPLE.to_owned())),
        5 => (Some(own_user), None),
        6 => (Some(own_user), Some(OF_NOBODY.to_owned())),
        _ => (None, own_unit),
    };
    let pid = u32::from(choice >> 3);
    Sender {
        uid,
        unit,
        pid: (pid != 31).then_some(100 + pid % 4),
    }
}

fn origin_of(choice: u8) -> Origin {
    let id = |text: &str| Id::of_name(text);
    let mut origin = Origin::OF_LINES;
    match choice % 4 {
        0 => {}
        1 => origin.boot = id("another"),
        2 => origin.host.machine = id("another"),
        _ => origin = Origin::UNKNOWN,
    }
    origin
}

fn container(choice: u8) -> Container {
    let name = match choice >> 2 & 3 {
        0 | 1 => return Container::default(),
        2 => CONTAINER,
        _ => "another",
    };
    Container {
        name: name.into(),
        tag: if choice & 0x10 == 0 {
            b"".to_vec()
        } else {
            b"mail".to_vec()
        },
        id: b"15f594f33c49".to_vec(),
        epoch: if choice & 0x20 == 0 {
            b"1".to_vec()
        } else {
            b"2".to_vec()
        },
        priority: if choice & 0x40 == 0 {
            b"6".to_vec()
        } else {
            b"3".to_vec()
        },
        is_partial: choice & 0x80 != 0,
    }
}

/// Whether the sender of an entry may write for a server.
fn may_write(server: &Definition, is_logout: bool, entry: &Entry) -> bool {
    let Sender { uid, unit, .. } = &entry.sender;
    let is_container = !entry.container.name.is_empty();
    let in_its_own = entry.container.name == CONTAINER.as_bytes() || entry.container.tag == b"mail";
    if is_container && in_its_own && *uid == Some(0) && unit.as_deref() == Some(OF_ENGINE) {
        return server.name == "dovecot";
    }
    let any_user = server.users.iter().any(|user| user == "*");
    let is_users =
        uid.is_some_and(|uid| any_user || server.users.iter().any(|user| number_of(user) == uid));
    match unit {
        Some(unit) => {
            let is_its = |glob: &String| match glob.split_once('*') {
                None => glob == unit,
                Some((begin, end)) => unit.starts_with(begin) && unit.ends_with(end),
            };
            is_users && server.units.iter().any(is_its)
        }
        // The process that served a session may be gone when its end is written.
        None if server.sessions_by_pid && is_logout => is_users,
        None if is_container && !in_its_own => false,
        None => is_users && !any_user && !server.unit_required && *uid < Some(1000),
    }
}
