//! From a login to Postfix, live: real journald, Dovecot and Postfix on a booted host, and the service
//! as its package installs it.
//!
//! A login's time is when Dovecot's log process wrote the line: the kernel stamps it, and journald
//! keeps the stamp (_SOURCE_REALTIME_TIMESTAMP). Host and measuring have one clock.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pop_before_smtp::diagnostics::message_id;

use crate::Bench;
use crate::clients::{Clients, among_clients};
use crate::follower::Follower;
use crate::host::{Host, wait_until};
use crate::image::Release;
use crate::journal::client;
use crate::load::{Question, Questioner};
use crate::service::{SOON, STATE};
use crate::table::{Row, median, seconds, share, thousands};

/// Between two looks at what is waited for.
pub const PAUSE: Duration = Duration::from_micros(100);

/// Microseconds since 1970, as the journal counts.
type Microseconds = u64;

/// A host whose journald keeps whatever is written, however fast.
fn boot(settings: &str) -> Host {
    let host = Host::with_service(Release::any(), settings);
    unlimited_journal(&host);
    add_addresses(&host);
    host
}

/// journald keeps whatever is written, however fast.
pub fn unlimited_journal(host: &Host) {
    host.write_file(
        "/etc/systemd/journald.conf.d/bench.conf",
        "[Journal]\nRateLimitIntervalSec=0\n",
    );
    host.run(&["systemctl", "restart", "systemd-journald"]);
}

/// The clients of the tests have fewer addresses.
pub fn add_addresses(host: &Host) {
    host.sh(
        "for n in $(seq 61 250); do echo address add 192.0.2.$n/24 dev clients; done |
             ip -n clients -batch -
         for n in $(seq 1000 1250); do echo address add 2001:db8::$n/64 dev clients nodad; done |
             ip -n clients -batch -",
    );
}

pub fn now() -> Microseconds {
    since_1970(SystemTime::now())
}

fn since_1970(time: SystemTime) -> Microseconds {
    time.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// The entries that `matches` selects, with these fields; when each was written comes first.
fn entries(host: &Host, matches: &[&str], field: &str) -> Vec<(Microseconds, String)> {
    let command = [&["journalctl", "--quiet", "--output=json"], matches].concat();
    let lines = host.run(&command);
    let entries = lines.lines().filter_map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        Some((
            text("_SOURCE_REALTIME_TIMESTAMP")?.parse().unwrap(),
            text(field)?,
        ))
    });
    entries.collect()
}

/// When Dovecot wrote the login of each client.
pub fn logins_written(host: &Host) -> BTreeMap<IpAddr, Microseconds> {
    let messages = entries(host, &["--identifier=dovecot"], "MESSAGE");
    let logins = messages
        .iter()
        .filter_map(|(time, message)| Some((client_of(message)?, *time)));
    logins.collect()
}

/// Whose login this message tells of.
fn client_of(message: &str) -> Option<IpAddr> {
    let message = message.strip_prefix("imap-login: ")?;
    // Dovecot 2.3 and 2.4.
    let login =
        (message.strip_prefix("Login: ")).or_else(|| message.strip_prefix("Logged in: "))?;
    let (_, rest) = login.split_once("rip=")?;
    rest.split_once(',')?.0.parse().ok()
}

/// The publications so far: when each was over, and how many clients the map had then.
fn publications(host: &Host) -> Vec<(Microseconds, usize)> {
    let id = format!("MESSAGE_ID={}", message_id::PUBLISHED);
    entries(host, &[&id], "POP_BEFORE_SMTP_CLIENTS")
        .into_iter()
        .map(|(time, clients)| (time, clients.parse().unwrap()))
        .collect()
}

/// How a client came to be permitted.
struct Permitted {
    client: IpAddr,
    /// When the first connection that was permitted was opened.
    opened: Microseconds,
    /// And when Postfix said so.
    answered: Microseconds,
}

/// Lines as Dovecot writes them, one login for each of these clients.
fn login_lines(clients: std::ops::Range<u32>, session: &str) -> Vec<String> {
    clients
        .map(|n| {
            format!(
                "imap-login: Login: user=<user{n}@example.org>, method=PLAIN, rip={}, \
                 lip=192.0.2.1, mpid={n}, TLS, session=<{session}{n}>",
                client(n)
            )
        })
        .collect()
}

/// Waits until the map has at least so many clients.
fn await_map(host: &Host, clients: usize) {
    wait_until("they are in the map", SOON * 3, || {
        publications(host)
            .last()
            .is_some_and(|(_, published)| *published >= clients)
            .then_some(())
    });
}

pub fn microseconds(from: Microseconds, until: Microseconds) -> Duration {
    Duration::from_micros(until.saturating_sub(from))
}

