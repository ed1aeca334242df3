//! The ids of our messages: `journalctl MESSAGE_ID=…` finds all of a kind.
//!
//! An id is never changed and never used for another message (systemd.journal-fields(7),
//! `MESSAGE_ID`).

/// The service has started.
pub const STARTED: &str = "c55d79be3eff433491376f47307a2276";
/// The journal has been read up to now.
pub const CAUGHT_UP: &str = "ec38de061f4d48f284de03fe4dbf51a2";
/// The service stops.
pub const STOPPED: &str = "c9af8a9bd543439a92baedc6451d2b4b";
/// A client is listed that was not.
pub const CLIENT_ADDED: &str = "acd2aeed701947cf90cb29ad3a3caf8f";
/// A client is listed no more.
pub const CLIENT_REMOVED: &str = "24a497c05c1f485d9d43b1a4188a1bb3";
/// A listed client has logged in again.
pub const LOGIN_PROLONGED: &str = "8957056fa8274b0cadc9c26c4583e880";
/// A session of a listed client has ended.
pub const SESSION_ENDED: &str = "c86ea2e1d7ff46229cafd2fdfb897037";
/// A server has started, and its sessions are over.
pub const SERVER_RESTARTED: &str = "08fc31f95cbc4130838402bf8878930b";
/// The access map has been published.
pub const PUBLISHED: &str = "2cb09676199f4c968ecc912efede6f62";
/// The access map could not be published.
pub const PUBLICATION_FAILED: &str = "854a58e0808e497eb3cc17f343d1f8e6";
/// A client that may relay no more is still in the access map.
pub const REMOVAL_NOT_PUBLISHED: &str = "9e55b88d19ee4fe9b37ceca81214a528";
/// An entry looks like a server's, and is not.
pub const ENTRY_REFUSED: &str = "9d712c67ab1a434f9617c9eb555a2a41";
/// A client was refused because of a limit.
pub const LIMIT_REACHED: &str = "fe74abb29de749c6bacf285cefddc4f0";
/// A login lists nobody.
pub const LOGIN_IGNORED: &str = "5ba9a8a205ea4a54998ed7b12b5487e6";
/// The place in the journal is gone.
pub const CURSOR_GONE: &str = "87f411abb4c447878e668444dae1431e";
/// The journal can't be read for now.
pub const JOURNAL_TROUBLE: &str = "53c7f9dc6ad4493fad91222deb59ed6e";
/// The journal can be read again.
pub const JOURNAL_RECOVERED: &str = "edbfa84c39d94437b274a42783818983";
/// Some of the journal's files can't be read.
pub const JOURNAL_INCOMPLETE: &str = "e7a37f1213144cbda0a918a02831a816";
/// The journal of a store is carried here.
pub const CARRIER_CONNECTED: &str = "eb6c0c53ef304f0da89a1411c39f949e";
/// The journal of a store is not carried here for now.
pub const CARRIER_LOST: &str = "fee873379f974ebdb0b54f21fc8a430a";
/// A store that can't be used has been set aside.
pub const STORE_SET_ASIDE: &str = "77caaec6f9d34319ad6669940adb73ad";
/// The store can't be written for now.
pub const STORE_TROUBLE: &str = "2a37e3a062e843e58e6d2697cedf607d";
/// The store can be written again.
pub const STORE_RECOVERED: &str = "ebdc68c7910d4033b5d80d35519df5df";
/// The configuration has been taken anew.
pub const RELOADED: &str = "b23c3c0db3664731ad2d4b58509f0a29";
/// The configuration is wrong; the one in force is kept.
pub const RELOAD_REFUSED: &str = "acd0dcf1cfaa4ce290606dd9f3ffc26f";
/// The clock was set.
pub const CLOCK_SET: &str = "cfe7e031f67840f4a35690df9d504d1c";
/// Something is odd.
pub const NOTICE: &str = "6352d60be0894f6ba3b8ae75fca53ea2";
/// Postfix has asked, and the client may relay.
pub const RELAY_GRANTED: &str = "b2c07fcc5c7748cfb2ee2f738614958a";
/// An operator has listed a client by hand.
pub const CLIENT_ALLOWED: &str = "6f3acf3ec13b4c618918b247226162d5";
/// An operator has revoked logins.
pub const REVOKED: &str = "851b1ebe1cf74c16ba50e609c4129d3d";
/// A command, or the service, has failed.
pub const FAILED: &str = "9626366d974c49eab7ff726f721fc6f2";
/// The server does not say which of its sessions have ended.
pub const SESSIONS_UNFOLLOWED: &str = "96bdc05ff9954672b969b5d710970ca0";
/// A session has ended, and its server has lost which.
pub const SESSION_LOST: &str = "04f9b5ac8db048aba8bcdb59a77eeaec";
/// A server does not log the ends of its sessions.
pub const ENDS_UNTOLD: &str = "3cd70d9b4a5546bfbc41de551e65e7f3";
/// Somebody wants more or less to be written.
pub const LOG_LEVEL_SET: &str = "1721f8ae1848461985c42ecc2dd4b3c6";
/// All logins come from one private address.
pub const ONE_ADDRESS: &str = "c6bd896ba4b44e2d84e4c9b85ca767e9";
/// More clients have come or gone than are told of one by one.
pub const MANY_CLIENTS: &str = "089913c46d31488ca8ebb8d9197d1914";
/// Somebody else has changed the access map.
pub const MAP_CHANGED: &str = "5e6a5ce254944f60a6c92570bfdb8bd7";
