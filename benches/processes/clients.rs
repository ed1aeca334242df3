//! Clients of a booted host that are quick enough to measure with: each acts from an address of its
//! own, in the network where the tests' clients are.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

/// The clients' network, for the thread that is in it.
pub struct Clients {
    /// Only it can choose the address that a connection comes from.
    runtime: Runtime,
}

/// A connection of a client, of which we read lines.
pub struct Line {
    stream: BufReader<TcpStream>,
}

/// A login whose answer has not been waited for.
pub struct Login {
    line: Line,
}

/// Has a thread of its own act among the clients.
pub fn among_clients<T: Send>(network: &File, act: impl FnOnce(&Clients) -> T + Send) -> T {
    let act = || {
        let kind = LinkNameSpaceType::Network;
        move_into_link_name_space(network.as_fd(), Some(kind)).unwrap();
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        act(&Clients { runtime })
    };
    thread::scope(|scope| scope.spawn(act).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Clients {
    /// Connects from the client's address to a port of the server.
    pub fn connect(&self, client: IpAddr, port: u16) -> Line {
        let server = crate::host::server_for(&client.to_string());
        let server = SocketAddr::new(server.parse().unwrap(), port);
        let connected = self.runtime.block_on(async {
            let socket = match client {
                IpAddr::V4(_) => TcpSocket::new_v4(),
                IpAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            socket.bind(SocketAddr::new(client, 0))?;
            socket.connect(server).await?.into_std()
        });
        let stream = connected.unwrap_or_else(|error| panic!("{client}: {server}: {error}"));
        stream.set_nonblocking(false).unwrap();
        Line {
            stream: BufReader::new(stream),
        }
    }

    /// Asks the IMAP server to let it in, and does not wait for what it says.
    pub fn begin_login(&self, client: IpAddr) -> Login {
        let mut line = self.connect(client, 143);
        assert!(line.hear().starts_with("* OK"));
        line.say("a LOGIN tom secret\r\n");
        Login { line }
    }

    /// Whether somebody who connects to Postfix now may relay.
    pub fn may_relay(&self, client: IpAddr) -> bool {
        let mut line = self.connect(client, 25);
        assert!(line.reply().starts_with("220 "));
        line.say("EHLO client.example.net\r\n");
        assert!(line.reply().starts_with("250 "));
        line.say("MAIL FROM:<tom@mail.example.org>\r\nRCPT TO:<friend@example.com>\r\nQUIT\r\n");
        assert!(line.reply().starts_with("250 "));
        let answer = line.reply();
        match answer.get(..3) {
            Some("250") => true,
            Some("554") => false,
            _ => panic!("neither accepted nor refused: {answer}"),
        }
    }
}

impl Login {
    /// Waits until the server has let it in, and hangs up.
    pub fn finish(mut self) {
        loop {
            let said = self.line.hear();
            if said.starts_with("a OK") {
                return;
            }
            assert!(said.starts_with('*'), "not logged in: {said}");
        }
    }
}

impl Line {
    pub fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).unwrap();
        assert!(length > 0, "the server has hung up");
        line
    }

    /// The last line of an SMTP reply.
    pub fn reply(&mut self) -> String {
        loop {
            let line = self.hear();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}
