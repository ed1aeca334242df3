//! A real Postfix of our own, on loopback addresses, to ask whom it lets relay.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running Postfix with one smtpd service for each set of parameters.
pub struct Smtpd {
    directory: TempDir,
    addresses: Vec<SocketAddr>,
}

/// What smtpd answers to the recipient of a client that wants to relay.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Answer {
    /// 250
    Relays,
    /// 554
    Refuses,
    /// 451
    Fails,
}

impl Smtpd {
    /// Starts it; each service is a list of parameters and their values. `None`, and the reason
    /// on standard error, where the machine does not let us.
    pub fn start(services: &[&[(&str, &str)]]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can start Postfix");
            return None;
        }
        static STARTED: AtomicU8 = AtomicU8::new(0);
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        for name in ["etc", "queue", "data"] {
            fs::create_dir(path.join(name)).unwrap();
            fs::set_permissions(path.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        let postfix = uid_of("postfix");
        chown(path.join("data"), Some(postfix), None).unwrap();
        let main = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {0}/queue\n\
             data_directory = {0}/data\n\
             maillog_file = {0}/log\n\
             maillog_file_prefixes = {0}\n\
             myhostname = mx.example.org\n\
             mydestination =\n\
             local_recipient_maps =\n\
             alias_maps =\n\
             smtpd_authorized_xclient_hosts = 127.0.0.0/8\n\
             smtpd_peername_lookup = no\n\
             in_flow_delay = 0\n\
             smtpd_error_sleep_time = 0\n",
            path.display()
        );
        fs::write(path.join("etc/main.cf"), main).unwrap();

        // Addresses of our own in 127/8 need no search for free ports.
        let pid = std::process::id();
        let octets = pid.to_be_bytes();
        let mut master = String::from(
            "cleanup unix n - n - 0 cleanup\n\
             rewrite unix - - n - - trivial-rewrite\n\
             anvil unix - - n - 1 anvil\n\
             proxymap unix - - n - - proxymap\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\n\
             postlog unix-dgram n - n - 1 postlogd\n",
        );
        let mut addresses = Vec::new();
        for (service, parameters) in (1..).zip(services) {
            let ip = Ipv4Addr::new(127, 1 + (octets[2] & 0x3f), octets[3], nth);
            addresses.push(SocketAddr::new(IpAddr::V4(ip), 2500 + service));
            master.push_str(&format!("{ip}:{} inet n - n - - smtpd", 2500 + service));
            for (name, value) in *parameters {
                master.push_str(&format!("\n  -o {{ {name} = {value} }}"));
            }
            master.push('\n');
        }
        fs::write(path.join("etc/master.cf"), master).unwrap();
        // Where the types of tables are that are not built in.
        for file in ["dynamicmaps.cf", "dynamicmaps.cf.d"] {
            let installed = Path::new("/etc/postfix").join(file);
            if installed.exists() {
                std::os::unix::fs::symlink(installed, path.join("etc").join(file)).unwrap();
            }
        }
        let smtpd = Smtpd {
            directory,
            addresses,
        };
        // It returns when all services listen.
        let started = smtpd.control("start");
        assert!(started, "{}", smtpd.log());
        Some(smtpd)
    }

    fn control(&self, verb: &str) -> bool {
        let said = File::create(self.directory.path().join("said")).unwrap();
        Command::new("postfix")
            .arg("-c")
            .arg(self.directory.path().join("etc"))
            .arg(verb)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .status()
            .is_ok_and(|status| status.success())
    }

    /// What it and its programs have said so far.
    pub fn log(&self) -> String {
        ["said", "log"]
            .map(|name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default())
            .concat()
    }

    /// Connects to a service and asks, as that client, to relay a mail.
    pub fn ask(&self, service: usize, client: &str) -> Answer {
        let stream = TcpStream::connect_timeout(&self.addresses[service], PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut say = |line: &str| {
            if !line.is_empty() {
                (&stream)
                    .write_all(format!("{line}\r\n").as_bytes())
                    .unwrap();
            }
            loop {
                let mut answer = String::new();
                if let Err(error) = answers.read_line(&mut answer) {
                    panic!("{client}: {error} after {line:?}\n{}", self.log());
                }
                if answer.get(3..4) != Some("-") {
                    return answer;
                }
            }
        };
        let family = if client.contains(':') { "IPV6:" } else { "" };
        say("");
        say("EHLO client.example.org");
        let xclient = say(&format!("XCLIENT NAME=[UNAVAILABLE] ADDR={family}{client}"));
        assert!(xclient.starts_with("220"), "{xclient}\n{}", self.log());
        say("EHLO client.example.org");
        say("MAIL FROM:<tom@example.org>");
        let answer = say("RCPT TO:<anybody@example.net>");
        match answer.get(..3) {
            Some("250") => Answer::Relays,
            Some("554") => Answer::Refuses,
            Some("451") => Answer::Fails,
            _ => panic!("{client}: {answer}\n{}", self.log()),
        }
    }
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        self.control("stop");
    }
}

fn uid_of(name: &str) -> u32 {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))
        .unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}
