//! What the clients do: fetch mail over POP3 and IMAP, and send mail over SMTP. They are real clients
//! in a network of their own; nothing here knows of the service.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;

use crate::host::{Host, server_for};

/// How mail is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Pop3,
    Imap,
}

/// How the connection to the server is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    Plain,
    Tls,
}

/// What Postfix says to mail for elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    Refused,
}

/// The connection ended, or the server said no.
#[derive(Debug)]
pub struct NotLoggedIn(pub String);

/// An open connection of a client to the POP3 or IMAP server. Dropping it drops the connection,
/// without a word to the server.
pub struct MailSession {
    protocol: Protocol,
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl fmt::Display for NotLoggedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not logged in; the server said: {}", self.0)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Pop3 => "POP3",
            Protocol::Imap => "IMAP",
        })
    }
}

impl MailSession {
    /// Connects from the client's address and logs in.
    pub fn login(
        host: &Host,
        client: &str,
        protocol: Protocol,
        carriage: Carriage,
        user: (&str, &str),
    ) -> Result<MailSession, NotLoggedIn> {
        let port = match (protocol, carriage) {
            (Protocol::Pop3, Carriage::Plain) => 110,
            (Protocol::Pop3, Carriage::Tls) => 995,
            (Protocol::Imap, Carriage::Plain) => 143,
            (Protocol::Imap, Carriage::Tls) => 993,
        };
        let server = (server_for(client), port);
        MailSession::login_at(host, client, protocol, carriage, server, user)
    }

    /// The same at another address and port.
    pub fn login_at(
        host: &Host,
        client: &str,
        protocol: Protocol,
        carriage: Carriage,
        server: (&str, u16),
        (user, password): (&str, &str),
    ) -> Result<MailSession, NotLoggedIn> {
        let mut session = MailSession::connect(host, client, protocol, carriage, server);
        session.read_until(&["+OK", "* OK"])?;
        match protocol {
            Protocol::Pop3 => {
                session.say(&format!("USER {user}"));
                session.read_until(&["+OK"])?;
                session.say(&format!("PASS {password}"));
                session.read_until(&["+OK"])?;
            }
            Protocol::Imap => {
                session.say(&format!("a LOGIN {user} {password}"));
                session.read_until(&["a OK"])?;
            }
        }
        Ok(session)
    }

    fn connect(
        host: &Host,
        client: &str,
        protocol: Protocol,
        carriage: Carriage,
        (server, port): (&str, u16),
    ) -> MailSession {
        let (server, client, tcp) = if server.contains(':') {
            (format!("[{server}]"), format!("[{client}]"), "TCP6")
        } else {
            (server.to_owned(), client.to_owned(), "TCP4")
        };
        let (kind, more) = match carriage {
            Carriage::Plain => (tcp, ""),
            // An address is no name for a server to choose its certificate by; Courier hangs up.
            Carriage::Tls => ("OPENSSL", ",verify=0,no-sni=1"),
        };
        let address = format!("{kind}:{server}:{port},bind={client}{more}");
        let mut child = host
            .command(&[
                "ip", "netns", "exec", "clients", "socat", "-t0", "-", &address,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        MailSession {
            protocol,
            to: child.stdin.take(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Takes leave of the server, and waits until it has hung up.
    pub fn logout(mut self) {
        self.say(match self.protocol {
            Protocol::Pop3 => "QUIT",
            Protocol::Imap => "b LOGOUT",
        });
        let mut rest = Vec::new();
        while self
            .from
            .read_until(b'\n', &mut rest)
            .is_ok_and(|read| read > 0)
        {}
    }

    /// Something harmless, as a client does it to keep the session open.
    pub fn keep_open(&mut self) {
        match self.protocol {
            Protocol::Pop3 => {
                self.say("NOOP");
                self.read_until(&["+OK"])
            }
            Protocol::Imap => {
                self.say("c NOOP");
                self.read_until(&["c OK"])
            }
        }
        .expect("the session should still be open");
    }

    fn say(&mut self, line: &str) {
        // A server that has hung up is noticed when its answer is read.
        if let Some(to) = &mut self.to {
            let _ = write!(to, "{line}\r\n");
        }
    }

    fn read_until(&mut self, starts: &[&str]) -> Result<(), NotLoggedIn> {
        let mut read = String::new();
        loop {
            let mut line = String::new();
            let length = self.from.read_line(&mut line).unwrap_or(0);
            read.push_str(&line);
            if starts.iter().any(|start| line.starts_with(start)) {
                return Ok(());
            }
            let refused = ["-ERR", "a NO", "* BYE"];
            if length == 0 || refused.iter().any(|start| line.starts_with(start)) {
                return Err(NotLoggedIn(read));
            }
        }
    }
}

impl Drop for MailSession {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.wait();
    }
}

/// Has everybody do something at the same time, and gives what came of it, in the same order.
pub fn at_once<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| act(item))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// Fetches the newest mail as people's mail programs do: log in, look, fetch, log out.
pub fn fetch_mail(host: &Host, client: &str) -> String {
    let server = server_for(client);
    let url = if server.contains(':') {
        format!("pop3://[{server}]/1")
    } else {
        format!("pop3://{server}/1")
    };
    let fetched = host.client(&[
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--interface",
        client,
        "--user",
        "tom:secret",
        &url,
    ]);
    assert!(fetched.succeeded(), "{}", fetched.transcript());
    fetched.stdout
}

/// Sends a mail to somebody elsewhere, and gives Postfix's answer together with the conversation.
pub fn send_mail_with_transcript(host: &Host, client: &str) -> (Answer, String) {
    send_mail_to(host, client, server_for(client))
}

/// The same, to the Postfix at this address.
pub fn send_mail_to(host: &Host, client: &str, server: &str) -> (Answer, String) {
    let sent = host.client(&[
        "swaks",
        "--server",
        server,
        "--local-interface",
        client,
        "--helo",
        "client.example.net",
        "--from",
        "tom@mail.example.org",
        "--to",
        "friend@example.com",
        "--timeout",
        "30",
        if client.contains(':') { "-6" } else { "-4" },
    ]);
    let answer = match sent.code {
        Some(0) => Answer::Accepted,
        // No recipient was accepted; for the one reason that is meant.
        Some(24) if sent.stdout.contains("554 5.7.1") => Answer::Refused,
        _ => panic!("neither accepted nor refused: {}", sent.transcript()),
    };
    (answer, sent.stdout)
}

/// Sends a mail to somebody elsewhere, and gives Postfix's answer.
pub fn send_mail(host: &Host, client: &str) -> Answer {
    send_mail_with_transcript(host, client).0
}
