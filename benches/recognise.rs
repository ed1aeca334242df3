//! What it costs to recognise a login and to reject another line: nanoseconds a line, and the
//! ratio of all definitions to Dovecot's alone on Dovecot's lines.
//!
//! `cargo bench --bench recognise`

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use pop_before_smtp::servers::{BUILT_IN, Recogniser, load};

const LOGIN: &str = "imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, \
                     mpid=67, TLS, session=<mpyWQQNhtdPAAAIK>";
const LOGOUT: &str = "imap(alice)<67><mpyWQQNhtdPAAAIK>: Disconnected: Logged out in=8 out=480 \
                      deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0";
const FAILURE: &str = "imap-login: Disconnected: Aborted login by logging out (auth failed, 1 \
                       attempts in 4 secs): user=<alice>, method=PLAIN, rip=192.0.2.10, \
                       lip=192.0.2.1, TLS, session=<izHXQQNhnYvAAAIK>";
const OTHER: &str = "auth-worker(204): conn unix:auth-worker (pid=199,uid=101): auth-worker<21>: \
                     pam(alice,192.0.2.10,<..>): pam_authenticate() failed";

/// Lines in one measurement, and measurements of which the median counts.
const LINES: u32 = 20_000;
const ROUNDS: usize = 15;

fn recogniser(names: &[String]) -> Recogniser {
    let definitions = load(names, Path::new("/nonexistent")).expect("built-in definitions");
    Recogniser::new(definitions, &BTreeMap::new(), |_| Some(0))
}

/// Nanoseconds a line, the median of all rounds.
fn measure(recogniser: &Recogniser, line: &str) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..LINES {
                black_box(recogniser.recognise("dovecot", black_box(line.as_bytes())));
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(LINES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn main() {
    let all: Vec<String> = BUILT_IN
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let alone = recogniser(&["dovecot".to_owned()]);
    let together = recogniser(&all);
    println!(
        "{:<28} {:>10} {:>14} {:>8}",
        "ns a line", "dovecot", "all of them", "ratio"
    );
    for (what, line) in [
        ("a login, recognised", LOGIN),
        ("a logout, recognised", LOGOUT),
        ("a failed login, rejected", FAILURE),
        ("another line, rejected", OTHER),
    ] {
        let (one, many) = (measure(&alone, line), measure(&together, line));
        println!("{what:<28} {one:>10.0} {many:>14.0} {:>8.2}", many / one);
    }
}
