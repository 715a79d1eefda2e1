#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use stellarrow_core::frame;
use stellarrow_core::xdr::layout::*;
use stellarrow_core::xdr::schema::*;
use stellarrow_core::xdr::{self, between, skip};

fn main() {
    for path in std::env::args().skip(1) {
        let data = std::fs::read(&path).unwrap();
        let opened = frame::open(&data, None).unwrap();
        let mut frames = opened.frames();
        let mut stats: BTreeMap<(u32, u32, bool, bool, bool, bool), (u32, Vec<u32>)> =
            BTreeMap::new();
        let (mut total, mut set_bytes, mut result_bytes) = (0usize, 0usize, 0usize);
        while let Some(frame) = frames.advance().unwrap() {
            let whole = frame.bytes;
            let (v, b) = xdr::u32(whole).unwrap();
            let b = if v > 0 { skip::<LedgerCloseMetaExt>(b).unwrap() } else { b };
            let header = &b[32..];
            let (proto, h) = xdr::u32(header).unwrap();
            let previous = &h[..32];
            let set_hash = &h[32..64];
            let h2 = skip::<StellarValue>(&h[32..]).unwrap();
            let extkind = {
                let x = skip::<Array<UpgradeType, 6>>(&h[72..]).unwrap();
                xdr::u32(x).unwrap().0
            };
            let result_hash = &h2[..32];
            let (seq, _) = xdr::u32(&h2[64..]).unwrap();
            let set = skip::<LedgerHeaderHistoryEntry>(b).unwrap();
            let end = if v == 0 {
                skip::<TransactionSet>(set)
            } else {
                skip::<GeneralizedTransactionSet>(set)
            }
            .unwrap();
            let set_b = between(set, end);
            let mut sha = Sha256::new();
            if v == 0 {
                sha.update(&set_b[..32]);
                sha.update(&set_b[36..]);
            } else {
                sha.update(set_b);
            }
            let got: [u8; 32] = sha.finalize().into();
            let prev_ok = if v == 0 { &set_b[..32] == previous } else { &set_b[4..36] == previous };
            let (count, mut p) = xdr::u32(end).unwrap();
            let mut sha = Sha256::new();
            sha.update(count.to_be_bytes());
            for _ in 0..count {
                if v == 2 {
                    p = skip::<ExtensionPoint>(p).unwrap();
                }
                let e = skip::<TransactionResultPair>(p).unwrap();
                sha.update(between(p, e));
                result_bytes += between(p, e).len();
                p = skip::<LedgerEntryChanges>(e).unwrap();
                p = skip::<TransactionMeta>(p).unwrap();
                if v == 2 {
                    p = skip::<LedgerEntryChanges>(p).unwrap();
                }
            }
            let got_r: [u8; 32] = sha.finalize().into();
            set_bytes += set_b.len();
            let set_ok = got == set_hash;
            let res_ok = got_r == result_hash;
            let zero = set_hash.iter().all(|b| *b == 0);
            if extkind > 1 || zero {
                println!("ext {extkind} zero {zero} at {seq} count {count} v{v} p{proto}");
            }
            let e = stats.entry((v, proto, set_ok, res_ok, prev_ok, count == 0)).or_default();
            e.0 += 1;
            if e.1.len() < 5 {
                e.1.push(seq);
            }
            let rest = skip::<LedgerCloseMeta>(frame.bytes).unwrap();
            total += between(whole, rest).len();
            if !frame.exact {
                frames.consumed(rest);
            }
        }
        println!("{path}: {total} bytes, sets {set_bytes}, results {result_bytes}");
        for (k, v) in stats {
            println!(
                "  meta v{} protocol {} set_ok {} results_ok {} prev_ok {} empty {}: {} {:?}",
                k.0, k.1, k.2, k.3, k.4, k.5, v.0, v.1
            );
        }
    }
}
