//! Forms of Dovecot's lines beside those that its definition has as examples: orders of fields, time
//! stamps, prefixes and reasons that administrators and releases choose.

use std::collections::BTreeMap;

use super::load::BUILT_IN;
use super::{Definition, Recogniser};

/// What each message means, in words; nothing if it means nothing.
fn assert_meanings(identifier: &str, expected: &[(&str, &str)]) {
    let text = BUILT_IN.iter().find(|(name, _)| *name == "dovecot");
    let definition = Definition::parse(text.unwrap().1).unwrap();
    let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| Some(0));
    for (message, says) in expected {
        let verdict = recogniser.recognise(identifier, message.as_bytes());
        let meaning = verdict.map_or_else(String::new, |verdict| verdict.meaning.to_string());
        assert_eq!(meaning, *says, "{message}");
    }
}

#[rustfmt::skip]
#[test]
fn fields_stand_in_any_order_with_other_names_beside_the_users() {
    assert_meanings("dovecot", &[
        ("pop3-login: Login: user=<alice>, method=APOP, rip=192.0.2.10, lip=192.0.2.1, mpid=1, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: auth_user=<admin>, user=<alice>, method=PLAIN, rip=192.0.2.10, session=<Ml2YQQNh69rAAAIK>, TLS", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: user=<alice>, original_user=<al, ice>, session=<Ml2YQQNh69rAAAIK>, rip=192.0.2.10", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: session=<Ml2YQQNh69rAAAIK>, user=<alice>, master=<admin>, rip=192.0.2.10", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: session=<Ml2YQQNh69rAAAIK>, user=<alice>, method=PLAIN, rip=192.0.2.10", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: rip=192.0.2.10, user=<alice>, auth_user=<admin>, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: session=<Ml2YQQNh69rAAAIK>, rip=192.0.2.10, user=<alice>, auth_user=<admin>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: rip=192.0.2.10, session=<Ml2YQQNh69rAAAIK>, user=<alice>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: proxy(alice,127.0.0.1:143): Started proxying to <127.0.0.1> (0.058 secs): user=<alice>, orig_user=<alice*admin>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: proxy(alice,192.0.2.80:143): Started proxying to <192.0.2.80> (<mail.example.org>) from 192.0.2.1 as user bob (master admin) (0.058 secs, 1 reconnects): user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("pop3-login: proxy(alice): started proxying to 192.0.2.80:110/bob (master admin): user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
    ]);
}

#[rustfmt::skip]
#[test]
fn what_became_of_a_login_may_stand_at_the_end() {
    assert_meanings("dovecot", &[
        ("imap-login: user=<alice@example.org>, method=PLAIN, rip=192.0.2.14, lip=192.0.2.14, secured Login", "a login of 192.0.2.14, user alice@example.org"),
        ("imap-login: Info: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, mpid=1, TLS, session=<Ml2YQQNh69rAAAIK> Logged in", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("pop3-login: rport=1, user=<alice>, orig_user=<a*b>, rip=192.0.2.10 Login", "a login of 192.0.2.10, user alice"),
        ("imap-login: user=<x>, rip=203.0.113.9, TLS Login>, rip=192.0.2.10, TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) Login", ""),
        ("imap-login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS, session=<Ml2YQQNh69rAAAIK> proxy(alice,127.0.0.1:143): Disconnected by client (0s idle, in=202, out=537)", "a logout of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-login: user=<x, rip=203.0.113.9, TLS Login>, rip=192.0.2.10 Disconnected", ""),
        ("imap-login: user=<alice>, rip=192.0.2.10, TLS proxy(alice,127.0.0.1:143): Login failed: [AUTH] no, TLS Login", ""),
        ("imap-login: user=<alice>, rip=192.0.2.10, TLS proxy(x): Started proxying to y,127.0.0.1:143): Login failed: z", ""),
        ("submission-login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS Login", ""),
    ]);
}

#[rustfmt::skip]
#[test]
fn under_a_login_process_identifier_the_message_is_all_there_is() {
    assert_meanings("pop3-login", &[
        ("Info: Logged in: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, mpid=12, TLS, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK"),
        ("Aborted login (auth failed, 1 attempts): user=<alice>, method=PLAIN, rip=192.0.2.10", ""),
    ]);
}

#[test]
fn times_have_many_forms() {
    let rest = "imap-login: Info: Login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS, session=<Ml2YQQNh69rAAAIK>";
    for time in [
        "2026-11-27T10:00:00+01:00 ",
        "2026-11-27T10:00:00Z ",
        "2026-11-27 10:00:00 CET ",
        "2026-11-27T10:00:00.123+0100",
        "2026/11/27 10:00:00 ",
        "[2026-11-27 10:00:00] ",
        "Nov 27 2026 10:00:00 ",
    ] {
        let says = "a login of 192.0.2.10, user alice, session Ml2YQQNh69rAAAIK";
        assert_meanings("dovecot", &[(&format!("{time}{rest}"), says)]);
    }
}

#[rustfmt::skip]
#[test]
fn ends_have_many_prefixes_and_reasons() {
    assert_meanings("dovecot", &[
        ("2026-11-27T10:00:00imap(alice)<12><Ml2YQQNh69rAAAIK>: Info: Disconnected: Logged out in=1 out=2", "a logout, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap(alice): session=h6/hvXfOIQBAjhIX Disconnected: Logged out in=94 out=968", "a logout, user alice"),
        ("pop3(alice)<Ml2YQQNh69rAAAIK> [2001:db8::1]: Disconnected: Logged out top=0/0, retr=0/0, del=0/0, size=0", "a logout, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap(alice)<12><Ml2YQQNh69rAAAIK><mx1.example.org>: Connection closed", "a logout, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-hibernate(alice)<2411><Ml2YQQNh69rAAAIK>: Failed to recreate imap process: Too many connections in=1532 out=9841", "a logout, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap-hibernate(alice): Shutting down in=1 out=2", "a logout, user alice"),
        ("imap(alice)<12><Ml2YQQNh69rAAAIK>: Kicked in=1 out=2 deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0", "a logout, user alice, session Ml2YQQNh69rAAAIK"),
        ("imap(a(b)<12><Ml2YQQNh69rAAAIK>: Mailbox is gone rcvd=50, sent=475", "a logout, user a(b, session Ml2YQQNh69rAAAIK"),
        ("imap(alice): Shutting down in=120 out=757", "a logout, user alice"),
        ("POP3(alice): Mailbox is gone bytes=1/2", "a logout, user alice"),
        ("service=pop3, user=alice, ip=[192.0.2.10]. Mailbox is gone rcvd=6, sent=30, top=0/0, retr=0/0, del=0/0", "a logout of 192.0.2.10, user alice"),
        ("imap(alice)<12><Ml2YQQNh69rAAAIK>: Warning: x in=1 out=2", ""),
        ("imap(alice)<12><Ml2YQQNh69rAAAIK>: Debug: Namespace x top=0/0, retr=0/0, del=0/0, size=0", ""),
        ("imap(alice)<12><Ml2YQQNh69rAAAIK>: expunge: box=INBOX, uid=1, msgid=<x>, size=1, subject=x top=0/0, retr=0/0, del=0/0, size=0", ""),
        ("imap(alice)<12><Ml2YQQNh69rAAAIK>: ID sent: name=x, version=in", ""),
        ("imap(alice): Error: chdir(/home/x): no in=1 out=2", ""),
        ("imap: Error: x in=1 out=2", ""),
        ("lmtp(alice)<12><Ml2YQQNh69rAAAIK>: Disconnect from 192.0.2.10: Logged out in=1 out=2", ""),
        ("imap(alice)<12><>: Disconnected: Logged out in=1 out=2", ""),
    ]);
}
