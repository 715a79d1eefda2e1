//! probe
use super::{fold::*, ledger::*, run};
use stellar_xdr::*;
#[test]
fn probe() {
    for size in [4000, 5000, 6000, 7000, 8000, 10000, 12000, 20000, 50000, 200000] {
        let mut r: Vec<f64> =
            run(5, Some(size), 300).iter().map(|l| l.len() as f64 / size as f64).collect();
        let txs: Vec<usize> =
            run(5, Some(size), 300).iter().map(|l| decode(l).transactions.len()).collect();
        r.sort_by(f64::total_cmp);
        println!(
            "{size} {:.3} {:.3} {:.3} {:.3} {:.3} txs {}..{}",
            r[0],
            r[15],
            r[150],
            r[285],
            r[299],
            txs.iter().min().unwrap(),
            txs.iter().max().unwrap()
        );
    }
    for (at, l) in run(1, Some(1_700_000), 80).iter().enumerate() {
        if at % 10 != 9 {
            continue;
        }
        let len = l.len();
        let l = decode(l);
        let (mut data, mut events, mut transfers) = (0, 0, 0);
        for tx in &l.transactions {
            for c in tx.changes().into_iter().flatten() {
                match c {
                    LedgerEntryChange::State(_) => {}
                    LedgerEntryChange::Removed(LedgerKey::ContractData(_)) => data += 1,
                    LedgerEntryChange::Created(e)
                    | LedgerEntryChange::Updated(e)
                    | LedgerEntryChange::Restored(e)
                        if matches!(e.data, LedgerEntryData::ContractData(_)) =>
                    {
                        data += 1
                    }
                    _ => {}
                }
            }
            for e in tx.events() {
                events += 1;
                let ContractEventBody::V0(b) = &e.body;
                if let Some(ScVal::Symbol(s)) = b.topics.first() {
                    if ["transfer", "mint", "burn", "clawback", "fee"]
                        .contains(&s.to_utf8_string_lossy().as_str())
                    {
                        transfers += 1;
                    }
                }
            }
        }
        println!(
            "{at}: {len} txs {} data {data} events {events} transfers {transfers} = {} B/row {:.0}",
            l.transactions.len(),
            data + events + transfers,
            len as f64 / (data + events + transfers) as f64
        );
    }
    let all: Vec<u8> = run(1, Some(1_700_000), 4).concat();
    std::fs::write("/tmp/synth17.xdr", all).unwrap();
    std::fs::write("/tmp/synth17one.xdr", &run(1, Some(1_700_000), 60)[59]).unwrap();
    let t = std::time::Instant::now();
    let mut n = 0;
    for l in
        stellarrow_core::synth::Synth::new(super::recipe(1, Some(1_700_000))).unwrap().take(300)
    {
        n += l.len();
    }
    println!("{:.0} MB/s 1.7MB", n as f64 / 1e6 / t.elapsed().as_secs_f64());
    let t = std::time::Instant::now();
    let mut n = 0;
    for l in stellarrow_core::synth::Synth::new(super::recipe(1, None)).unwrap().take(2000) {
        n += l.len();
    }
    println!("{:.0} MB/s mix, avg {}", n as f64 / 1e6 / t.elapsed().as_secs_f64(), n / 2000);
}
