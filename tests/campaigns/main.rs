//! Campaigns of attack, on booted hosts: what is promised is compared with what happens, for as long as
//! there is time. `tests/run` plays the short form of each; README.md says how to play the long ones, and
//! what they found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a campaign cannot do without fails it"
)]
#![allow(
    dead_code,
    reason = "of what the system tests share, a campaign needs a part"
)]

#[path = "../system/host.rs"]
mod host;
#[path = "../system/image.rs"]
mod image;
#[path = "../system/mail.rs"]
mod mail;
#[path = "../system/service.rs"]
mod service;

#[path = "../../benches/processes/clients.rs"]
mod clients;

#[path = "../foreground/mod.rs"]
mod foreground;
#[path = "../journal_files/mod.rs"]
mod journal_files;

mod crash;
mod damage;
mod disk;
mod entitled;
mod faults;
mod killed_store;
mod load;
mod plan;
mod power;
mod recording;
mod upgrade;
