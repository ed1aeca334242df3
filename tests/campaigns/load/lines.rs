//! A busy server: the lines of its logins and logouts at a set rate, and who may relay by them. Must write
//! nothing that the model does not hear of.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::Stage;
use crate::entitled::{Between, Entitled};

/// A line is in the journal so soon after it was written.
const WRITTEN: Duration = Duration::from_secs(1);
/// Between two looks at what is due.
const TURN: Duration = Duration::from_millis(10);
/// How many addresses there are.
pub const CLIENTS: u32 = 20_000;
/// Logins a second.
const RATE: f64 = 500.0;

/// The server, and who may relay by what it has written.
pub struct Server {
    lines: File,
    pub entitled: Entitled,
    session: u64,
    /// How many lines it has written.
    pub written: usize,
}

/// What a line tells.
enum Told {
    Login(String, u64),
    Logout(String, u64),
}

/// The address of a client, as Postfix writes it: one in four has IPv6.
pub fn client(number: u32) -> String {
    if number % 4 == 3 {
        let last = number as u16 + 1;
        Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, last).to_string()
    } else {
        let [third, fourth] = [number / 250, number % 250 + 1].map(|part| part as u8);
        Ipv4Addr::new(198, 18, third, fourth).to_string()
    }
}

impl Told {
    fn line(&self) -> String {
        match self {
            Told::Login(client, session) => format!(
                "imap-login: Login: user=<user{}@example.org>, method=PLAIN, rip={client}, \
                 lip=192.0.2.1, mpid={session}, TLS, session=<s{session}>",
                session % 5000
            ),
            Told::Logout(_, session) => format!(
                "imap(user{}@example.org)<{session}><s{session}>: Disconnected: Logged out \
                 in=120 out=2048",
                session % 5000
            ),
        }
    }
}

impl Server {
    pub fn new(lines: File, grace: Duration) -> Self {
        Server {
            lines,
            entitled: Entitled::new(grace),
            session: 0,
            written: 0,
        }
    }

    /// Writes these lines at once.
    fn tell(&mut self, all: Vec<Told>) {
        let text: Vec<String> = all.iter().map(|told| told.line() + "\n").collect();
        let (written, when) = Between::around(|| self.lines.write_all(text.concat().as_bytes()));
        written.unwrap();
        let when = Between(when.0, when.1 + WRITTEN);
        self.written += all.len();
        for told in all {
            match told {
                Told::Login(client, session) => self.entitled.login(&client, session, when),
                Told::Logout(client, session) => self.entitled.logout(&client, session, when),
            }
        }
    }

    fn session(&mut self) -> u64 {
        self.session += 1;
        self.session
    }

    pub fn log_in(&mut self, client: &str) -> u64 {
        let session = self.session();
        self.tell(vec![Told::Login(client.to_owned(), session)]);
        session
    }

    pub fn log_out(&mut self, client: &str, session: u64) {
        self.tell(vec![Told::Logout(client.to_owned(), session)]);
    }

    /// It is started anew: no session is open.
    pub fn start(&mut self) {
        let line = "master: Dovecot v2.3.19.1 (9b53102964) starting up for imap, pop3";
        writeln!(self.lines, "{line}").unwrap();
        self.written += 1;
        self.entitled
            .start(Between(SystemTime::now(), SystemTime::now() + WRITTEN));
    }
}

/// Clients log in at the rate, and out again, until all is over.
pub fn write(stage: &Stage, mut random: fastrand::Rng) {
    let begin = Instant::now();
    let longest = stage.pace.session.as_millis() as u64;
    let mut logins = 0_u64;
    let mut open: BinaryHeap<Reverse<(Instant, u32, u64)>> = BinaryHeap::new();
    while stage.goes_on() {
        let now = Instant::now();
        let due = (begin.elapsed().as_secs_f64() * RATE) as u64;
        let mut server = stage.server();
        let mut all = Vec::new();
        while let Some(Reverse((end, ..))) = open.peek()
            && *end <= now
        {
            if let Some(Reverse((_, number, session))) = open.pop() {
                all.push(Told::Logout(client(number), session));
            }
        }
        while logins < due {
            logins += 1;
            let (number, session) = (random.u32(..CLIENTS), server.session());
            all.push(Told::Login(client(number), session));
            let end = now + Duration::from_millis(random.u64(..longest));
            open.push(Reverse((end, number, session)));
        }
        server.tell(all);
        drop(server);
        thread::sleep(TURN);
    }
    stage.note(format!("{logins} logins in {:?}", begin.elapsed()));
}
