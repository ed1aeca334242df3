//! A busy host for as long as there is time: logins and logouts by the hundred a second, many SMTP sessions at
//! once, and meanwhile the journal is rotated, and the service reloaded and killed. Nobody may be lost, nobody
//! let in who may not relay, and nothing may grow.

mod drops;
mod latency;
mod lines;
mod plot;
mod samples;
mod senders;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pop_before_smtp::control::SOCKET;
use pop_before_smtp::control::client::{AskError, Service};
use pop_before_smtp::control::protocol::Filter;

use crate::host::{Host, wait_until};
use crate::image::Release;
use crate::plan::Plan;
use crate::service::SOON;
use latency::{Latency, share};
use lines::Server;
use plot::{Line, Panel};
use samples::{KINDS, Sample};

/// In the short form. Some seconds more are for the host, and for the end.
const SHORT: Duration = Duration::from_secs(24);
/// Where to write the drawing of what was sampled.
const PLOT: &str = "POP_BEFORE_SMTP_CAMPAIGN_PLOT";

/// How fast everything goes.
#[derive(Clone, Copy, Debug)]
struct Pace {
    grace: Duration,
    /// The longest session.
    session: Duration,
    rotate: Duration,
    reload: Duration,
    kill: Duration,
    look: Duration,
    /// So long after a login its client is in the list and in the map, and so long after its grace it is out
    /// of both: also if the service was killed, which starts anew after three seconds.
    bound: Duration,
}

const LONG: Pace = Pace {
    grace: Duration::from_secs(20),
    session: Duration::from_secs(25),
    rotate: Duration::from_secs(60),
    reload: Duration::from_secs(10),
    kill: Duration::from_secs(30),
    look: Duration::from_secs(4),
    bound: Duration::from_secs(15),
};

const FAST: Pace = Pace {
    grace: Duration::from_secs(5),
    session: Duration::from_secs(20),
    rotate: Duration::from_secs(7),
    reload: Duration::from_secs(4),
    kill: Duration::from_secs(8),
    look: Duration::from_secs(2),
    bound: Duration::from_secs(12),
};

/// The host, and what all that happens on it shares.
struct Stage {
    host: Host,
    server: Mutex<Server>,
    answers: senders::Answers,
    pace: Pace,
    begin: Instant,
    over: AtomicBool,
    /// Whether the service is left alone: what grows in a process shows only while it lives.
    is_spared: AtomicBool,
    kills: Mutex<Vec<Instant>>,
    /// When the service was killed, in seconds since the campaign began, and after how many it was ready again.
    restarts: Mutex<Vec<(f64, f64)>>,
    /// Who may relay for sure, as of the last look.
    regulars: Mutex<Vec<String>>,
    /// How many lines of the server have been found in the journal.
    found: AtomicUsize,
    faults: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

/// Ends it all, also where a thread panics.
struct End<'a>(&'a Stage);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Counts the lines of the server since it last did, and keeps those that the latencies are from.
const COUNT: &str = r#"
journalctl --quiet --cursor-file=/run/campaign/cursor --output=short-unix \
    _SYSTEMD_UNIT=dovecot.service SYSLOG_IDENTIFIER=dovecot |
    awk '/ Login: .* rip=PROBES/ { print >>"/run/campaign/probes" } END { print NR }'
"#;

/// What the journal and the service have of a client, to find out what went wrong.
const WHAT_IS_KNOWN: &str = r#"
journalctl --quiet --since=-4min --output=short-precise >/run/campaign/said
sessions=$(sed -n 's/.* rip=CLIENT,.*session=\(<[^>]*>\)$/\1:/p' /run/campaign/said)
grep --fixed-strings -e '=CLIENT,' -e ' CLIENT:' -e 'caught up' -e 'damaged' -e ']: reloaded' -e 'restart counter' \
    -e 'Stopping' -e 'expire' -e "${sessions:-of no session}" /run/campaign/said
pop-before-smtp list --json | grep '"CLIENT"'
true
"#;

