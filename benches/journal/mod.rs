//! Journals to measure on: the entries of a busy mail host, in real journal files.
//!
//! Nothing in them is left to chance but what systemd-journal-remote adds: two journals of one size
//! that begin at the same time have the same entries. Each has the fields that journald gives it
//! (Dovecot 2.4 on Debian 13), and what Dovecot says has its length and its variety.

mod noise;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};

/// Over how long a time the entries of most journals are spread.
pub const SPAN: SignedDuration = SignedDuration::from_mins(25);

/// So many sessions are open at once: they open one after the other, and then close.
const OPEN_AT_ONCE: u32 = 50;

/// The fields that are the same in all entries of one boot.
const HOST: &str = "_BOOT_ID=d9352de5a8ce43a1a4d8462ba82f526b\n\
    _MACHINE_ID=f500e89b12ae4567916a1cbca5638248\n_HOSTNAME=mailhost\n_RUNTIME_SCOPE=system\n";

/// And those of Dovecot's log process.
const DOVECOT: &str = "PRIORITY=6\n_UID=0\n_GID=0\n_SYSTEMD_SLICE=system.slice\n_TRANSPORT=syslog\n\
    SYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=dovecot\n_SYSTEMD_CGROUP=/system.slice/dovecot.service\n\
    _SYSTEMD_UNIT=dovecot.service\n\
    _SYSTEMD_INVOCATION_ID=74976d36589e4683856ef0991cf79ca9\n_PID=62\n_COMM=log\n\
    _EXE=/usr/lib/dovecot/log\n_CMDLINE=dovecot/log\n_CAP_EFFECTIVE=f4ecbfff\n";

/// What is in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// How many sessions Dovecot tells of.
    pub sessions: u32,
    /// Of how many clients, in turn.
    pub clients: u32,
    /// Whether it tells of their ends too.
    pub ends: Ends,
    /// Entries of others for each of Dovecot's.
    pub noise: u32,
}

/// Which ends of sessions a journal tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// None.
    None,
    /// Those of the sessions that it tells of.
    Theirs,
    /// As many, and all of them of sessions that began elsewhere.
    Others,
}

impl Contents {
    /// How many entries Dovecot writes.
    pub fn dovecot(self) -> u32 {
        self.sessions * if self.ends == Ends::None { 1 } else { 2 }
    }

    /// How many entries there are.
    pub fn entries(self) -> u32 {
        self.dovecot() * (1 + self.noise)
    }

    /// Writes the entries in the Journal Export Format
    /// (<https://systemd.io/JOURNAL_EXPORT_FORMATS>), from `begin` on, spread over `span`.
    pub fn export(
        self,
        begin: Timestamp,
        span: SignedDuration,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let step = span.as_micros() as u64 / u64::from(self.entries());
        let begin = begin.as_microsecond() as u64;
        let mut clock = Clock::default();
        let mut entry = String::with_capacity(2048);
        for n in 0..self.entries() {
            clock.set(begin + u64::from(n) * step);
            entry.clear();
            clock.stamp(&mut entry);
            entry.push_str(HOST);
            if n % (1 + self.noise) == 0 {
                entry.push_str(DOVECOT);
                self.dovecot_says(n / (1 + self.noise), &mut entry);
            } else {
                noise::entry(u64::from(n), &mut entry);
            }
            entry.push_str("\n\n");
            to.write_all(entry.as_bytes())?;
        }
        to.flush()
    }

    /// The message of Dovecot's entry number `n`.
    fn dovecot_says(self, n: u32, entry: &mut String) {
        let (session, over) = if self.ends != Ends::None {
            let (block, place) = (n / (2 * OPEN_AT_ONCE), n % (2 * OPEN_AT_ONCE));
            (
                block * OPEN_AT_ONCE + place % OPEN_AT_ONCE,
                place >= OPEN_AT_ONCE,
            )
        } else {
            (n, false)
        };
        let number = session % self.clients;
        let is_known = !over || self.ends == Ends::Theirs;
        let id = session_id(if is_known { session } else { !session });
        entry.push_str("MESSAGE=");
        message(session, &id, number, over, entry);
    }
}

/// The address of client number `n`; one in eight has an IPv6 address.
pub fn client(n: u32) -> IpAddr {
    // From the networks of RFC 6598 and RFC 3849.
    if n % 8 == 7 {
        let [a, b] = [(n >> 16) as u16, n as u16];
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, a, b))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(0x6440_0000 + n))
    }
}

/// What Dovecot says of a session: that it begins, or that it is over.
fn message(session: u32, id: &str, client_number: u32, over: bool, to: &mut String) {
    let protocol = if session.is_multiple_of(4) {
        "pop3"
    } else {
        "imap"
    };
    let mpid = 1000 + session % 30_000;
    let written = match (over, protocol) {
        (false, _) => write!(
            to,
            "{protocol}-login: Logged in: user=<user{client_number}@example.org>, method=PLAIN, \
             rip={}, lip=192.0.2.1, mpid={mpid}, TLS, session=<{id}>",
            client(client_number)
        ),
        (true, "pop3") => write!(
            to,
            "pop3(user{client_number}@example.org)<{mpid}><{id}>: Disconnected: Logged out \
             top=0/0, retr=1/{}, del=0/{}, size={}",
            session % 9000,
            session % 70,
            session % 90_000
        ),
        (true, _) => write!(
            to,
            "imap(user{client_number}@example.org)<{mpid}><{id}>: Disconnected: Logged out \
             in={} out={} deleted=0 expunged=0 trashed=0 hdr_count={} hdr_bytes={} body_count=0 \
             body_bytes=0",
            100 + session % 900,
            500 + session % 90_000,
            session % 9,
            session % 4000
        ),
    };
    debug_assert!(written.is_ok(), "a String takes everything");
}

/// A session's id, in Dovecot's form: base64 of time, port and address.
fn session_id(session: u32) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut rest = scatter(u64::from(session));
    let mut id = String::with_capacity(16);
    for _ in 0..11 {
        id.push(char::from(DIGITS[(rest % 64) as usize]));
        rest /= 64;
    }
    id.push_str("AAAIK");
    id
}

/// A number that looks like chance, another for each `n` (the finaliser of splitmix64).
fn scatter(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The time of an entry, in the fields that tell of it.
#[derive(Default)]
struct Clock {
    microseconds: u64,
    second: i64,
    /// As syslog writes it.
    written: String,
}

impl Clock {
    fn set(&mut self, microseconds: u64) {
        self.microseconds = microseconds;
        let second = (microseconds / 1_000_000) as i64;
        if self.second != second {
            self.second = second;
            let time = Timestamp::from_second(second).unwrap_or_default();
            self.written = time.strftime("%b %e %H:%M:%S").to_string();
        }
    }

    fn stamp(&self, entry: &mut String) {
        let time = self.microseconds;
        // One boot that began with the epoch: what is newer by the one clock is newer by the other.
        let written = write!(
            entry,
            "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={time}\n\
             _SOURCE_REALTIME_TIMESTAMP={}\nSYSLOG_TIMESTAMP={} \n",
            time - 24,
            self.written
        );
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}
