//! Memory and start of a service that knows many clients.

use std::time::Duration;

use crate::Bench;
use crate::journal::{Contents, Ends};
use crate::process::Setup;
use crate::table::{Row, median, seconds, thousands};

const MEGABYTE: u64 = 1_000_000;

/// How many clients, and how much memory may be in use for them.
const SIZES: [(u32, u64); 3] = [
    (1_000, 8 * MEGABYTE),
    (100_000, 60 * MEGABYTE),
    (1_000_000, 500 * MEGABYTE),
];

/// A login for each client; and a logout, unless their sessions are to stay open.
fn contents(clients: u32, ends: Ends) -> Contents {
    Contents {
        sessions: clients,
        clients,
        ends,
        noise: 0,
    }
}

/// Anonymous memory at several sizes: after all were read from the journal, and after a start that
/// read them from the store. The larger counts.
pub fn anonymous(bench: &Bench) -> Vec<Row> {
    let sizes = if bench.options.quick {
        &SIZES[..1]
    } else {
        &SIZES[..]
    };
    let wanted: Vec<(Contents, u64)> = sizes
        .iter()
        .flat_map(|(clients, goal)| {
            [Ends::Theirs, Ends::None].map(|ends| (contents(*clients, ends), *goal))
        })
        .collect();
    let rows = wanted.into_iter().map(|(contents, goal)| {
        let journal = bench.journal(contents);
        let setup = Setup::new(journal.path(), "");
        let [read, loaded] = [(); 2].map(|()| {
            let running = setup.start();
            let memory = running.anonymous_memory();
            running.stop();
            memory
        });
        assert_eq!(setup.clients_in_map(), contents.clients as usize);
        let sessions = match contents.ends {
            Ends::None => "each with an open session",
            _ => "sessions over",
        };
        let most = read.max(loaded);
        let megabytes = |bytes| bytes as f64 / MEGABYTE as f64;
        Row {
            what: format!(
                "anonymous memory with {} clients, {sessions}",
                thousands(contents.clients.into())
            ),
            measured: format!(
                "{:.1} MB ({:.1} MB after a restart)",
                megabytes(read),
                megabytes(loaded)
            ),
            ratio: format!("{} bytes a client", most / u64::from(contents.clients)),
            goal: format!("below {} MB", goal / MEGABYTE),
            holds: Some(most < goal),
            ..Row::default()
        }
    });
    rows.collect()
}

/// From the start of the process until it says that it is ready, with clients in its store.
pub fn start(bench: &Bench) -> Vec<Row> {
    let clients = if bench.options.quick { 1_000 } else { 100_000 };
    let limit = Duration::from_secs(1);
    let journal = bench.journal(contents(clients, Ends::Theirs));
    let setup = Setup::new(journal.path(), "");
    let first = setup.start();
    let caught_up = first.ready_after;
    first.stop();
    let starts: Vec<Duration> = (0..bench.options.runs)
        .map(|_| {
            let running = setup.start();
            let ready_after = running.ready_after;
            running.stop();
            ready_after
        })
        .collect();
    assert_eq!(setup.clients_in_map(), clients as usize);
    let ready_after = median(&starts);
    let ratio = ready_after.as_secs_f64() / caught_up.as_secs_f64();
    vec![Row {
        what: format!(
            "start with {} clients in the store, until ready",
            thousands(clients.into())
        ),
        measured: seconds(ready_after),
        peer: format!("first start, from the journal: {}", seconds(caught_up)),
        ratio: format!("{ratio:.2}"),
        goal: "below 1 s".to_owned(),
        holds: Some(ready_after < limit),
    }]
}
