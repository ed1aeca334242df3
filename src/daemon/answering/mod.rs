//! Answers our own commands, over the control socket, and says how the service is.

mod client_list;
mod control;
mod log_level;
mod relay_check;
mod status;

pub use control::answer;
pub use status::status_line;