impl Stage {
    fn set(pace: Pace) -> Self {
        let settings = format!("grace = \"{}s\"\n", pace.grace.as_secs());
        let host = Host::with_service(Release::any(), &settings);
        // Old files of the journal go while it is read.
        host.write_file(
            "/etc/systemd/journald.conf.d/load.conf",
            "[Journal]\nSystemMaxUse=500M\n",
        );
        host.sh("systemctl restart systemd-journald && mkdir /run/campaign");
        host.sh(senders::PREPARE);
        // A unit of Dovecot's name without Dovecot: its lines are believed. journald drops none of them.
        host.sh(
            "systemctl stop dovecot.socket dovecot; rm -f {/lib/systemd/system,/etc/systemd/system/*.wants}/dovecot.* /etc/init.d/dovecot
             systemctl daemon-reload",
        );
        let lines = drops::pipe(&host, "dovecot", &["LogRateLimitIntervalSec=1us"]);
        let stage = Stage {
            server: Mutex::new(Server::new(lines, pace.grace)),
            answers: senders::Answers::default(),
            pace,
            begin: Instant::now(),
            over: AtomicBool::new(false),
            is_spared: AtomicBool::new(false),
            kills: Mutex::default(),
            restarts: Mutex::default(),
            regulars: Mutex::default(),
            found: AtomicUsize::new(0),
            faults: Mutex::default(),
            notes: Mutex::default(),
            host,
        };
        // Dovecot itself has written some.
        stage.count();
        stage.found.store(0, Ordering::Relaxed);
        stage
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    fn note(&self, note: String) {
        self.notes.lock().unwrap().push(note);
    }

    /// Something that must not be; it ends the campaign.
    fn fault(&self, fault: String) {
        let fault = format!("after {:.1} s: {fault}", self.seconds());
        eprintln!("{fault}");
        self.faults.lock().unwrap().push(fault);
        drop(End(self));
    }

    fn was_killed_within(&self, time: Duration) -> bool {
        let kills = self.kills.lock().unwrap();
        kills.last().is_some_and(|kill| kill.elapsed() < time)
    }

    /// Does something again and again.
    fn every(&self, pause: Duration, mut act: impl FnMut()) {
        let mut next = Instant::now() + pause;
        while self.goes_on() {
            if Instant::now() >= next {
                act();
                next += pause;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&self) {
        if !self.is_spared.load(Ordering::Relaxed) {
            let kill = [
                "systemctl",
                "kill",
                "--kill-who=main",
                "--signal=KILL",
                "pop-before-smtp",
            ];
            let before = self.host.service_property("MainPID");
            if self.host.try_run(&kill).succeeded() {
                let (when, at) = (Instant::now(), self.seconds());
                self.kills.lock().unwrap().push(when);
                wait_until("the service is back", 2 * self.pace.bound, || {
                    let now = self.host.service_property("MainPID");
                    let is_another = now != "0" && now != before;
                    (is_another && self.host.is_active()).then_some(())
                });
                let back = (at, when.elapsed().as_secs_f64());
                self.restarts.lock().unwrap().push(back);
            }
        }
    }

    /// How many reloads were done: none is while the service is away.
    fn reloads(&self) {
        let mut done = 0;
        self.every(self.pace.reload, || {
            done += usize::from(self.host.systemctl("reload").succeeded());
        });
        self.note(format!("{done} reloads"));
    }

    fn rotations(&self) {
        let mut done = 0;
        self.every(self.pace.rotate, || {
            self.host.run(&["journalctl", "--rotate"]);
            done += 1;
            self.count();
        });
        self.note(format!("{done} rotations of the journal"));
    }

    fn count(&self) {
        let found = self.host.sh(&COUNT.replace("PROBES", latency::PROBES));
        self.found
            .fetch_add(found.trim().parse().unwrap(), Ordering::Relaxed);
    }

    /// Who is listed. It may be killed before it has said all.
    fn listed(&self) -> BTreeSet<String> {
        wait_until("a list of all clients", self.pace.bound, || {
            let mut listed = BTreeSet::new();
            let mut service =
                Service::connect_for(&self.host.path(SOCKET), self.pace.bound).ok()?;
            let told = service.clients(&Filter::default(), |client| {
                listed.insert(client.client.to_string());
                Ok::<_, AskError>(())
            });
            told.ok().map(|()| listed)
        })
    }

    /// Compares with the model; says who may relay for sure.
    fn look(&self, what: &str, who: impl FnOnce() -> BTreeSet<String>) -> BTreeSet<String> {
        let before = SystemTime::now();
        let listed = who();
        let entitled = &self.server().entitled;
        let surely = entitled.long(before - self.pace.bound, SystemTime::now());
        let perhaps = entitled.perhaps(before - self.pace.bound);
        for (wrong, which) in [
            (surely.difference(&listed), "missing"),
            (listed.difference(&perhaps), "too many"),
        ] {
            let wrong: Vec<&String> = wrong.collect();
            if !wrong.is_empty() {
                let some = &wrong[..wrong.len().min(10)];
                let number = wrong.len();
                for client in some.iter().take(3) {
                    let known = self.host.sh(&WHAT_IS_KNOWN.replace("CLIENT", client));
                    eprintln!("of {client} is known:\n{known}");
                }
                self.fault(format!(
                    "of {} in the {what}, {number} are {which}: {some:?}",
                    listed.len()
                ));
            }
        }
        surely
    }

    fn looks(&self, plan: &mut Plan) -> Vec<(f64, f64)> {
        let (mut sizes, mut sure) = (Vec::new(), 0);
        while self.goes_on() && plan.goes_on() {
            self.is_spared
                .store(plan.share() >= 0.75, Ordering::Relaxed);
            let next = Instant::now() + self.pace.look;
            let mut size = 0;
            let map = || {
                let clients: BTreeSet<String> = self.host.map_clients().into_iter().collect();
                size = clients.len();
                clients
            };
            sure = sure.max(self.look("map", map).len());
            let surely = self.look("list", || self.listed());
            *self.regulars.lock().unwrap() = surely.into_iter().collect();
            sizes.push((self.seconds(), size as f64));
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        assert!(sure > 1000, "only {sure} could be missing from the map");
        sizes
    }
}

/// What was measured.
struct Measured {
    samples: Vec<Sample>,
    sizes: Vec<(f64, f64)>,
    arrivals: Vec<latency::Arrival>,
}

fn play(stage: &Stage, plan: &mut Plan) -> Measured {
    thread::scope(|scope| {
        let _end = End(stage);
        let mut random = || fastrand::Rng::with_seed(plan.random.u64(..));
        let mut threads = Vec::new();
        let writer = random();
        threads.push(scope.spawn(|| guarded(stage, || lines::write(stage, writer))));
        for number in 0..senders::SESSIONS {
            let random = random();
            threads
                .push(scope.spawn(move || guarded(stage, || senders::send(stage, number, random))));
        }
        threads
            .push(scope.spawn(|| guarded(stage, || stage.every(stage.pace.kill, || stage.kill()))));
        threads.push(scope.spawn(|| guarded(stage, || stage.reloads())));
        threads.push(scope.spawn(|| guarded(stage, || stage.rotations())));
        let samples = scope.spawn(|| guarded(stage, || samples::sample(stage)));
        let arrivals = scope.spawn(|| guarded(stage, || latency::probe(stage)));
        let sizes = stage.looks(plan);
        drop(End(stage));
        for thread in threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        Measured {
            samples: samples.join().unwrap(),
            sizes,
            arrivals: arrivals.join().unwrap(),
        }
    })
}

/// A thread that panics takes the others along.
fn guarded<T>(stage: &Stage, act: impl FnOnce() -> T) -> T {
    struct Unless<'a>(&'a Stage);
    impl Drop for Unless<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                drop(End(self.0));
            }
        }
    }
    let _unless = Unless(stage);
    act()
}

