//! The service on booted Debian hosts, with real Postfix and Dovecot. Each test is a story on a host
//! of its own; `tests/run` runs them all. They need root, and the package in `POP_BEFORE_SMTP_DEB`
//! (those of rpm also `POP_BEFORE_SMTP_RPM` and `POP_BEFORE_SMTP_NEXT_RPM`, those of the source package
//! `POP_BEFORE_SMTP_DSC`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test cannot do without fails the test"
)]

mod host;
mod image;
mod joined;
mod mail;
mod service;

mod activation;
mod administration;
mod attacks;
mod bug_report;
mod by_hand;
mod clocks;
mod configuration;
mod containers;
mod cost;
mod debian;
mod doctor;
mod journal;
mod journal_lines;
mod laboratory;
mod logins;
mod many_hosts;
mod migration;
mod package;
mod policy;
mod publication;
mod readme;
mod restarts;
mod rpm;
mod servers;
mod story;
mod trust;
mod varlink;
mod without_postfix;
