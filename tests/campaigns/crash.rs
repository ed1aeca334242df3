//! The service is killed again and again, at random moments and before particular system calls in any of
//! its threads, amid logins, logouts, grants, revocations, reloads and publications. Afterwards, and at
//! each moment in between, what the map says is compared with who may relay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::entitled::{Between, Entitled};
use crate::host::{Host, wait_until};
use crate::image::Release;
use crate::plan::Plan;
use crate::service::SOON;

const GRACE: Duration = Duration::from_secs(6);
/// In the short form. Ten seconds are for the host.
const SHORT: Duration = Duration::from_secs(30);
/// A line is in the journal so soon after it was written.
const WRITTEN: Duration = Duration::from_secs(1);
/// How late a client may be out of the map: a restart, or the timer that takes over.
const LATE: Duration = Duration::from_secs(8);
/// For how long nothing is expected of a service that may just have been stopped.
const KEPT_AWAY: Duration = Duration::from_secs(5);
/// It may relay all the time.
const ALLOWED: &str = "192.0.2.60";
/// It never may.
const STRANGER: &str = "192.0.2.59";

/// The system calls before which the service is killed: where something is written, becomes visible, is
/// forgotten, or where a thread waits for what it has just done.
const CALLS: &[&str] = &[
    "pwrite64",
    "write",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "ftruncate",
    "rename",
    "renameat2",
    "link",
    "unlink",
    "openat",
    "close",
    "mkdir",
    "flock",
    "fcntl",
    "mmap",
    "pread64",
    "read",
    "sendmsg",
    "recvmsg",
    "accept4",
    "epoll_wait",
    "futex",
    "clone3",
    "vfork",
    "execve",
    "wait4",
    "waitid",
    "pipe2",
    "exit",
    "inotify_add_watch",
    "timerfd_settime",
];

/// What a shell says where the service never made the call.
const NOT_REACHED: i32 = 77;

/// How the service dies in a round.
#[derive(Debug)]
enum End {
    /// Killed after so many milliseconds.
    After(u64),
    /// Killed before the nth call of this name.
    Before(&'static str, u32),
    /// Killed, and so many milliseconds after the next process has begun, that one too: the service, or what
    /// ends grace in its absence, while it opens the store.
    Starting(u64),
    /// Its postmap is killed, and then itself.
    Postmap,
    /// Killed, and not started again for some seconds: the timer takes over.
    Away,
    /// Restarted in good order.
    Restart,
}

/// A host on which logins are made by lines of a unit that Dovecot's trust, without a Dovecot.
struct Campaign {
    host: Host,
    lines: File,
    entitled: Entitled,
    table: String,
    session: u64,
    marker: u32,
    /// Whether the service is being stopped for a while.
    is_kept_away: bool,
    ends: BTreeMap<String, usize>,
}

/// Looks at the map and at Postfix all the time, for a client that may relay and one that never may.
const WITNESSES: &str = r#"
mkdir /run/campaign
systemd-run --quiet --unit=witness-map bash -c '
    while :; do
        # One that was killed, as a postmap of the service was to be, has not been asked.
        said=$(postmap -q ALLOWED TABLE 2>&1)
        [ $? -gt 128 ] || [ "$said" = OK ] || echo "$(date +%T.%N) the map says of ALLOWED: $said" >>/run/campaign/bad
        said=$(postmap -q STRANGER TABLE 2>&1) || true
        [ "$said" = "" ] || echo "$(date +%T.%N) the map says of STRANGER: $said" >>/run/campaign/bad
        sleep 0.05
    done'
systemd-run --quiet --unit=witness-smtpd bash -c '
    ask() {
        ip netns exec clients swaks --server 192.0.2.1 --local-interface $1 --helo client.example.net \
            --from tom@mail.example.org --to friend@example.com --quit-after RCPT --timeout 20 2>&1
    }
    while :; do
        said=$(ask ALLOWED) || echo "$(date +%T) smtpd says to ALLOWED: $said" >>/run/campaign/bad
        said=$(ask STRANGER) && echo "$(date +%T) smtpd lets in STRANGER" >>/run/campaign/bad
        grep --quiet "554 5.7.1" <<<$said || echo "$(date +%T) smtpd to STRANGER: $said" >>/run/campaign/bad
        sleep 0.7
    done'
"#;

impl Campaign {
    fn begin() -> Self {
        let settings = format!("grace = \"{}s\"\n", GRACE.as_secs());
        let host = Host::with_service(Release::any(), &settings);
        // As shipped, it waits three seconds: most rounds need not.
        host.write_file(
            "/etc/systemd/system/pop-before-smtp.service.d/campaign.conf",
            "[Service]\nRestartSec=200ms\n",
        );
        host.sh("systemctl stop dovecot && systemctl daemon-reload && mkfifo /run/lines");
        // A unit whose lines are believed to be Dovecot's.
        host.sh(
            "systemd-run --quiet --unit=dovecot-log --property=SyslogIdentifier=dovecot \
             --property=StandardInput=file:/run/lines --property=LogRateLimitIntervalSec=0 cat",
        );
        let lines = OpenOptions::new().write(true).open(host.path("/run/lines"));
        let table = format!("{}:/var/lib/pop-before-smtp/clients", host.map_type());
        let mut campaign = Campaign {
            lines: lines.unwrap(),
            entitled: Entitled::new(GRACE),
            table,
            session: 0,
            marker: 0,
            is_kept_away: false,
            ends: BTreeMap::new(),
            host,
        };
        assert!(campaign.allow(ALLOWED, Duration::from_secs(6 * 24 * 3600)));
        let witnesses = WITNESSES.replace("ALLOWED", ALLOWED);
        let witnesses = witnesses.replace("STRANGER", STRANGER);
        let witnesses = witnesses.replace("TABLE", &campaign.table);
        campaign.host.sh(&witnesses);
        campaign
    }

