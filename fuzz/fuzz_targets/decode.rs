//! Any bytes, framing and all: rows or an error, the same in one piece and in a stream.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stellarrow_core::decode::{Request, decode};
use stellarrow_core::filter::Wanted;
use stellarrow_core::frame::Splitter;
use stellarrow_core::tables::TABLES;

static REQUEST: LazyLock<Request> = LazyLock::new(|| {
    let request = Request::new(TABLES, "Test SDF Network ; September 2015", &Wanted::default());
    request.expect("all tables").verify_chain(false).diagnostics(true).decoded(true)
});

fuzz_target!(|data: &[u8]| {
    let decoded = decode(data, &REQUEST);
    let mut splitter = Splitter::new(None, 1 << 16);
    let split = data.chunks(97).try_for_each(|chunk| splitter.feed(chunk).map(drop));
    let split = split.and_then(|()| splitter.finish().map(drop));
    assert!(split.is_ok() || decoded.is_err(), "{split:?}");
});
