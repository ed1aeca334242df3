//! What `test` shows of a journal, beside journalctl, which reads the same entries and prints them.

use std::process::Stdio;
use std::time::Duration;

use crate::Bench;
use crate::catch_up::printed;
use crate::journal::{Contents, Ends};
use crate::process::{Setup, timed};
use crate::table::{Row, in_turn, thousands};

/// Logins and logouts; and logouts that wait in vain for their logins.
pub fn test(bench: &Bench) -> Vec<Row> {
    let (sessions, clients) = if bench.options.quick {
        (2_500, 500)
    } else {
        (250_000, 50_000)
    };
    let pairs = Contents {
        sessions,
        clients,
        ends: Ends::Theirs,
        noise: 0,
    };
    let strangers = Contents {
        ends: Ends::Others,
        ..pairs
    };
    let journals = bench.journals(&[pairs, strangers]);
    let kinds = [
        (&journals[0], pairs, "half of them logins"),
        (&journals[1], strangers, "of sessions that never pair"),
    ];
    let rows = kinds.map(|(journal, contents, what)| {
        let setup = Setup::new(journal.path(), "");
        check(&setup, contents);
        let (ours, theirs) = in_turn(
            bench.options.runs,
            || shown(&setup),
            || printed(journal.path()),
        );
        let entries = thousands(contents.entries().into());
        Row::at_most(
            format!("`test` over {entries} entries of Dovecot, {what}"),
            ours,
            ("`journalctl -t dovecot -o cat >/dev/null`", theirs),
            1.2,
        )
    });
    rows.into()
}

/// How long it takes to show all that the definitions take.
fn shown(setup: &Setup) -> Duration {
    timed(&mut setup.command("test"))
}

/// It finds each login and each logout, and tells of the logouts whose they are.
fn check(setup: &Setup, contents: Contents) {
    let output = setup.command("test").stdout(Stdio::piped()).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let sessions = contents.sessions as usize;
    let found = format!(": {sessions} logins, {sessions} logouts, ");
    assert!(text.lines().last().unwrap().contains(&found));
    let unknown = text.matches(" logout  - ").count();
    let expected = match contents.ends {
        Ends::Others => sessions,
        _ => 0,
    };
    assert_eq!(unknown, expected);
}
