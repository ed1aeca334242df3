//! The syslog header at the beginning of a message: it is there if the lines of a log file, or of a
//! syslog daemon in a container, are passed on.
//!
//!   `2026-11-27T10:00:00.123456+00:00 mail dovecot: MESSAGE`
//!   `Nov 27 10:00:00 mail dovecot[31]: MESSAGE`
//!
//! A server that writes to the journal itself begins its lines with its own words, so no stranger can
//! put a header there. Accepts these forms and no others, and only at the very beginning; must never
//! look for one later in the line. Trusts nothing in it: the journal says who wrote the line.

// By hand: `syslog_loose` reads text, not bytes, and takes a server's own words for a host.

/// What a header says about the message after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The host that it names.
    pub host: &'a str,
    /// The name that the writer gave itself.
    pub identifier: &'a str,
    /// Its process, on whatever host that was.
    pub pid: Option<u32>,
    /// The message itself.
    pub message: &'a [u8],
}

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

impl<'a> Header<'a> {
    /// The header that a message begins with, if it does.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Option<Self> {
        // Very few messages have one, or even begin like one.
        let first = message.first()?;
        if !first.is_ascii_digit() && !first.is_ascii_uppercase() {
            return None;
        }
        Self::behind_time(behind_traditional_time(message).or_else(|| behind_rfc_3339(message))?)
    }

    /// What follows the time: `HOST IDENTIFIER: MESSAGE`, or `HOST IDENTIFIER[PID]: MESSAGE`.
    #[must_use]
    pub fn behind_time(text: &'a [u8]) -> Option<Self> {
        let space = text.iter().position(|b| *b == b' ')?;
        let (host, rest) = (&text[..space], &text[space + 1..]);
        let is_host = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:".contains(b);
        // A word that ends in a colon is the identifier, and the host is missing.
        if host.is_empty() || !host.iter().all(is_host) || host.ends_with(b":") {
            return None;
        }
        let end = rest.iter().position(|b| matches!(b, b':' | b' '))?;
        let host = std::str::from_utf8(host).ok()?;
        let message = rest[end..].strip_prefix(b": ")?;
        let tag = std::str::from_utf8(&rest[..end]).ok()?;
        let (identifier, pid) = match tag.strip_suffix(']') {
            Some(tag) => {
                let (identifier, pid) = tag.split_once('[')?;
                let is_number = pid.bytes().all(|b| b.is_ascii_digit());
                (identifier, Some(pid.parse().ok().filter(|_| is_number)?))
            }
            None => (tag, None),
        };
        let is_name = |b: u8| b.is_ascii_graphic() && b != b'[' && b != b']';
        (!identifier.is_empty() && identifier.bytes().all(is_name)).then_some(Header {
            host,
            identifier,
            pid,
            message,
        })
    }
}

/// What follows `Nov 27 10:00:00 ` or `Nov  7 10:00:00 ` (RFC 3164, 4.1.2).
fn behind_traditional_time(message: &[u8]) -> Option<&[u8]> {
    let (time, rest) = message.split_at_checked(16)?;
    let (month, time) = time.split_at(3);
    let is_time = MONTHS.contains(&month)
        && (has_shape(time, b" 00 00:00:00 ") || has_shape(time, b"  0 00:00:00 "))
        && (1..=31).contains(&number(&time[1..3]))
        && is_time_of_day(&time[4..12]);
    is_time.then_some(rest)
}

/// What follows `2026-11-27T10:00:00.123456+00:00 ` or `2026-11-27T10:00:00Z ` (RFC 3339, 5.6).
fn behind_rfc_3339(message: &[u8]) -> Option<&[u8]> {
    let (time, rest) = message.split_at_checked(19)?;
    let is_time = has_shape(time, b"0000-00-00T00:00:00")
        && (1..=12).contains(&number(&time[5..7]))
        && (1..=31).contains(&number(&time[8..10]))
        && is_time_of_day(&time[11..19]);
    if !is_time {
        return None;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            rest.get(digits..).filter(|_| (1..=9).contains(&digits))?
        }
        None => rest,
    };
    if let Some(rest) = rest.strip_prefix(b"Z ") {
        return Some(rest);
    }
    let (offset, rest) = rest.split_at_checked(7)?;
    let is_offset = has_shape(offset, b"+00:00 ") || has_shape(offset, b"-00:00 ");
    let is_offset = is_offset && number(&offset[1..3]) < 24 && number(&offset[4..6]) < 60;
    is_offset.then_some(rest)
}

/// What follows the time that `s6-log` puts before a line: as a TAI64N label, `@4000…`, or as
/// `2026-11-27 10:00:00.123456789  ` (s6-log(8), directives `t` and `T`). Without one, the whole line.
#[must_use]
pub fn behind_time_of_s6_log(line: &[u8]) -> &[u8] {
    behind_tai64n(line)
        .or_else(|| behind_s6_date(line))
        .unwrap_or(line)
}

