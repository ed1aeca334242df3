//! The README's commands, in its order, on a host with the service. Those that build, install or
//! test are what the other tests and tests/run itself do.

use crate::host::{Host, NEAR};
use crate::image::Release;
use crate::mail::fetch_mail;

const README: &str = include_str!("../../README.md");

/// What is done by others: tests/run, packaging/try, and every test that installs the package.
const ELSEWHERE: [&str; 4] = ["packaging/", "tests/run", "apt install", "apt purge"];
/// Pieces of main.cf, and pictures.
const NO_COMMANDS: [&str; 3] = ["smtpd_relay_restrictions", "check_policy_service", " "];

/// The lines of the README's blocks that are commands for a host with the service.
fn commands() -> Vec<&'static str> {
    let blocks = README.split("\n```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines().skip(1));
    let is_command = |line: &&str| {
        let begins = |text: &&str| line.starts_with(text);
        !line.is_empty() && !ELSEWHERE.iter().any(begins) && !NO_COMMANDS.iter().any(begins)
    };
    lines.filter(is_command).collect()
}

#[test]
fn every_command_works_as_printed() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:#?}");
    let host = Host::with_service(Release::Bookworm, "");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    for command in commands {
        let finished = host.try_run(&["sh", "-c", command]);
        assert!(finished.succeeded(), "{command}\n{}", finished.transcript());
        println!("$ {command}\n{}", finished.transcript());
        let told = finished.stdout.as_str();
        let expected = match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["pop-before-smtp", "list"] => "192.0.2.10",
            ["pop-before-smtp", "status"] => "Problems: none",
            ["postmap", ..] => "OK",
            ["journalctl", field] if field.contains("CLIENT") => "added 192.0.2.10",
            ["pop-before-smtp", "test", "--since", "today"] => "1 login",
            ["echo", ..] => "login",
            _ => "",
        };
        assert!(told.contains(expected), "{command}: {told}");
    }
}
