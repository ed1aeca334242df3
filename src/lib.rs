//! pop-before-smtp: a client that has logged in over POP3 or IMAP may relay through Postfix for
//! a while.
//!
//! Data flows one way:
//!
//! ```text
//! journal ──entry──▶ servers ──event──▶ whitelist ──clients──▶ postfix
//!                                           │
//!                                         store
//! ```
//!
//! | room | job |
//! |---|---|
//! | [`client`], [`origin`], [`event`] | the words that the other rooms share |
//! | [`anonymous`] | texts without anybody's names and addresses |
//! | [`excerpt`] | a line of a file, with a mark under what is wrong in it |
//! | [`servers`] | definitions of POP/IMAP servers; recognises logins and logouts |
//! | [`networks`] | the networks that Postfix lets relay anyway |
//! | [`postfix`] | postconf, the access map and the policy protocol |
//! | [`config`] | the configuration: read, merged, checked, errors explained |
//! | [`journal`] | entries from the systemd journal |
//! | [`intake`] | from an entry to an event: recognised, and its sender trusted |
//! | [`whitelist`] | the rules: grace, sessions, expiry, limits |
//! | [`store`] | whitelist, sessions and journal position on disk (sled) |
//! | [`diagnostics`] | what we write to the journal |
//! | [`carrier`] | brings the journals of other hosts here, over ssh |
//! | [`control`] | the control socket: protocol, server, client |
//! | [`daemon`] | the service: wires the rooms together and owns the loop |
//! | [`doctor`] | the whole installation, looked at and judged |
//! | [`cli`] | the command line, one file a subcommand |
//!
//! No room knows a room below it in this table, and only [`daemon`], [`doctor`]
//! and [`cli`] know them all.

// Tests may fail by panicking; the program may not.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod anonymous;
pub mod carrier;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod daemon;
pub mod diagnostics;
pub mod doctor;
pub mod event;
pub mod excerpt;
pub mod intake;
pub mod journal;
pub mod networks;
pub mod origin;
pub mod postfix;
pub mod servers;
pub mod store;
pub mod whitelist;
