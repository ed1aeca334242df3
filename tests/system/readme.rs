//! The README's sessions and commands on a host with the service: what a session shows is compared
//! with what is printed there, times aside. Commands that build, install or test are what the other
//! tests and tests/run itself do.

use regex::Regex;

use crate::host::{Host, NEAR};
use crate::image::Release;
use crate::mail::fetch_mail;

const README: &str = include_str!("../../README.md");

/// What is done by others: tests/run, packaging/try, benches/run, and every test that installs the
/// package.
const ELSEWHERE: [&str; 6] = [
    "packaging/",
    "tests/run",
    "benches/",
    "apt install",
    "apt purge",
    // On two hosts: many_hosts.rs.
    "pop-before-smtp store",
];
/// Pieces of main.cf, and pictures.
const NO_COMMANDS: [&str; 3] = ["smtpd_relay_restrictions", "check_policy_service", " "];

/// The blocks of the README, each with its language.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    let blocks = README.split("\n```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap())
}

/// The lines of the blocks that are commands for a host with the service.
fn commands() -> Vec<&'static str> {
    let lines = blocks()
        .filter(|(language, _)| language.is_empty())
        .flat_map(|(_, block)| block.lines());
    let is_command = |line: &&str| {
        let begins = |text: &&str| line.starts_with(text);
        !line.is_empty() && !ELSEWHERE.iter().any(begins) && !NO_COMMANDS.iter().any(begins)
    };
    lines.filter(is_command).collect()
}

/// The commands of the sessions, each with what is shown.
fn sessions() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut sessions: Vec<(&str, Vec<&str>)> = Vec::new();
    for (_, block) in blocks().filter(|(language, _)| *language == "console") {
        for line in block.lines() {
            match (line.strip_prefix("# "), sessions.last_mut()) {
                (Some(command), _) => sessions.push((command, Vec::new())),
                (None, Some((_, shown))) => shown.push(line),
                (None, None) => panic!("a session begins with a command: {line}"),
            }
        }
    }
    sessions
}

/// What matches a shown line: times, durations and pids are others each time, `…` is any text, and
/// columns may be wider. A line that is nothing but `…` stands for any number of lines.
fn expected(shown: &[&str]) -> Regex {
    let variable = Regex::new(concat!(
        r"(?<any>…)|(?<date>\d{4}-\d\d-\d\d)|(?<time>\d\d:\d\d(?::\d\d)?)|(?<took>\d+ ms)",
        r"|(?<month>[A-Z][a-z]{2} \d\d)|(?<pid>\[\d+\])|(?<gap> +)",
    ))
    .unwrap();
    let mut pattern = String::from(r"\A");
    for line in shown {
        if line.trim() == "…" {
            pattern += r"(?:.*\n)*?";
            continue;
        }
        let mut end = 0;
        for found in variable.captures_iter(line) {
            let whole = found.get(0).unwrap();
            pattern += &regex::escape(&line[end..whole.start()]);
            pattern += match &found {
                found if found.name("any").is_some() => ".*",
                found if found.name("date").is_some() => r"\d{4}-\d\d-\d\d",
                found if found.name("time").is_some() => r"\d\d:\d\d(?::\d\d)?",
                found if found.name("took").is_some() => r"\d+ ms",
                found if found.name("month").is_some() => r"[A-Z][a-z]{2} \d\d",
                found if found.name("pid").is_some() => r"\[\d+\]",
                _ => " +",
            };
            end = whole.end();
        }
        pattern += &regex::escape(&line[end..]);
        pattern += r" *\n";
    }
    Regex::new(&(pattern + r"\z")).unwrap()
}

#[test]
fn shown_lines_may_differ_in_times_only() {
    let shown = [
        "  Added: 2026-11-24 10:30:00, 1 client in 7 ms",
        "…",
        "end …",
    ];
    let is_like = |text: &str| expected(&shown).is_match(text);
    assert!(is_like(
        " Added: 2027-01-02 03:04:05, 1 client in 19 ms\nx\ny\nend of it\n"
    ));
    assert!(!is_like(
        " Added: 2027-01-02 03:04:05, 2 clients in 19 ms\nend of it\n"
    ));
    assert!(!is_like(
        " Added: 2027-01-02 03:04:05, 1 client in 19 ms\nend of it\nmore\n"
    ));
}

fn the_sessions_show_what_is_printed(host: &Host) {
    let sessions = sessions();
    assert!(sessions.len() >= 5, "{sessions:#?}");
    for (command, shown) in sessions {
        let finished = host.try_run(&["sh", "-c", command]);
        println!("# {command}\n{}", finished.transcript());
        let mut told = finished.stdout.clone();
        if !told.is_empty() && !told.ends_with('\n') {
            told.push('\n');
        }
        assert!(
            expected(&shown).is_match(&told),
            "{command} shows\n{told}\nand not, as in the README,\n{}",
            shown.join("\n")
        );
    }
}

#[test]
fn every_command_works_as_printed() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:#?}");
    let host = Host::with_service(Release::any(), "");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    the_sessions_show_what_is_printed(&host);
    host.write_file(
        "/etc/pop-before-smtp-conf.pl",
        include_str!("../migrate/pop-before-smtp-conf.pl"),
    );
    for command in commands {
        let finished = host.try_run(&["sh", "-c", command]);
        assert!(finished.succeeded(), "{command}\n{}", finished.transcript());
        println!("$ {command}\n{}", finished.transcript());
        let told = finished.stdout.as_str();
        let expected = match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["postmap", ..] => "OK",
            ["pop-before-smtp", "test", "--since", "today"] => "1 login",
            ["echo", ..] => "login",
            ["/usr/bin/pop-before-smtp", "migrate"] => "grace = \"45min\"",
            _ => "",
        };
        assert!(told.contains(expected), "{command}: {told}");
    }
}
