//! POP/IMAP servers: what their logins look like, and who may write them.
//!
//! Servers are data: a definition is a TOML file, built in or in servers.d, with its own
//! examples. This room recognises; it reads no journal, keeps no whitelist and decides on no
//! relaying.

mod anchoring;
mod any_identifier;
mod correlator;
mod definition;
#[cfg(test)]
mod dovecot_forms;
mod examples;
mod expansion;
mod explain;
mod header;
#[cfg(test)]
mod hostile_dovecot_names;
#[cfg(test)]
mod hostile_names;
#[cfg(test)]
mod hostile_seed_names;
mod literal;
mod load;
mod meaning;
mod pattern;
mod pattern_error;
mod recogniser;
mod required;
mod sender;

pub use correlator::{CONNECT_LIFETIME, Correlator, Unknown};
pub use definition::{Definition, Example, is_server_name};
pub use examples::{BrokenExample, check_examples};
pub use explain::{Attempt, Explainer, Explanation, Outcome};
pub use header::Header;
#[doc(hidden)]
pub use header::behind_time_of_s6_log;
pub use load::{BUILT_IN, Catalogue, DefinitionError, LoadedDefinition, load};
pub use meaning::{Meaning, Rest};
pub use pattern::Pattern;
pub use pattern_error::PatternError;
pub use recogniser::{LONGEST_MESSAGE, Recogniser, Server, Verdict};
pub use sender::{
    Distrust, FIRST_ORDINARY_USER, Sender, Senders, Trust, Users, identifiers, is_container,
    is_identifier, matches_glob,
};