fn behind_tai64n(line: &[u8]) -> Option<&[u8]> {
    let (digits, rest) = line.strip_prefix(b"@")?.split_at_checked(24)?;
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    rest.strip_prefix(b" ")
        .filter(|_| digits.iter().all(is_digit))
}

fn behind_s6_date(line: &[u8]) -> Option<&[u8]> {
    let (time, rest) = line.split_at_checked(31)?;
    has_shape(time, b"0000-00-00 00:00:00.000000000  ").then_some(rest)
}

/// Whether a text has the form of another, in which `0` stands for any digit.
fn has_shape(text: &[u8], shape: &[u8]) -> bool {
    let fits = |(byte, like): (&u8, &u8)| match like {
        b'0' => byte.is_ascii_digit(),
        _ => byte == like,
    };
    text.len() == shape.len() && text.iter().zip(shape).all(fits)
}

/// `10:00:00`; the last second of a day can be a leap second.
fn is_time_of_day(time: &[u8]) -> bool {
    number(&time[..2]) < 24 && number(&time[3..5]) < 60 && number(&time[6..8]) <= 60
}

/// A number of two digits; the first may be a space.
fn number(digits: &[u8]) -> u8 {
    let value = |digit: &u8| digit.saturating_sub(b'0');
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + value(digit))
}

#[cfg(test)]
mod tests {
    use super::super::load::BUILT_IN;
    use super::super::recogniser::LONGEST_MESSAGE;
    use super::*;
    use crate::servers::{Definition, Meaning, Recogniser};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_time_of_s6_log_is_taken_off_and_nothing_else() {
        for (line, text) in [
            ("@4000000067aa1c2b1a2b3c4d imap-login: x", "imap-login: x"),
            (
                "2026-11-27 10:00:00.123456789  imap-login: x",
                "imap-login: x",
            ),
            (
                "2026-11-27 10:00:00.123456789  Nov 27 10:00:00 a b: x",
                "Nov 27 10:00:00 a b: x",
            ),
        ] {
            assert_eq!(behind_time_of_s6_log(line.as_bytes()), text.as_bytes());
        }
        for line in [
            "",
            "@4000000067aa1c2b1a2b3c4d",
            "@4000000067AA1C2B1A2B3C4D x",
            "@4000000067aa1c2b1a2b3c4 x",
            "2026-11-27 10:00:00.123456789 x",
            "2026-11-27 10:00:00.123456  x",
            "x @4000000067aa1c2b1a2b3c4d x",
        ] {
            assert_eq!(behind_time_of_s6_log(line.as_bytes()), line.as_bytes());
        }
    }

    #[test]
    fn headers_of_log_files_are_taken_away() {
        for (line, identifier, pid, message) in [
            (
                "2026-11-27T10:00:00.123456+00:00 mail dovecot: imap-login: Login: a",
                "dovecot",
                None,
                "imap-login: Login: a",
            ),
            (
                "2026-11-27T10:00:00-03:30 mail.example.org imapd[31]: a",
                "imapd",
                Some(31),
                "a",
            ),
            (
                "2026-11-27T10:00:60Z mail cyrus/imap[1]: ",
                "cyrus/imap",
                Some(1),
                "",
            ),
            (
                "Nov 27 10:00:00 8f3c2ab dovecot[31]: a: b",
                "dovecot",
                Some(31),
                "a: b",
            ),
            (
                "Nov  7 10:00:00 2001:db8::1 dovecot: a",
                "dovecot",
                None,
                "a",
            ),
            (
                "Feb 07 10:00:00 mail dovecot: Nov 27 10:00:00 mail dovecot: a",
                "dovecot",
                None,
                "Nov 27 10:00:00 mail dovecot: a",
            ),
        ] {
            let host = ["mail.example.org", "2001:db8::1", "8f3c2ab", "mail"];
            let host = host.into_iter().find(|host| line.contains(host)).unwrap();
            let header = Header {
                host,
                identifier,
                pid,
                message: message.as_bytes(),
            };
            assert_eq!(Header::of(line.as_bytes()), Some(header), "{line}");
        }
    }

