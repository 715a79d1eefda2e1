//! What the fuzzer starts from: ledgers of the package's own files, of the corpora beside the
//! repository where they are present, and made ones.

use std::path::PathBuf;

use stellar_xdr::LedgerCloseMeta;
use stellarrow_core::frame::Splitter;

use super::read;
use crate::dice::Dice;
use crate::structured;

/// Larger ledgers would leave time for too few inputs.
const MOST_BYTES: usize = 32 << 10;

fn folders() -> [PathBuf; 2] {
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("STELLARROW_SHARED");
    let shared = shared.map_or_else(|| repository.join("../shared"), PathBuf::from);
    [repository.join("python/stellarrow/data/ledgers"), shared.join("data/ledgers")]
}

fn files() -> Vec<PathBuf> {
    let files = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten();
    let paths = folders().into_iter().flat_map(files).map(|file| file.unwrap().path());
    let holds_ledgers = |path: &PathBuf| {
        [".xdr.", ".base64."].iter().any(|kind| path.to_string_lossy().contains(kind))
    };
    paths.filter(holds_ledgers).collect()
}

/// The ledgers of stored bytes, each as a record of its own.
fn ledgers(data: &[u8]) -> Vec<LedgerCloseMeta> {
    let mut splitter = Splitter::new(None, 1);
    let mut records = splitter.feed(data).unwrap();
    records.extend(splitter.finish().unwrap());
    records.iter().filter_map(|record| read(record.get(4..)?)).collect()
}

pub fn seeds() -> Vec<LedgerCloseMeta> {
    let mut seeds: Vec<_> = (0..200).map(|seed| structured::ledger(&mut Dice::new(seed))).collect();
    for path in files() {
        let ledgers = ledgers(&std::fs::read(&path).unwrap());
        assert!(!ledgers.is_empty(), "{} holds no ledgers", path.display());
        let few = ledgers.len().div_ceil(500);
        seeds.extend(ledgers.into_iter().step_by(few).flat_map(super::changed::small));
    }
    seeds.retain(|meta| crate::sealed::encode(meta).len() <= MOST_BYTES);
    seeds
}
