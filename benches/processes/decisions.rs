//! The policy socket under load: decisions a second, and how long one takes.

use std::path::Path;
use std::time::Duration;

use crate::Bench;
use crate::journal::{Contents, Ends, client};
use crate::load::{self, Load, Question};
use crate::process::Setup;
use crate::table::{Row, median, seconds, share, thousands};

/// So many smtpd processes ask at once.
const CONNECTIONS: usize = 500;
/// Decisions a second.
const GOAL: f64 = 50_000.0;
/// How long all but one decision in a hundred may take.
const PATIENCE: Duration = Duration::from_millis(5);

/// What is asked of a socket: the service's, or the bare one.
type Ask<'a> = Box<dyn Fn(&Path, &[Question]) -> Load + 'a>;

/// Decisions over one connection and over many, beside a socket that only ever answers DUNNO.
pub fn decisions(bench: &Bench) -> Vec<Row> {
    let (clients, count, duration) = if bench.options.quick {
        (100, 6_400, Duration::from_millis(200))
    } else {
        (1_000, 192_000, Duration::from_secs(3))
    };
    let journal = bench.journal(Contents {
        sessions: clients,
        clients,
        ends: Ends::Theirs,
        noise: 0,
    });
    let setup = Setup::new(journal.path(), "");
    let running = setup.start();
    let service = setup.path("policy");
    let bare = setup.path("bare");
    load::bare::serve(&bare);
    // Every second client is not listed.
    let questions: Vec<Question> = (0..64)
        .map(|n| Question::about(client(n * clients / 64 + n % 2 * clients), n % 2 == 0))
        .collect();
    let dunno: Vec<Question> = (0..64)
        .map(|n| Question::about(client(clients + n), false))
        .collect();
    let measure = |ask: Ask| {
        let runs: Vec<[Load; 2]> = (0..bench.options.runs)
            .map(|_| [ask(&service, &questions), ask(&bare, &dunno)])
            .collect();
        [0, 1].map(|n| {
            let rates: Vec<f64> = runs.iter().map(|loads| loads[n].rate()).collect();
            let late: Vec<Duration> = runs
                .iter()
                .filter(|loads| !loads[n].latencies.is_empty())
                .map(|loads| share(&loads[n].latencies, 0.99))
                .collect();
            (median(&rates), (!late.is_empty()).then(|| median(&late)))
        })
    };
    let one = |count| move |socket: &Path, q: &[Question]| load::one_by_one(socket, q, count);
    let many = |rate| {
        move |socket: &Path, q: &[Question]| load::at_once(socket, q, CONNECTIONS, rate, duration)
    };
    let rows = vec![
        row(
            "policy decisions over one connection, pipelined",
            measure(Box::new(|socket, q| load::pipelined(socket, q, count))),
            Goal::Rate,
        ),
        row(
            "the same, one after the other, as one smtpd asks",
            measure(Box::new(one(count / 4))),
            Goal::None,
        ),
        row(
            &format!("policy decisions over {CONNECTIONS} connections, as many as it can"),
            measure(Box::new(many(None))),
            Goal::Rate,
        ),
        row(
            &format!("the same at {} a second", thousands(GOAL as u64)),
            measure(Box::new(many(Some(GOAL)))),
            Goal::Latency,
        ),
    ];
    running.stop();
    rows
}

enum Goal {
    None,
    Rate,
    Latency,
}

fn row(what: &str, [ours, theirs]: [(f64, Option<Duration>); 2], goal: Goal) -> Row {
    let text = |(rate, late): (f64, Option<Duration>)| {
        let late = late.map_or_else(String::new, |late| format!(", p99 {}", seconds(late)));
        format!("{} a second{late}", thousands(rate as u64))
    };
    let (goal, holds) = match goal {
        Goal::None => (String::new(), None),
        Goal::Rate => (
            format!("{} a second", thousands(GOAL as u64)),
            Some(ours.0 >= GOAL),
        ),
        // A service that falls behind answers fewer than it is asked.
        Goal::Latency => (
            format!("p99 below {}", seconds(PATIENCE)),
            ours.1.map(|late| late < PATIENCE && ours.0 > 0.98 * GOAL),
        ),
    };
    Row {
        what: what.to_owned(),
        measured: text(ours),
        peer: format!("a server that always says DUNNO: {}", text(theirs)),
        ratio: format!("{:.2}", ours.0 / theirs.0),
        goal,
        holds,
    }
}
