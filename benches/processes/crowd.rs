//! A million clients: whether Postfix has its answers in time while all of them are published, while
//! they expire in one second, and while they are listed.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::Bench;
use crate::journal::{Contents, Ends, client};
use crate::journal_files::JournalFiles;
use crate::load::{self, Question};
use crate::process::{Running, Setup, timed};
use crate::table::{Row, median, seconds, share, thousands};

/// So many smtpd processes ask.
const CONNECTIONS: usize = 50;
/// Together, so many questions a second.
const RATE: f64 = 2_000.0;
/// Between two looks at whether all have expired.
const PAUSE: Duration = Duration::from_millis(100);
/// How long all but one answer in a hundred may take, whatever else is under way.
const LIMIT: Duration = Duration::from_millis(5);
/// How soon a list begins.
const FIRST_LINE: Duration = Duration::from_millis(100);
/// How much memory the service may take for a list, in bytes.
const FOR_A_LIST: u64 = 4_000_000;
/// The clients log in within this time, and so their graces end within it.
const SPAN: SignedDuration = SignedDuration::from_secs(1);
/// Whom we allow by hand, so that there is somebody to say OK to throughout.
const ALLOWED: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// How long answers took.
struct Answers(Vec<Duration>);

/// Asks at the rate while something is done.
fn ask_while<T>(setup: &Setup, questions: &[Question], act: impl FnOnce() -> T) -> (Answers, T) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let goes_on = || !done.load(Ordering::Relaxed);
        let asking = scope.spawn(move || {
            let socket = setup.path("policy");
            load::at_once_while(&socket, questions, CONNECTIONS, Some(RATE), &goes_on)
        });
        let result = act();
        done.store(true, Ordering::Relaxed);
        (Answers(asking.join().unwrap().latencies), result)
    })
}

/// How many clients the service lists, and how many were in the map that it published last.
fn clients(setup: &Setup) -> [u64; 2] {
    let output = setup.ask("status").arg("--json").output().unwrap();
    // That max-session is short is a problem to it, and its exit status 1.
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |n: &serde_json::Value| n.as_u64().unwrap_or_else(|| panic!("{status:#}"));
    [
        number(&status["clients"]),
        number(&status["last-publication"]["clients"]),
    ]
}

