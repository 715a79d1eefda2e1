//! Runs: rows of many batches, of which texts that repeat are held once, put in order by a few numbers and handed
//! out block by block. A value is copied when it comes and when it goes, and never in between.

pub mod bits;
pub mod chunks;
pub mod codes;
pub mod column;
pub mod distinct;
pub mod fixed;
pub mod gatherer;
pub mod kinds;
pub mod lists;
pub mod loose;
pub mod order;
pub mod sizes;
pub mod texts;

pub use gatherer::{Gathered, Gatherer};
pub use order::Order;
pub use sizes::text_size;