fn drawing(
    measured: &Measured,
    latencies: &BTreeMap<&str, Vec<Latency>>,
    restarts: &[Latency],
    seconds: f64,
) -> String {
    let mut panels = vec![Panel {
        title: "clients in the map".to_owned(),
        lines: vec![Line {
            name: String::new(),
            points: measured.sizes.clone(),
        }],
    }];
    for (kind, (name, ..)) in KINDS.iter().enumerate() {
        let points = measured
            .samples
            .iter()
            .map(|(at, values)| (*at, values[kind]));
        panels.push(Panel {
            title: (*name).to_owned(),
            lines: vec![Line {
                name: String::new(),
                points: points.collect(),
            }],
        });
    }
    panels.push(Panel {
        title: "from a login's entry to where it counts, seconds".to_owned(),
        lines: latencies
            .iter()
            .map(|(name, points)| Line {
                name: (*name).to_owned(),
                points: points.clone(),
            })
            .collect(),
    });
    panels.push(Panel {
        title: "from a kill until it is ready, seconds".to_owned(),
        lines: vec![Line {
            name: String::new(),
            points: restarts.to_vec(),
        }],
    });
    let kills: Vec<f64> = restarts.iter().map(|(kill, _)| *kill).collect();
    let caption = "The most of each stretch of time. Red: the service is killed.";
    plot::draw(&panels, seconds, &kills, caption)
}

