//! Answers our own commands, over the control socket, and says how the service is.

mod client_list;
mod control;
mod log_level;
mod relay_check;
mod status;

use client_list::ClientList;
pub use control::answer;
pub use status::status_line;

use crate::daemon::rooms::Rooms;
use crate::whitelist::Whitelist;

fn client_list<'a>(rooms: &'a Rooms, whitelist: &'a Whitelist) -> ClientList<'a> {
    let sources = rooms.clients.sources();
    ClientList { whitelist, sources }
}
