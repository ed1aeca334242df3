//! The check that the old daemon's users made by hand: no mail without a login, mail after it, no mail
//! when the grace is over. packaging/try shows this story.

use std::time::{Duration, Instant};

use crate::host::{Host, NEAR};
use crate::image::Release;
use crate::mail::{Answer, fetch_mail, send_mail_with_transcript};

const GRACE: Duration = Duration::from_secs(10);

fn tell(text: &str) {
    println!("\n=== {text}");
}

fn show(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

/// The lines of the conversation with Postfix that matter: who speaks, to whom, and the answer.
fn send(host: &Host, client: &str, expected: Answer) {
    let (answer, transcript) = send_mail_with_transcript(host, client);
    let told = transcript
        .lines()
        .skip_while(|line| !line.contains("MAIL FROM"));
    let told: Vec<&str> = told.take_while(|line| !line.contains("DATA")).collect();
    show(&told.join("\n"));
    assert_eq!(answer, expected, "{transcript}");
    show(match answer {
        Answer::Accepted => "=> accepted",
        Answer::Refused => "=> refused",
    });
}

#[test]
fn the_seeds_check() {
    let release = Release::any();
    tell(&format!(
        "A Debian {} host boots, with Postfix and Dovecot.",
        release.name()
    ));
    let host = Host::boot(release);
    show(&host.run(&["postconf", "mail_version", "mynetworks"]));
    show(&host.run(&["dovecot", "--version"]));

    tell(&format!(
        "The package is installed, with a grace of {GRACE:?} instead of 30 minutes."
    ));
    host.write_file(
        crate::service::SETTINGS,
        &format!("grace = \"{}s\"\n", GRACE.as_secs()),
    );
    let said = host.install_package();
    show(&said);
    host.obey(&said);
    show(&host.run(&[
        "systemctl",
        "--no-pager",
        "status",
        "pop-before-smtp.service",
    ]));

    for client in NEAR {
        tell(&format!("{client} sends mail without having logged in."));
        send(&host, client, Answer::Refused);
    }
    let mut logged_in = Instant::now();
    for client in NEAR {
        tell(&format!("{client} fetches its mail over POP3."));
        show(&fetch_mail(&host, client));
        logged_in = Instant::now();
    }
    host.await_clients(&NEAR);
    tell("Who may relay now:");
    show(&host.run(&["pop-before-smtp", "list"]));
    show(&host.run(&["pop-before-smtp", "status"]));
    for client in NEAR {
        tell(&format!("{client} sends mail."));
        send(&host, client, Answer::Accepted);
    }

    tell("The grace is waited out.");
    host.await_clients_for(&[], GRACE + Duration::from_secs(10));
    let waited = logged_in.elapsed();
    assert!(waited >= GRACE, "the grace ended after {waited:?}");
    assert!(
        waited < GRACE + Duration::from_secs(5),
        "the grace ended only after {waited:?}"
    );
    show(&host.run(&["pop-before-smtp", "list"]));
    for client in NEAR {
        tell(&format!("{client} sends mail again."));
        send(&host, client, Answer::Refused);
    }

    tell("What the service wrote to the journal:");
    show(&host.service_journal().join("\n"));
    let story = host.journal(&[&format!("POP_BEFORE_SMTP_CLIENT={}", NEAR[0])]);
    tell(&format!("And of {} alone:", NEAR[0]));
    show(&story.join("\n"));
    assert!(story.len() >= 2, "added and removed, at least: {story:?}");
    assert!(host.status().problems.is_empty());
}