/// Tells what was measured, and draws it if that is wanted; says what has grown.
fn report(stage: &Stage, plan: &Plan, measured: &Measured, lasted: f64) -> Vec<String> {
    let written = stage.server().written;
    let restarts = stage.restarts.lock().unwrap().clone();
    eprintln!("{}, {lasted:.0} s: {written} lines", plan.describe());
    let (told, grown) = samples::growth(&measured.samples, lasted, plan.is_long());
    for note in stage.notes.lock().unwrap().iter().chain(&told) {
        eprintln!("{note}");
    }
    eprintln!("{:?}", stage.answers);
    let probes = stage.host.sh("cat /run/campaign/probes");
    let latencies = latency::latencies(&measured.arrivals, &probes);
    let tell = |what: &str, took: &[Latency]| {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|part| share(took, part));
        let number = took.len();
        eprintln!("{what}: {number}, p50 {half:.3} s, p99 {most:.3} s, longest {all:.3} s");
    };
    for (name, latencies) in &latencies {
        tell(&format!("from a login's entry to the {name}"), latencies);
    }
    tell("from a kill until it is ready", &restarts);
    if let Ok(path) = std::env::var(PLOT) {
        fs::write(path, drawing(measured, &latencies, &restarts, lasted)).unwrap();
    }
    grown
}

#[test]
fn under_load_nobody_is_lost_and_nothing_grows() {
    let mut plan = Plan::new(SHORT);
    let mut stage = Stage::set(if plan.is_long() { LONG } else { FAST });
    stage.begin = Instant::now();
    plan.begins();
    let measured = play(&stage, &mut plan);
    let lasted = stage.seconds();
    stage.count();
    let grown = report(&stage, &plan, &measured, lasted);
    let faults = stage.faults.lock().unwrap().clone();
    assert!(faults.is_empty(), "{}: {faults:?}", plan.describe());
    assert!(grown.is_empty(), "{}: {grown:?}", plan.describe());
    let answers = &stage.answers;
    assert!(answers.due().iter().all(|due| *due > 20), "{answers:?}");

    drops::what_is_dropped_is_told(&stage);
    // In the end, everybody is out.
    stage.server().start();
    let soon = stage.pace.grace + stage.pace.bound + SOON;
    wait_until("nobody is left", soon, || {
        (stage.listed().is_empty() && stage.host.map_clients().is_empty()).then_some(())
    });
    let status = stage.host.status();
    let is_well = status.problems.is_empty() && status.sessions == 0;
    assert!(is_well, "{status:?}");
    // What the server has written is in the journal, to the last line.
    stage.count();
    let written = stage.server().written;
    assert_eq!(stage.found.load(Ordering::Relaxed), written);
}
