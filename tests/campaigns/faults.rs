//! One thing after the other is broken on a running host. For each: nobody relays who may not, `status`
//! says what is wrong, and once it is mended nothing is lost. What the host says is written down in
//! faults.md, for people, and compared with it ever after.

mod said;
mod table;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::host::{Host, look_until};
use crate::image::Release;
use crate::service::{SOON, STATE};
use said::{Row, doctor, journal, status};
use table::{FAULTS, Fault, Form, Login, Map, SHOWN_ELSEWHERE, Shows};

const GRACE: Duration = Duration::from_secs(2);
/// How much later than its grace a client may be out of the map where nothing keeps it in: the service may
/// have to start, or the timer to take over.
const LATE: Duration = Duration::from_secs(10);
/// A map that can be published is, so soon after a login.
const PUBLISHED: Duration = Duration::from_secs(3);
/// A fault may have to last until the watchdog has had its turn.
const LASTS: Duration = Duration::from_secs(100);
/// A retry may be a quarter of a minute away, and the start of the service some seconds.
const MENDED: Duration = Duration::from_secs(60);
/// Its session is open all the time.
const ALLOWED: &str = "192.0.2.60";
/// It never may.
const STRANGER: &str = "192.0.2.59";
/// Writes the table, and does not compare it.
const WRITE: &str = "POP_BEFORE_SMTP_CAMPAIGN_WRITE";
/// Plays the faults with this in their name, of either form.
const ONLY: &str = "POP_BEFORE_SMTP_CAMPAIGN_ONLY";
/// Plays the long form.
const ROUNDS: &str = "POP_BEFORE_SMTP_CAMPAIGN_ROUNDS";
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/campaigns/faults.md");

/// What the scripts of the table know.
const WORDS: &str = r#"
S=/var/lib/pop-before-smtp
INDEX=@INDEX@ TYPE=@TYPE@ STRANGER=@STRANGER@
PID=$(systemctl show --value --property=MainPID pop-before-smtp.service)
# A system call of the service fails from now on; with ":" it takes half a minute.
inject() {
    local call=$1 how=error=$2; shift 2
    [ "$how" != error=: ] || how=delay_enter=30000000
    systemd-run --quiet --unit=inject --property=KillMode=process strace --follow-forks --attach=$PID \
        --output=/dev/null --trace=$call --inject=$call:$how "$@"
    for n in $(seq 50); do
        ! grep --quiet 'TracerPid:.0$' /proc/$PID/status || { sleep 0.1; continue; }
        return 0
    done
    return 1
}
spare() {
    systemctl stop inject
    # strace may leave a thread stopped.
    kill -CONT $PID
}
"#;

/// A host on which logins are made by lines of a unit that Dovecot's trust, without a Dovecot.
struct Campaign {
    host: Host,
    lines: File,
    words: String,
    table: String,
    session: u64,
    /// What `doctor` says before anything is broken.
    doctor: Vec<String>,
}

/// What becomes of a client when its map and its policy socket are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Permitted,
    NotThere,
    NoMap,
}

impl Campaign {
    fn begin() -> Self {
        let settings = format!("grace = \"{}s\"\n", GRACE.as_secs());
        let host = Host::with_service(Release::any(), &settings);
        host.sh("systemctl stop dovecot && mkfifo /run/lines");
        host.sh(
            "systemd-run --quiet --unit=dovecot-log --property=SyslogIdentifier=dovecot \
             --property=StandardInput=file:/run/lines --property=LogRateLimitIntervalSec=0 cat",
        );
        let lines = OpenOptions::new().write(true).open(host.path("/run/lines"));
        // A state directory that is a small file system of its own.
        host.systemctl("stop");
        host.sh(&format!(
            "cp -a {STATE} /var/tmp/state
             mount -t tmpfs -o size=24m,mode=755 tmpfs {STATE}
             cp -a /var/tmp/state/. {STATE}"
        ));
        host.systemctl("start");
        let (index, kind) = (host.map_index(), host.map_type());
        let words = WORDS.replace("@INDEX@", &index).replace("@TYPE@", &kind);
        let mut campaign = Campaign {
            lines: lines.unwrap(),
            words: words.replace("@STRANGER@", STRANGER),
            table: format!("{kind}:{STATE}/clients"),
            session: 0,
            doctor: Vec::new(),
            host,
        };
        campaign.log_in(ALLOWED);
        campaign.host.await_clients(&[ALLOWED]);
        campaign.doctor = doctor(&campaign.host);
        campaign
    }

    fn say(&mut self, line: &str) {
        writeln!(self.lines, "{line}").unwrap();
    }