    fn say(&mut self, line: &str) -> Between {
        let (said, when) = Between::around(|| writeln!(self.lines, "{line}"));
        said.unwrap();
        Between(when.0, when.1 + WRITTEN)
    }

    fn log_in(&mut self, client: &str) {
        self.session += 1;
        let when = self.say(&format!(
            "imap-login: Login: user=<tom>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=7, \
             TLS, session=<s{}>",
            self.session
        ));
        self.entitled.login(client, self.session, when);
    }

    fn log_out(&mut self, client: &str, session: u64) {
        let line = format!("imap(tom)<7><s{session}>: Disconnected: Logged out in=1 out=2");
        let when = self.say(&line);
        self.entitled.logout(client, session, when);
    }

    /// Whether the command has succeeded: the service may be killed while it waits.
    fn command(&self, arguments: &[&str]) -> bool {
        let command = [&["timeout", "20", "pop-before-smtp"], arguments].concat();
        self.host.try_run(&command).succeeded()
    }

    fn allow(&mut self, client: &str, for_: Duration) -> bool {
        let seconds = format!("{}s", for_.as_secs());
        let (done, when) = Between::around(|| self.command(&["allow", client, "--for", &seconds]));
        if done {
            self.entitled.allow(client, for_, when);
        }
        done
    }