/// From the line of a login to the policy's OK.
pub fn to_the_policy(bench: &Bench) -> Vec<Row> {
    let samples = if bench.options.quick { 5 } else { 200 };
    let limit = Duration::from_millis(10);
    // Where there is a map too, it is looked more often than Postfix asks.
    let host = boot("publish = [\"policy\"]\n");
    let policy = host
        .directory()
        .join("root/var/spool/postfix/pop-before-smtp/policy");
    let mut questioner = Questioner::connect(&policy);
    let network = host.clients_network();
    let granted: Vec<(IpAddr, Microseconds)> = among_clients(&network, |clients| {
        (0..samples)
            .map(|n| {
                let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 11 + n));
                let question = Question::about(client, true);
                assert!(!questioner.grants(&question), "{client} has not logged in");
                let login = clients.begin_login(client);
                let patience = Instant::now() + SOON;
                while !questioner.grants(&question) {
                    assert!(Instant::now() < patience, "{client} may not relay");
                    sleep(PAUSE);
                }
                let granted = now();
                login.finish();
                // Each begins in peace.
                sleep(Duration::from_millis(20));
                (client, granted)
            })
            .collect()
    });
    let written = logins_written(&host);
    let took: Vec<Duration> = granted
        .iter()
        .map(|(client, granted)| microseconds(written[client], *granted))
        .collect();
    let late = share(&took, 0.99);
    vec![Row {
        what: format!("login line written by Dovecot, until the policy says OK ({samples} logins)"),
        measured: format!("p50 {}, p99 {}", seconds(median(&took)), seconds(late)),
        goal: format!("p99 below {}", seconds(limit)),
        holds: Some(late < limit),
        ..Row::default()
    }]
}

/// From the line of a login to the first SMTP connection that the map permits, with many clients: as
/// shipped; and where the service waits until journald tells it, from when any reader of the journal
/// is told, as nobody who waits for that can do anything about what was before.
pub fn to_the_map(bench: &Bench) -> Vec<Row> {
    let samples = if bench.options.quick { 3 } else { 100 };
    let listed = 1_000;
    // What is said of Postfix's answers is to be the map's doing: the policy is left out.
    let host = boot("publish = [\"map\"]\n[map]\ndebounce = \"0s\"\n");
    // Our clients send nothing once they may: after a hundred of them Postfix would hold up each by a
    // second, until it had passed on as many mails.
    host.run(&["postconf", "in_flow_delay=0"]);
    host.run(&["postfix", "reload"]);
    host.as_dovecot(&login_lines(0..listed, "m"));
    await_map(&host, listed as usize);
    let mut postmap = postmap_runs(&host, listed);
    let map = host.path(&format!("{STATE}/{}", host.map_index()));
    // A map takes the place of the one before it.
    let the_map = || fs::metadata(&map).unwrap().ino();
    let network = host.clients_network();
    let shipped: Vec<Permitted> = among_clients(&network, move |clients| {
        let log_in = |n| {
            let before = the_map();
            log_in_and_send(clients, numbered(n), || the_map() != before)
        };
        (0..samples).map(log_in).collect()
    });
    host.write_file(
        "/etc/pop-before-smtp/config.d/look.toml",
        "[journal]\nlook-every = \"\"\n",
    );
    host.systemctl("reload");
    let reloaded = format!("MESSAGE_ID={}", message_id::RELOADED);
    wait_until("it has taken that", SOON, || {
        (!entries(&host, &[&reloaded], "MESSAGE").is_empty()).then_some(())
    });
    let follower = Follower::start(&host, "dovecot");
    let (waiting, told): (Vec<Permitted>, Vec<Microseconds>) =
        among_clients(&network, move |clients| {
            let log_in = |n| {
                let client = numbered(n);
                let of_client = |message: &str| client_of(message) == Some(client);
                let before = the_map();
                let mut told = None;
                let permitted = log_in_and_send(clients, client, || {
                    told = told.or_else(|| follower.told(of_client));
                    // Once the work has begun, to connect again and again would hold it up.
                    told.is_none() || the_map() != before
                });
                let told = told.unwrap_or_else(|| follower.await_told(SOON, of_client));
                (permitted, since_1970(told))
            };
            (samples..2 * samples).map(log_in).unzip()
        });
    // Before and behind: the machine has its moods.
    postmap.extend(postmap_runs(&host, listed));
    let postmap = median(&postmap);
    let written = logins_written(&host);
    let written = |permitted: &[Permitted]| -> Vec<Microseconds> {
        permitted.iter().map(|p| written[&p.client]).collect()
    };
    let row = |what: &str, permitted: &[Permitted], from: &[Microseconds], others: &str| {
        let took = |until: fn(&Permitted) -> Microseconds| -> Vec<Duration> {
            let pairs = from.iter().zip(permitted);
            pairs
                .map(|(from, p)| microseconds(*from, until(p)))
                .collect()
        };
        let (opened, answered) = (took(|p| p.opened), took(|p| p.answered));
        let late = share(&opened, 0.99);
        let limit = 3.0;
        let ratio = late.as_secs_f64() / postmap.as_secs_f64();
        Row {
            what: format!(
                "{what}, until a new SMTP connection is permitted through the map, {} clients \
                 listed ({samples} logins, one after the other, no debounce)",
                thousands(listed.into())
            ),
            measured: format!(
                "p50 {}, p99 {} (answered: p99 {})",
                seconds(median(&opened)),
                seconds(late),
                seconds(share(&answered, 0.99))
            ),
            peer: format!(
                "one `postmap` run of that size: {}{others}",
                seconds(postmap)
            ),
            ratio: format!("{ratio:.2}"),
            goal: format!("p99 below {limit} times"),
            holds: Some(ratio < limit),
        }
    };
    let until_told: Vec<Duration> = written(&waiting)
        .iter()
        .zip(&told)
        .map(|(written, told)| microseconds(*written, *told))
        .collect();
    let others = format!(
        "; from the line until that: p50 {}, p99 {}",
        seconds(median(&until_told)),
        seconds(share(&until_told, 0.99))
    );
    vec![
        row(
            "login line written by Dovecot",
            &shipped,
            &written(&shipped),
            "",
        ),
        Row {
            goal: String::new(),
            holds: None,
            ..row(
                "with `journal.look-every = \"\"`, from when `journalctl --follow` shows the line",
                &waiting,
                &told,
                &others,
            )
        },
    ]
}

