//! Keeps on disk what a restart must not forget.

mod store_keeper;

pub use store_keeper::{Found, StoreKeeper};