    /// Something happens. Clients by hand are others than those who log in, so that a command that was
    /// killed says nothing of those.
    fn act(&mut self, plan: &mut Plan) {
        let client = format!("192.0.2.{}", 100 + plan.random.u8(..40));
        match plan.random.u8(..100) {
            0..50 => self.log_in(&client),
            50..88 => {
                let open = self.entitled.sessions();
                if !open.is_empty() {
                    let (client, session) = plan.one_of(&open);
                    self.log_out(&client, session);
                }
            }
            88..90 => {
                let line = "master: Dovecot v2.3.19.1 (9b53102964) starting up for imap, pop3";
                let when = self.say(line);
                self.entitled.start(when);
            }
            90..94 => {
                let client = format!("192.0.2.{}", 150 + plan.random.u8(..10));
                let for_ = Duration::from_secs(plan.random.u64(2..10));
                // One that was not done may have been, for as long.
                if !self.allow(&client, for_) {
                    self.host.sh("systemctl start pop-before-smtp");
                    while !self.allow(&client, for_) {}
                }
            }
            94..97 => {
                // What it said a moment ago may be read before or after.
                if self.entitled.quiet_for(&client) > 2 * WRITTEN {
                    self.settles();
                    while !self.command(&["revoke", &client]) {}
                    self.entitled.revoke(&client);
                }
            }
            97 => {
                let command: &[&str] = match plan.random.bool() {
                    true => &["systemctl", "reload", "pop-before-smtp"],
                    false => &["journalctl", "--rotate", "--vacuum-files=30"],
                };
                self.host.try_run(command);
            }
            _ => thread::sleep(Duration::from_millis(plan.random.u64(..200))),
        }
        thread::sleep(Duration::from_millis(plan.random.u64(..30)));
    }

    /// All lines so far have been read, and are in the map: so is the one that comes now.
    fn settles(&mut self) {
        self.marker += 1;
        let marker = format!("198.18.{}.{}", self.marker / 250, self.marker % 250 + 1);
        self.log_in(&marker);
        let session = self.session;
        let begin = Instant::now();
        while !self.host.map_permits(&marker) {
            if self.is_kept_away && begin.elapsed() > KEPT_AWAY {
                self.host.systemctl("start");
            }
            assert!(
                begin.elapsed() < 2 * SOON,
                "{marker} has logged in, and is not in the map: {}",
                (self.host)
                    .try_run(&["systemctl", "status", "--no-pager", "pop-before-smtp"])
                    .transcript()
            );
            thread::sleep(Duration::from_millis(20));
        }
        self.log_out(&marker, session);
    }

    /// Nobody is in the map who may not be, and the witnesses have seen nothing.
    fn nobody_is_in_by_mistake(&self, plan: &Plan) {
        let listed = self.host.map_clients();
        let since = SystemTime::now() - LATE;
        let may_be = self.entitled.perhaps(since);
        let leaked: Vec<&String> = listed
            .iter()
            .filter(|client| !may_be.contains(*client))
            .collect();
        assert!(
            leaked.is_empty(),
            "{}: in the map, and may not relay: {leaked:?}",
            plan.describe()
        );
        let bad = self.host.sh("cat /run/campaign/bad 2>/dev/null || true");
        assert!(bad.is_empty(), "{}: {bad}", plan.describe());
    }

    /// Who may relay is listed, and in the map.
    fn nobody_is_lost(&self, plan: &Plan) {
        let look = |what: &str, who: &dyn Fn() -> Vec<String>| {
            // By the end of looking, as grace goes on.
            let listed: BTreeSet<String> = who().into_iter().collect();
            let surely = self.entitled.surely(SystemTime::now() + WRITTEN);
            let lost: Vec<&String> = surely.difference(&listed).collect();
            assert!(
                lost.is_empty(),
                "{}: not in the {what}: {lost:?}",
                plan.describe()
            );
        };
        look("map", &|| self.host.map_clients());
        look("list", &|| self.host.listed());
    }