/// A client that `boot` has given an address: written like decimal numbers.
fn numbered(n: u16) -> IpAddr {
    let last = u16::from_str_radix(&(1000 + n).to_string(), 16).unwrap();
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
}

/// A client logs in and connects to Postfix, again and again while that is worth trying, until it
/// may relay.
fn log_in_and_send(
    clients: &Clients,
    client: IpAddr,
    mut is_worth_trying: impl FnMut() -> bool,
) -> Permitted {
    assert!(!clients.may_relay(client), "{client} has not logged in");
    let login = clients.begin_login(client);
    let patience = Instant::now() + SOON;
    let opened = loop {
        if is_worth_trying() {
            let opened = now();
            if clients.may_relay(client) {
                break opened;
            }
        }
        assert!(Instant::now() < patience, "{client} may not relay");
        sleep(PAUSE);
    };
    let answered = now();
    login.finish();
    sleep(Duration::from_millis(50));
    Permitted {
        client,
        opened,
        answered,
    }
}

/// How long postmap takes for a map of so many clients on the host.
fn postmap_runs(host: &Host, clients: u32) -> Vec<Duration> {
    let source: Vec<String> = (0..clients).map(|n| format!("{} OK", client(n))).collect();
    host.write_file("/var/tmp/bench", &source.join("\n"));
    let runs = host.sh(&format!(
        "for n in $(seq 21); do
             begin=$EPOCHREALTIME; postmap {}:/var/tmp/bench; end=$EPOCHREALTIME
             echo $((${{end/./}} - ${{begin/./}}))
         done",
        host.map_type()
    ));
    runs.lines()
        .map(|line| Duration::from_micros(line.parse().unwrap()))
        .collect()
}

/// How often the map is published: for logins that only prolong, and for many clients in a second.
pub fn publishing(bench: &Bench) -> Vec<Row> {
    let many: u32 = if bench.options.quick { 100 } else { 1_000 };
    let host = boot("");
    let count = || publications(&host).len();

    host.as_dovecot(&login_lines(0..many, "a"));
    await_map(&host, many as usize);
    let before = count();
    let asked = jiff::Timestamp::now();
    host.as_dovecot(&login_lines(0..many, "b"));
    wait_until("all logins are known", SOON, || {
        let list = host.list();
        list.iter()
            .all(|listed| listed.last_login >= Some(asked))
            .then_some(())
    });
    // Longer than the debounce: whatever is due has been done then.
    sleep(Duration::from_secs(3));
    let prolonging = count() - before;

    let before = count();
    let begin = Instant::now();
    let tenth = many / 10;
    for part in 0..10 {
        sleep(
            (begin + Duration::from_millis(100) * part).saturating_duration_since(Instant::now()),
        );
        let first = many + part * tenth;
        host.as_dovecot(&login_lines(first..first + tenth, "c"));
    }
    await_map(&host, 2 * many as usize);
    let all = publications(&host);
    let over = all
        .iter()
        .find(|(_, clients)| *clients >= 2 * many as usize);
    let runs = all.len() - before;
    let lines = entries(&host, &["--identifier=dovecot"], "MESSAGE");
    let new: Vec<Microseconds> = lines
        .iter()
        .filter(|(_, message)| message.contains("session=<c"))
        .map(|(time, _)| *time)
        .collect();
    let (first, last) = (*new.iter().min().unwrap(), *new.iter().max().unwrap());
    let took = microseconds(last, over.unwrap().0);
    let limit = Duration::from_secs(2);
    vec![
        Row {
            what: format!(
                "{} logins that prolong: `postmap` runs",
                thousands(many.into())
            ),
            measured: prolonging.to_string(),
            goal: "none".to_owned(),
            holds: Some(prolonging == 0),
            ..Row::default()
        },
        Row {
            what: format!(
                "{} new clients within {}: `postmap` runs, and from the last line to its being in \
                 the map",
                thousands(many.into()),
                seconds(microseconds(first, last))
            ),
            measured: format!("{runs}, {}", seconds(took)),
            goal: format!("at most 3 runs, below {}", seconds(limit)),
            holds: Some(runs <= 3 && took < limit),
            ..Row::default()
        },
    ]
}
