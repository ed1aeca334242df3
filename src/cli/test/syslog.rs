//! Lines of log files, as syslog daemons write them: time, host, identifier, pid, message.
//!
//! RFC 3164, 4.1 (`Nov 24 10:34:11 host id[1]: text`), the same with the time of RFC 3339, as
//! rsyslog writes by default, and RFC 5424, 6. A line that is none of these is a bare message.

// By hand: `syslog_loose` reads text, not bytes, and takes a server's own words for a host.

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::servers::Header;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was written.
    pub time: Timestamp,
    /// The name that the writer gave itself.
    pub identifier: String,
    /// Its process.
    pub pid: Option<u32>,
    /// The message itself.
    pub message: &'a [u8],
}

/// Reads a line; times without a year are the latest that are not after `now`.
#[must_use]
pub fn parse<'a>(line: &'a [u8], now: &ZonedDateTime) -> Option<Entry<'a>> {
    let (priority, rest) = match priority(line) {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    if priority && let Some(rest) = rest.strip_prefix(b"1 ") {
        return structured(rest, now);
    }
    let (time, rest) = time(rest, now)?;
    let header = Header::behind_time(rest)?;
    Some(Entry {
        time,
        identifier: header.identifier.to_owned(),
        pid: header.pid,
        message: header.message,
    })
}

/// RFC 5424, behind its version: `TIME HOST APP-NAME PROCID MSGID STRUCTURED-DATA MSG`.
fn structured<'a>(line: &'a [u8], now: &ZonedDateTime) -> Option<Entry<'a>> {
    let (time, rest) = word(line)?;
    let time = match time {
        b"-" => now.timestamp(),
        time => std::str::from_utf8(time).ok()?.parse().ok()?,
    };
    let (_host, rest) = word(rest)?;
    let (identifier, rest) = word(rest)?;
    let (pid, rest) = word(rest)?;
    let (_id, rest) = word(rest)?;
    let message = match rest.strip_prefix(b"-") {
        Some(message) => message,
        None => &rest[structured_data(rest)?..],
    };
    let message = message.strip_prefix(b" ").unwrap_or(message);
    Some(Entry {
        time,
        identifier: name(identifier)?,
        pid: std::str::from_utf8(pid)
            .ok()
            .and_then(|pid| pid.parse().ok()),
        message: message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message),
    })
}

/// How long the elements `[id name="value"]…` are; in a value, `\` takes away a meaning.
fn structured_data(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while rest.get(at) == Some(&b'[') {
        let mut quoted = false;
        loop {
            at += 1;
            match rest.get(at)? {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b']' if !quoted => break,
                _ => {}
            }
        }
        at += 1;
    }
    (at > 0).then_some(at)
}

/// What follows `<NUMBER>`.
fn priority(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"<")?;
    let close = rest.iter().take(4).position(|b| *b == b'>')?;
    (close > 0 && rest[..close].iter().all(u8::is_ascii_digit)).then(|| &rest[close + 1..])
}

/// The time at the beginning, and what follows it and a space.
fn time<'a>(line: &'a [u8], now: &ZonedDateTime) -> Option<(Timestamp, &'a [u8])> {
    /// `Nov 24 10:34:11`
    const TRADITIONAL: usize = 15;
    if let Some(text) = line.get(..TRADITIONAL)
        && line.get(TRADITIONAL) == Some(&b' ')
        && let Ok(text) = std::str::from_utf8(text)
        && let Some(time) = traditional(text, now)
    {
        return Some((time, &line[TRADITIONAL + 1..]));
    }
    let (text, rest) = word(line)?;
    let text = std::str::from_utf8(text).ok()?;
    if !text.contains('T') {
        return None;
    }
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let local = text.parse::<DateTime>().ok()?;
            local
                .to_zoned_datetime(now.time_zone().clone())
                .ok()?
                .timestamp()
        }
    };
    Some((time, rest))
}

