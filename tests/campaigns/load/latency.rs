//! From the time of a login's entry in the journal to where it counts: the policy, the list and the map, one
//! login after the other. Measures only; must look at one of the three at a time, as each look may hurry the
//! service.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pop_before_smtp::client::Client;
use pop_before_smtp::control::client::Service;
use pop_before_smtp::control::{Check, SOCKET};

use super::Stage;
use crate::service::STATE;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two logins.
const REST: Duration = Duration::from_millis(700);
const POLICY: &str = "/var/spool/postfix/pop-before-smtp/policy";

/// What the addresses of these clients begin with.
pub const PROBES: &str = "198.19.";

/// Where a login counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Policy,
    List,
    Map,
}

pub const PLACES: [Place; 3] = [Place::Policy, Place::List, Place::Map];

/// A login that has arrived: whose, where, and when, in seconds since 1970.
pub struct Arrival {
    client: String,
    place: Place,
    when: f64,
    /// And since the campaign began.
    at: f64,
}

/// How long a login took, and when, in seconds.
pub type Latency = (f64, f64);

/// Has one client after the other log in until all is over.
pub fn probe(stage: &Stage) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for (number, place) in PLACES.iter().cycle().enumerate() {
        if !stage.goes_on() {
            break;
        }
        let client = format!("{PROBES}{}.{}", number / 250, number % 250 + 1);
        let mut look = Look::at(stage, *place, &client);
        let begin = Instant::now();
        let session = stage.server().log_in(&client);
        while !look.finds() && begin.elapsed() < stage.pace.bound {
            thread::sleep(PAUSE);
        }
        let when = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        if begin.elapsed() >= stage.pace.bound {
            stage.fault(format!("{client} has logged in: not in the {place:?}"));
        }
        stage.server().log_out(&client, session);
        arrivals.push(Arrival {
            client,
            place: *place,
            when: when.as_secs_f64(),
            at: stage.seconds(),
        });
        thread::sleep(REST);
    }
    arrivals
}

/// Whether a client is in its place yet. Asks again where the service has been killed meanwhile.
struct Look<'a> {
    stage: &'a Stage,
    place: Place,
    client: &'a str,
    policy: Option<UnixStream>,
    list: Option<Service>,
    /// The map that has been looked at.
    map: u64,
}

impl<'a> Look<'a> {
    fn at(stage: &'a Stage, place: Place, client: &'a str) -> Self {
        let mut look = Look {
            stage,
            place,
            client,
            policy: None,
            list: None,
            map: 0,
        };
        look.map = look.map();
        look
    }

    fn finds(&mut self) -> bool {
        match self.place {
            Place::Policy => self.policy().unwrap_or_else(|_| {
                self.policy = None;
                false
            }),
            Place::List => self.list().unwrap_or_else(|| {
                self.list = None;
                false
            }),
            Place::Map => {
                let map = self.map();
                let is_another = map != self.map;
                self.map = map;
                is_another && self.stage.host.map_permits(self.client)
            }
        }
    }

    fn policy(&mut self) -> std::io::Result<bool> {
        let stream = match &mut self.policy {
            Some(stream) => stream,
            none => {
                let stream = UnixStream::connect(self.stage.host.path(POLICY))?;
                stream.set_read_timeout(Some(self.stage.pace.bound))?;
                none.insert(stream)
            }
        };
        let question = format!(
            "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
             client_address={}\nclient_name=unknown\n\n",
            self.client
        );
        stream.write_all(question.as_bytes())?;
        let mut answer = [0; 64];
        let length = stream.read(&mut answer)?;
        Ok(answer[..length].starts_with(b"action=OK"))
    }

    fn list(&mut self) -> Option<bool> {
        let service = match &mut self.list {
            Some(service) => service,
            none => none.insert(
                Service::connect_for(&self.stage.host.path(SOCKET), self.stage.pace.bound).ok()?,
            ),
        };
        let client: Client = self.client.parse().unwrap();
        Some(service.call(&Check { client }).ok()?.may_relay)
    }

    /// Which map there is: each has a number of its own.
    fn map(&self) -> u64 {
        let state = fs::read_dir(self.stage.host.path(STATE)).unwrap().flatten();
        let is_map = |name: &str| ["clients.lmdb", "clients.cdb", "clients.db"].contains(&name);
        state
            .filter(|entry| entry.file_name().to_str().is_some_and(is_map))
            .find_map(|entry| Some(entry.metadata().ok()?.ino()))
            .unwrap_or_default()
    }
}

/// How long each took, by what the journal says of the entries (`short-unix`).
pub fn latencies(arrivals: &[Arrival], journal: &str) -> BTreeMap<&'static str, Vec<Latency>> {
    let written: BTreeMap<&str, f64> = journal
        .lines()
        .filter_map(|line| {
            let (time, rest) = line.split_once(' ')?;
            let (_, client) = rest.split_once("rip=")?;
            Some((client.split_once(',')?.0, time.parse().ok()?))
        })
        .collect();
    let of = |wanted: Place| -> Vec<Latency> {
        let arrivals = arrivals.iter().filter(|arrival| arrival.place == wanted);
        arrivals
            .filter_map(|arrival| {
                let written = written.get(&*arrival.client)?;
                Some((arrival.at, arrival.when - written))
            })
            .collect()
    };
    [
        ("policy", of(Place::Policy)),
        ("list", of(Place::List)),
        ("map", of(Place::Map)),
    ]
    .into()
}

/// So much or less took this share of them, in seconds.
pub fn share(latencies: &[Latency], share: f64) -> f64 {
    let mut took: Vec<f64> = latencies.iter().map(|(_, took)| *took).collect();
    took.sort_by(f64::total_cmp);
    let place = (took.len() as f64 * share).ceil() as usize;
    took.get(place.max(1) - 1).copied().unwrap_or(f64::NAN)
}