    /// Lets it happen, or arms what makes it happen.
    fn arm(&mut self, end: &End, process: u32) -> Child {
        let (arm, kind) = match end {
            End::After(milliseconds) => (
                format!(
                    "sleep {}.{:03}; kill -KILL {process}",
                    milliseconds / 1000,
                    milliseconds % 1000
                ),
                "at a random moment".to_owned(),
            ),
            End::Before(call, number) => (
                // strace is not ended before what it follows: it may leave a child stopped.
                format!(
                    "strace --follow-forks --attach={process} --output=/dev/null --trace={call} \
                     --inject={call}:signal=KILL:when={number} & strace=$!
                     for n in $(seq 40); do kill -0 $strace || exit 0; sleep 0.1; done
                     kill -KILL {process}; wait; exit {NOT_REACHED}"
                ),
                format!("before {call}"),
            ),
            End::Starting(milliseconds) => (
                format!(
                    "kill -KILL {process}
                     for n in $(seq 300); do
                         next=$(pgrep --euid pop-before-smtp --exact --newest pop-before-smtp) && break
                         sleep 0.01
                     done
                     sleep 0.{milliseconds:03}; kill -KILL $next"
                ),
                "and the next as it starts".to_owned(),
            ),
            End::Postmap => (
                format!(
                    "for n in $(seq 300); do pkill -KILL -x postmap && break; done; \
                     sleep 0.05; kill -KILL {process}"
                ),
                "and postmap before it".to_owned(),
            ),
            End::Away => (
                format!("sleep 0.4; kill -KILL {process}; systemctl stop pop-before-smtp"),
                "and kept away".to_owned(),
            ),
            End::Restart => (
                "sleep 0.3; systemctl restart pop-before-smtp".to_owned(),
                "not: restarted".to_owned(),
            ),
        };
        *self.ends.entry(kind).or_default() += 1;
        let mut armed = self.host.command(&["bash", "-c", &arm]);
        armed
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn play(&mut self, plan: &mut Plan) {
        let before = self.host.main_process();
        let end = match plan.random.u8(..20) {
            0..4 => End::After(plan.random.u64(..1200)),
            4 => End::Postmap,
            5 => End::Away,
            6 => End::Restart,
            7..9 => End::Starting(plan.random.u64(..40)),
            _ => End::Before(plan.one_of(CALLS), plan.random.u32(1..12)),
        };
        self.is_kept_away = matches!(end, End::Away);
        let mut armed = self.arm(&end, before);
        let begin = Instant::now();
        let is_over =
            |campaign: &Campaign| campaign.host.service_property("MainPID") != before.to_string();
        while begin.elapsed() < Duration::from_millis(1500) {
            for _ in 0..8 {
                self.act(plan);
            }
            if is_over(self) {
                break;
            }
        }
        if armed.wait().unwrap().code() == Some(NOT_REACHED) {
            let kind = "(of these, the call was not made so often: killed then)";
            *self.ends.entry(kind.to_owned()).or_default() += 1;
        }
        wait_until("it is over", SOON, || is_over(self).then_some(()));
        if let End::Away = end {
            let away = Instant::now();
            while away.elapsed() < GRACE {
                self.nobody_is_in_by_mistake(plan);
                thread::sleep(Duration::from_millis(300));
            }
            self.host.systemctl("start");
        }
        self.nobody_is_in_by_mistake(plan);
        wait_until("the service is back", SOON, || {
            (self.host.main_process() != before).then_some(())
        });
        self.settles();
        self.nobody_is_lost(plan);
        self.nobody_is_in_by_mistake(plan);
    }
}

#[test]
fn killed_at_any_moment_it_loses_nobody_and_leaks_nobody() {
    let mut plan = Plan::new(SHORT);
    let mut campaign = Campaign::begin();
    while plan.goes_on() {
        campaign.play(&mut plan);
    }
    // In the end, everybody is out.
    campaign
        .entitled
        .start(Between(SystemTime::now(), SystemTime::now()));
    campaign.say("master: Dovecot v2.3.19.1 (9b53102964) starting up for imap, pop3");
    let by_hand = [ALLOWED.to_owned()];
    wait_until("nobody is left", GRACE + LATE + SOON, || {
        (campaign.host.map_clients() == by_hand).then_some(())
    });
    eprintln!("{}: killed", plan.describe());
    for (kind, number) in &campaign.ends {
        eprintln!("{number:>6} {kind}");
    }
    let status = campaign.host.status();
    assert!(status.problems.is_empty(), "{status:?}");
    // It is made anew from the journal where it is damaged; but a kill damages nothing.
    let set_aside = campaign
        .host
        .path("/var/lib/pop-before-smtp/store.damaged")
        .exists();
    assert!(!set_aside, "{}: the store was damaged", plan.describe());
}
