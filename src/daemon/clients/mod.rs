//! Who is listed: what becomes of it, counted and told.

mod activity;
mod one_address;

pub use activity::Activity;
pub use one_address::{OneAddress, crowd};