    fn log_in(&mut self, client: &str) -> u64 {
        self.session += 1;
        let session = self.session;
        self.say(&format!(
            "imap-login: Login: user=<tom>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=7, TLS, \
             session=<s{session}>"
        ));
        session
    }

    fn log_out(&mut self, session: u64) {
        let line = format!("imap(tom)<7><s{session}>: Disconnected: Logged out in=1 out=2");
        self.say(&line);
    }

    /// What the map says of a client.
    fn map(&self, client: &str) -> Found {
        let asked = self
            .host
            .try_run(&[&self.host.real_postmap(), "-q", client, &self.table]);
        match (asked.code, asked.stdout.trim(), asked.stderr.trim()) {
            (Some(0), "OK", _) => Found::Permitted,
            (_, "", "") => Found::NotThere,
            _ => Found::NoMap,
        }
    }

    /// Whether the policy socket lets a client relay; none where it does not answer.
    fn policy(&self, client: &str) -> Option<bool> {
        let socket = "root/var/spool/postfix/pop-before-smtp/policy";
        let mut stream = UnixStream::connect(self.host.directory().join(socket)).ok()?;
        let patience = Some(Duration::from_secs(5));
        stream.set_read_timeout(patience).unwrap();
        write!(
            stream,
            "request=smtpd_access_policy\nclient_address={client}\n\n"
        )
        .ok()?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        (!answer.is_empty()).then(|| answer.starts_with("action=OK"))
    }

    /// Whether Postfix relays for a client.
    fn relays(&self, client: &str) -> bool {
        let asked = self.host.client(&[
            "swaks",
            "--server=192.0.2.1",
            &format!("--local-interface={client}"),
            "--helo=client.example.net",
            "--from=tom@mail.example.org",
            "--to=friend@example.com",
            "--quit-after=RCPT",
            "--timeout=5",
        ]);
        asked.succeeded()
    }

    fn script(&self, script: &str) {
        let script = format!("set -e\n{}\n{script}", self.words);
        let done = self.host.try_run(&["bash", "-c", &script]);
        assert!(done.succeeded(), "{script}: {}", done.transcript());
    }