/// `Nov 24 10:34:11`, local, of the last twelve months.
fn traditional(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let of_year = |year: i16| {
        let text = format!("{year} {text}");
        let local = DateTime::strptime("%Y %b %e %H:%M:%S", &text).ok()?;
        local.to_zoned_datetime(now.time_zone().clone()).ok()
    };
    let this_year = of_year(now.year());
    match this_year {
        // A clock may be ahead by some.
        Some(time) if time <= now.checked_add(1.day()).ok()? => Some(time.timestamp()),
        _ => Some(of_year(now.year() - 1)?.timestamp()),
    }
}

fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|b| *b == b' ')?;
    (space > 0).then(|| (&line[..space], &line[space + 1..]))
}

fn name(identifier: &[u8]) -> Option<String> {
    let is_name = |b: &u8| b.is_ascii_graphic() && *b != b':';
    (!identifier.is_empty() && identifier.iter().all(is_name))
        .then(|| String::from_utf8_lossy(identifier).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> ZonedDateTime {
        "2026-11-24T12:00:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    #[test]
    fn lines_of_all_forms_are_taken_apart() {
        for (line, time, identifier, pid, message) in [
            (
                "Nov 24 10:34:11 mail dovecot[31]: a: b",
                "2026-11-24T09:34:11Z",
                "dovecot",
                Some(31),
                "a: b",
            ),
            (
                "Nov  4 10:34:11 mail dovecot: a",
                "2026-11-04T09:34:11Z",
                "dovecot",
                None,
                "a",
            ),
            (
                "Dec 31 10:34:11 mail cyrus/imap[31]: a",
                "2025-12-31T09:34:11Z",
                "cyrus/imap",
                Some(31),
                "a",
            ),
            (
                "<22>Nov 24 10:34:11 mail in.qpopper[31]: a",
                "2026-11-24T09:34:11Z",
                "in.qpopper",
                Some(31),
                "a",
            ),
            (
                "2026-11-24T10:34:11.123456+00:00 mail.example popa3d[31]: a",
                "2026-11-24T10:34:11.123456Z",
                "popa3d",
                Some(31),
                "a",
            ),
            (
                "2026-11-24T10:34:11 2001:db8::1 popa3d[31]: a",
                "2026-11-24T09:34:11Z",
                "popa3d",
                Some(31),
                "a",
            ),
            (
                "<22>1 2026-11-24T10:34:11Z mail dovecot 31 - - a [b",
                "2026-11-24T10:34:11Z",
                "dovecot",
                Some(31),
                "a [b",
            ),
            (
                "<22>1 - - dovecot - ID [x y=\"]\\\"\"][z] \u{feff}a",
                "2026-11-24T11:00:00Z",
                "dovecot",
                None,
                "a",
            ),
        ] {
            let entry = parse(line.as_bytes(), &now()).unwrap();
            assert_eq!(entry.time.to_string(), time, "{line}");
            assert_eq!(entry.identifier, identifier, "{line}");
            assert_eq!(entry.pid, pid, "{line}");
            assert_eq!(entry.message, message.as_bytes(), "{line}");
        }
    }

    #[test]
    fn bare_messages_are_not() {
        for line in [
            "imap-login: Login: user=<alice>, rip=192.0.2.10",
            "Nov 24 10:34:11 imap-login: Info: Login: user=<alice>",
            "Nov 24 10:34:11 [popper] (v4) POP login by user: x",
            "2026-11-24 10:34:11 mail dovecot: a",
            "Nov 34 10:34:11 mail dovecot: a",
            "<22>1 2026-11-24T10:34:11Z mail dovecot",
            "Nov 24 10:34:11 mail dovecot[x]: a",
            "",
        ] {
            assert_eq!(parse(line.as_bytes(), &now()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line: Vec<u8>, start in "(<[0-9]{1,3}>)?(1 )?(Nov 24 10:34:11 |2026-11-24T10:34:11Z )?") {
            let _ = parse(&line, &now());
            let _ = parse(&[start.as_bytes(), &line].concat(), &now());
        }
    }
}
