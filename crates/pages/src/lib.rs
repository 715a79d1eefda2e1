//! A few rows of a Parquet row group: which hold a text is asked of the pages, and of every column no more is
//! decompressed than lies before the last of them.
//!
//! Encodings, types and codecs that our own files have are known. Whatever is not, is damaged or claims too much is
//! answered with `None`: whoever asks reads the row group with Arrow then, which knows all of them and says what is
//! wrong.

mod column;
mod encodings;
mod few;
mod header;
mod hybrid;
mod inflate;
mod page;
mod picked;

pub use column::{Chunk, Codec};
pub use few::{Group, Term, Wanted};
pub use page::Physical;