    /// Breaks one thing, looks, and has it mended.
    fn play(&mut self, fault: &Fault, number: usize) -> Row {
        let (expired, new) = (
            format!("192.0.2.{}", 10 + number % 20),
            format!("192.0.2.{}", 30 + number % 20),
        );
        let what = fault.what;
        // One that has seen the map changed several times would not tell of each change any more.
        self.host.systemctl("restart");
        let begin = self.host.run(&["date", "+%s.%N"]);
        let session = self.log_in(&expired);
        self.host.await_clients(&sorted(&[ALLOWED, &expired]));
        self.log_out(session);
        let logged_out = Instant::now();
        self.script(fault.break_it);
        let session = self.log_in(&new);

        // It is seen.
        if fault.shows == Shows::Status {
            let patience = if fault.form == Form::Short {
                SOON
            } else {
                LASTS
            };
            let seen = look_until(patience, || status(&self.host).0.then_some(()));
            assert!(seen.is_some(), "{what}: status does not say it");
        }
        // Whose grace has passed is out, or is said to be in.
        let rest = (GRACE + Duration::from_secs(1)).saturating_sub(logged_out.elapsed());
        thread::sleep(rest);
        let is_told = || {
            let mut said = status(&self.host).1;
            // Where nobody can be asked, it is in the journal.
            if said.contains("does not answer") {
                said = journal(&self.host, &begin);
            }
            let words = ["may relay no more", "may no longer relay"];
            words.iter().any(|words| said.contains(words))
        };
        look_until(LATE, || {
            let is_out = self.map(&expired) != Found::Permitted;
            (is_out || fault.map == Map::Old && is_told()).then_some(())
        });
        let (is_ill, problems) = status(&self.host);
        let journal = journal(&self.host, &begin);
        let whose_grace_has_passed = match self.map(&expired) {
            Found::NoMap => "there is no map",
            Found::NotThere => "out in time",
            Found::Permitted => {
                assert!(
                    fault.map == Map::Untold || fault.map == Map::Old && is_told(),
                    "{what}: {expired} may not relay, and is in the map; {problems}; {journal}"
                );
                "still in the map"
            }
        };
        let policy = match self.policy(&expired) {
            Some(true) => panic!("{what}: the policy socket lets {expired} relay"),
            Some(false) => "not by the policy socket",
            None => "the policy socket is silent",
        };
        assert_eq!(is_ill, fault.shows == Shows::Status, "{what}: {problems}");
        if fault.shows == Shows::Journal {
            assert!(!journal.is_empty(), "{what}: nothing in the journal");
        }
        // Whether it has been published by now is a matter of a moment.
        if fault.map == Map::Right && fault.login == Login::Counts {
            look_until(PUBLISHED, || {
                (self.map(&new) == Found::Permitted).then_some(())
            });
        }
        let who_logs_in = match (self.map(&new), self.policy(&new)) {
            (Found::Permitted, _) => "in the map",
            (_, Some(true)) => "by the policy socket",
            (_, _) if fault.login == Login::Lost => "lost",
            (_, _) => "later",
        };
        // Nobody else, and who always may as long as there is a map.
        assert_ne!(self.map(STRANGER), Found::Permitted, "{what}");
        assert_ne!(self.policy(STRANGER), Some(true), "{what}");
        assert!(!self.relays(STRANGER), "{what}");
        if self.map(&expired) != Found::Permitted {
            assert!(!self.relays(&expired), "{what}");
        }
        let always = match (self.map(ALLOWED), self.relays(ALLOWED)) {
            (Found::NotThere | Found::NoMap, false) => "nobody",
            (Found::Permitted, true) => "may",
            (map, relays) => panic!("{what}: {ALLOWED}: {map:?}, and Postfix relays: {relays}"),
        };
        let doctor = doctor(&self.host);
        let found: Vec<_> = doctor.iter().filter(|p| !self.doctor.contains(p)).collect();
        let row = Row {
            what,
            promise: fault.promise,
            always,
            who_logs_in,
            whose_grace_has_passed: format!("{whose_grace_has_passed}, {policy}"),
            status: problems,
            doctor: found.into_iter().cloned().collect::<Vec<_>>().join(", "),
            journal,
            mend: fault.mend,
        };

        self.script(fault.mend_it);
        if fault.form == Form::Short {
            // It would be tried again by itself, as rows of the long form show. Whoever revokes waits for the map.
            let _ = self.host.try_run(&["pop-before-smtp", "revoke", STRANGER]);
        }
        let everybody = match fault.login {
            Login::Counts => sorted(&[ALLOWED, &new]),
            Login::Lost => vec![ALLOWED],
        };
        let mended = look_until(MENDED, || {
            (!status(&self.host).0).then_some(())?;
            (self.host.listed() == everybody && self.host.map_clients() == everybody).then_some(())
        });
        assert!(
            mended.is_some(),
            "{what}: mended, {everybody:?} are not in the map {:?}, or not in the list {}; {:?}",
            self.host.map_clients(),
            self.host.run(&["pop-before-smtp", "list"]),
            status(&self.host)
        );
        assert!(self.relays(ALLOWED), "{what}: mended");
        let counts = fault.login == Login::Counts;
        assert_eq!(self.relays(&new), counts, "{what}: mended");
        assert!(!self.relays(&expired), "{what}: mended");
        self.log_out(session);
        row
    }
}

fn sorted<'a>(clients: &[&'a str]) -> Vec<&'a str> {
    let mut sorted = clients.to_vec();
    sorted.sort_unstable();
    sorted
}

#[test]
fn whatever_is_broken_nobody_relays_who_may_not_and_it_is_said() {
    let only = std::env::var(ONLY).ok();
    let is_long = std::env::var(ROUNDS).is_ok();
    let wanted = |fault: &&Fault| match &only {
        Some(part) => fault.what.contains(part.as_str()),
        None => is_long || fault.form == Form::Short,
    };
    let mut campaign = Campaign::begin();
    let mut rows = Vec::new();
    for (number, fault) in FAULTS.iter().filter(wanted).enumerate() {
        let begin = Instant::now();
        let row = campaign.play(fault, number);
        eprintln!("{:>5.1} s  {}", begin.elapsed().as_secs_f64(), fault.what);
        rows.push(row);
        // The last one to log in is gone before the next begins.
        campaign.host.await_clients(&[ALLOWED]);
    }
    let written = fs::read_to_string(TABLE).unwrap_or_default();
    let all = FAULTS.iter().map(|fault| fault.what);
    let found = said::table(all, &rows, SHOWN_ELSEWHERE, &written);
    if std::env::var(WRITE).is_ok() {
        fs::write(TABLE, found).unwrap();
        return;
    }
    let differs: Vec<&str> = found
        .lines()
        .filter(|line| !written.lines().any(|old| old == *line))
        .collect();
    assert!(
        differs.is_empty(),
        "not as in {TABLE} ({WRITE}=1 writes it anew):\n{}",
        differs.join("\n")
    );
}