    #[test]
    fn what_is_like_one_is_none() {
        for line in [
            "",
            "2",
            "Nov 27 10:00:00 ",
            " Nov 27 10:00:00 mail dovecot: a",
            "<22>Nov 27 10:00:00 mail dovecot: a",
            "nov 27 10:00:00 mail dovecot: a",
            "Nov 0 10:00:00 mail dovecot: a",
            "Nov 00 10:00:00 mail dovecot: a",
            "Nov 34 10:00:00 mail dovecot: a",
            "Nov 27 24:00:00 mail dovecot: a",
            "Nov 27 10:00:00 dovecot: a",
            "Nov 27 10:00:00 imap-login: Info: Login: a",
            "Nov 27 10:00:00 ma(il dovecot: a",
            "Nov 27 10:00:00  dovecot: a",
            "Nov 27 10:00:00 mail : a",
            "Nov 27 10:00:00 mail dovecot:a",
            "Nov 27 10:00:00 mail dovecot a: b",
            "Nov 27 10:00:00 mail dovecot[]: a",
            "Nov 27 10:00:00 mail dovecot[+3]: a",
            "Nov 27 10:00:00 mail dovecot[31]x: a",
            "Nov 27 10:00:00 mail dovecot[31][31]: a",
            "Nov 27 10:00:00 mail dovecot[99999999999]: a",
            "Nov 27 10:00:00 mail [31]: a",
            "Nov 27 2026 10:00:00 mail dovecot: a",
            "2026-11-27 10:00:00 mail dovecot: a",
            "2026-11-27T10:00:00 mail dovecot: a",
            "2026-11-27T10:00:00.+00:00 mail dovecot: a",
            "2026-11-27T10:00:00.1234567890Z mail dovecot: a",
            "2026-11-27T10:00:00+0000 mail dovecot: a",
            "2026-11-27T10:00:00+24:00 mail dovecot: a",
            "2026-13-27T10:00:00Z mail dovecot: a",
            "2026-11-27T10:61:00Z mail dovecot: a",
            "2026-11-27t10:00:00z mail dovecot: a",
        ] {
            assert_eq!(Header::of(line.as_bytes()), None, "{line}");
        }
        assert_eq!(Header::of(b"Nov 27 10:00:00 mail dove\xffcot: a"), None);
    }

    const LOGIN: &str = "imap-login: Login: user=<test@example.org>, method=PLAIN, rip=192.0.2.10, \
                         lip=172.24.0.2, mpid=612, TLS, session=</iSfb41E2tWsGAAB>";

    /// What Dovecot's definition makes of a message; it is told of one more identifier.
    fn session(identifier: &str, message: &str) -> Option<String> {
        let text = BUILT_IN.iter().find(|(name, _)| *name == "dovecot");
        let mut definition = Definition::parse(text.unwrap().1).unwrap();
        definition.identifiers.push("mailserver".to_owned());
        let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| None);
        let verdict = recogniser.recognise(identifier, message.as_bytes())?;
        assert!(verdict.passed_on.is_some());
        match verdict.meaning {
            Meaning::Login { session, .. } | Meaning::Logout { session, .. } => session,
            meaning => panic!("{meaning}"),
        }
    }

    #[test]
    fn what_is_behind_a_header_counts_for_the_server_that_it_names() {
        let taken = Some("/iSfb41E2tWsGAAB".to_owned());
        for (identifier, header) in [
            ("dovecot", "2025-11-27T14:15:14.054831+08:00 mail dovecot: "),
            (
                "mailserver",
                "2025-11-27T14:15:14.054831+08:00 mail dovecot: ",
            ),
            ("mailserver", "Dec 21 22:11:19 mail dovecot: "),
            ("dovecot", "Dec 21 22:11:19 mail mailserver[31]: "),
        ] {
            assert_eq!(session(identifier, &format!("{header}{LOGIN}")), taken);
            let logout = "imap(a)<6></iSfb41E2tWsGAAB>: Disconnected: Logged out in=8 out=480";
            assert_eq!(session(identifier, &format!("{header}{logout}")), taken);
        }
        for (identifier, header) in [
            // Another's line, or under another's identifier; two headers; or a header further behind.
            ("dovecot", "Dec 21 22:11:19 mail postfix/smtpd[31]: "),
            ("postfix/smtpd", "Dec 21 22:11:19 mail dovecot: "),
            (
                "dovecot",
                "Dec 21 22:11:19 mail dovecot: Dec 21 22:11:19 mail dovecot: ",
            ),
            ("dovecot", "x Dec 21 22:11:19 mail dovecot: "),
            ("dovecot", "Dec 21 22:11:19 mail dovecot: x "),
        ] {
            assert_eq!(session(identifier, &format!("{header}{LOGIN}")), None);
        }
        // The header counts too for how long a message may be.
        let name = "x".repeat(LONGEST_MESSAGE - LOGIN.len());
        let long = format!(
            "Dec 21 22:11:19 mail dovecot: {}",
            LOGIN.replace("test", &name)
        );
        assert_eq!(session("dovecot", &long), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            rest: Vec<u8>,
            start in "(Nov [0-9 ]{2} 10:34:11 |2026-11-24T10:34:11[.Z+-]?[0-9]{0,12})?(mail )?(a\\[[0-9]*\\])?"
        ) {
            let _ = Header::of(&[start.as_bytes(), &rest].concat());
        }
    }
}