/// A list as it comes: when the first line of it is there, when the last is, and how many there are.
fn list(setup: &Setup) -> (Duration, Duration, usize) {
    let start = Instant::now();
    let mut list = setup.ask("list").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(list.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let first = start.elapsed();
    let mut lines = 1;
    let mut room = [0; 1 << 16];
    loop {
        let length = output.read(&mut room).unwrap();
        lines += room[..length].iter().filter(|b| **b == b'\n').count();
        if length == 0 {
            break;
        }
    }
    assert!(list.wait().unwrap().success());
    (first, start.elapsed(), lines)
}

/// The most memory that the service has while something is done.
fn most_memory<T>(running: &Running, act: impl FnOnce() -> T) -> (u64, T) {
    let most = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(running.anonymous_memory(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let result = act();
        done.store(true, Ordering::Relaxed);
        (most.load(Ordering::Relaxed), result)
    })
}

/// Answers to Postfix beside a publication, an expiry and a list of all clients.
pub fn crowd(bench: &Bench) -> Vec<Row> {
    // For how long they ask in quiet; and so long after the service has started, nobody expires.
    let (number, quiet, peace) = if bench.options.quick {
        (10_000, 1, 20)
    } else {
        (1_000_000, 5, 120)
    };
    let quiet = Duration::from_secs(quiet);
    let peace = SignedDuration::from_secs(peace);
    let contents = Contents {
        sessions: number,
        clients: number,
        ends: Ends::None,
        noise: 0,
    };
    // Logins from so long ago open no session.
    let max_session = SignedDuration::from_mins(1);
    let begin = Timestamp::now() - max_session - SPAN * 2;
    let journal = JournalFiles::none();
    journal.add_written("mail.journal", |to| contents.export(begin, SPAN, to));
    let expiry = Timestamp::now() + peace;
    let grace = format!("{}s", expiry.duration_since(begin).as_secs());
    let setup = Setup::with_grace(
        journal.path(),
        &grace,
        "max-session = \"1m\"\nlimits.clients = 2_000_000",
    );
    let running = setup.start();
    assert_eq!(clients(&setup), [u64::from(number); 2]);

    let questions = |listed: fn(u32) -> IpAddr| -> Vec<Question> {
        let about = |n: u32| match n % 2 {
            0 => Question::about(listed(n), true),
            _ => Question::about(client(number + n), false),
        };
        (0..64).map(about).collect()
    };
    let all = questions(|n| client(n * 100));

    let (quiet, ()) = ask_while(&setup, &all, || thread::sleep(quiet));
    let (publishing, published_in) = ask_while(&setup, &all, || {
        let mut allow = setup.ask("allow");
        allow.args([&ALLOWED.to_string(), "--for", "1h"]);
        timed(allow.stdout(Stdio::null()))
    });

    let memory = running.anonymous_memory();
    let (most, (listing, (first, last, lines))) =
        most_memory(&running, || ask_while(&setup, &all, || list(&setup)));
    assert!(lines > number as usize);
    let for_the_list = most.saturating_sub(memory);

    let peace = expiry.duration_since(Timestamp::now()) - SignedDuration::from_secs(1);
    assert!(peace.is_positive(), "they expire before we have measured");
    thread::sleep(peace.unsigned_abs());
    assert_eq!(clients(&setup)[0], u64::from(number) + 1);
    let staying = questions(|_| ALLOWED);
    let since = || {
        let since = Timestamp::now().duration_since(expiry + SPAN);
        since.unsigned_abs()
    };
    let (expiring, (removed, withdrawn)) = ask_while(&setup, &staying, || {
        let await_one = |which: usize| {
            while clients(&setup)[which] != 1 {
                thread::sleep(PAUSE);
            }
            since()
        };
        (await_one(0), await_one(1))
    });
    running.stop();
    assert_eq!(setup.clients_in_map(), 1);

    let number = thousands(number.into());
    let row = |what: String, answers: &Answers| Row {
        what: format!(
            "policy answers at {} a second over {CONNECTIONS} connections while {what}",
            thousands(RATE as u64)
        ),
        measured: answers.to_string(),
        peer: format!("in quiet: {quiet}"),
        ratio: format!(
            "{:.1}",
            answers.late().as_secs_f64() / quiet.late().as_secs_f64()
        ),
        goal: format!("p99 below {}", seconds(LIMIT)),
        holds: Some(answers.late() < LIMIT),
    };
    vec![
        row(
            format!(
                "a map of {number} clients is published ({})",
                seconds(published_in)
            ),
            &publishing,
        ),
        row(
            format!(
                "{number} clients expire in one second (removed {} later, from the map {})",
                seconds(removed),
                seconds(withdrawn)
            ),
            &expiring,
        ),
        row(format!("`list` shows {number} clients"), &listing),
        Row {
            what: format!("`list` of {number} clients"),
            measured: format!(
                "first line after {}, last after {}; the service takes {} kB more",
                seconds(first),
                seconds(last),
                thousands(for_the_list / 1000)
            ),
            goal: format!(
                "first line before {}, at most {} kB",
                seconds(FIRST_LINE),
                thousands(FOR_A_LIST / 1000)
            ),
            holds: Some(first < FIRST_LINE && for_the_list <= FOR_A_LIST),
            ..Row::default()
        },
    ]
}

impl Answers {
    fn late(&self) -> Duration {
        share(&self.0, 0.99)
    }
}

impl std::fmt::Display for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "p50 {}, p99 {}, longest {}",
            seconds(median(&self.0)),
            seconds(self.late()),
            seconds(share(&self.0, 1.0))
        )
    }
}
