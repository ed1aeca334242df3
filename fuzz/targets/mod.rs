//! What is fuzzed: a file each, whose `run` takes any bytes and panics where a promise is broken.
//!
//! Knows neither cargo-fuzz nor how tests are run: both call `run`. Must never judge by what the program
//! itself says of its input: each file has its own, simpler idea of what is right.

pub mod configuration;
pub mod convert_pattern;
pub mod definitions;
pub mod headers;
pub mod journal_export;
pub mod messages;
pub mod mynetworks;
pub mod pieces;
pub mod policy;
pub mod postfix_files;
pub mod records;
pub mod varlink;

/// A target: any bytes in, and a panic if a promise is broken.
pub type Run = fn(&[u8]);

/// All of them, by name.
pub const ALL: [(&str, Run); 11] = [
    ("configuration", configuration::run),
    ("convert_pattern", convert_pattern::run),
    ("definitions", definitions::run),
    ("headers", headers::run),
    ("journal_export", journal_export::run),
    ("messages", messages::run),
    ("mynetworks", mynetworks::run),
    ("policy", policy::run),
    ("postfix_files", postfix_files::run),
    ("records", records::run),
    ("varlink", varlink::run),
];
