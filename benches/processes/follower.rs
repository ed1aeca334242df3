//! A reader of a host's journal that does nothing else: `journalctl --follow`. What it is told, any
//! reader is told, and no sooner: journald collects what it writes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::host::Host;

/// A reader at work. It ends with the host.
pub struct Follower {
    told: Receiver<(SystemTime, String)>,
}

impl Follower {
    /// Follows the entries of an identifier, of which there are some already: with the last of them
    /// it shows that it is there.
    pub fn start(host: &Host, identifier: &str) -> Follower {
        let mut journalctl = host.command(&["journalctl", "--quiet", "--output=cat", "--follow"]);
        let mut journalctl = journalctl
            .args(["--lines=1", "--identifier", identifier])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(journalctl.stdout.take().unwrap()).lines();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send((SystemTime::now(), line));
            }
            let _ = journalctl.wait();
        });
        told.recv().expect("journalctl has ended");
        Follower { told }
    }

    /// When it was told of a message that is wanted, if it was.
    pub fn told(&self, wanted: impl Fn(&str) -> bool) -> Option<SystemTime> {
        let mut told = self.told.try_iter();
        told.find(|(_, message)| wanted(message))
            .map(|(time, _)| time)
    }

    /// The same, once it is.
    pub fn await_told(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> SystemTime {
        loop {
            let (time, message) = self.told.recv_timeout(patience).expect("it was not told");
            if wanted(&message) {
                return time;
            }
        }
    }
}
