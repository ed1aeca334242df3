//! Answers whoever asks: Postfix, and our own commands.

mod policy_server;

pub use policy_server::{Policy, serve};
