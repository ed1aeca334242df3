//! What we ask of Postfix and what we publish to it.
//!
//! The only place that runs Postfix's programs; never edits its configuration.

pub mod access_map;
pub mod command;
pub mod configuration;
pub mod map_type;
pub mod policy;
pub mod postconf;
pub mod restrictions;
