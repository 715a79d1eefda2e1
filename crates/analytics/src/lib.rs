//! Figures over time windows, kept while rows come: volume, transfers, unique accounts, fees.
//!
//! Windows are tumbling and by ledger close time. They nest (a minute lies in five minutes, these in an
//! hour, and so on), so a row is counted once, in its minute; a minute that ends is merged into the window
//! around it. What is asked of a window that is still open is the sum of the open windows within it.

pub mod analytics;
pub mod answers;
pub mod bloom;
pub mod coding;
pub mod columns;
pub mod contracts;
pub mod distinct;
pub mod hashing;
pub mod keys;
pub mod minute;
pub mod network;
pub mod packed;
pub mod series;
pub mod transfers;
pub mod window;
pub mod windows;

pub use columns::BadRows;
