use super::{recipe, run};
use stellarrow_core::synth::{Recipe, Synth};

#[test]
fn ledgers_keep_within_a_tenth_of_the_size_asked_for() {
    for (bytes, ledgers) in [
        (4_000, 400),
        (5_000, 200),
        (8_000, 200),
        (12_000, 100),
        (50_000, 60),
        (1_700_000, 4),
        (14_500_000, 2),
    ] {
        for (index, ledger) in run(11, Some(bytes), ledgers).iter().enumerate() {
            let ratio = ledger.len() as f64 / bytes as f64;
            assert!(
                (0.9..=1.1).contains(&ratio),
                "ledger {index}: {} bytes for {bytes}",
                ledger.len()
            );
        }
    }
}

#[test]
fn the_mix_holds_small_ledgers_usual_ones_and_a_fat_one_every_fifty() {
    let sizes: Vec<usize> = run(1, None, 100).iter().map(Vec::len).collect();
    assert!(sizes.iter().filter(|size| **size < 10_000).count() >= 2);
    assert!(sizes.iter().filter(|size| (18_000..220_000).contains(*size)).count() >= 85);
    assert!([10, 60].iter().all(|fat| (1_530_000..1_870_000).contains(&sizes[*fat])));
}

fn refusal(change: impl FnOnce(&mut Recipe)) -> String {
    let mut recipe = recipe(1, None);
    change(&mut recipe);
    Synth::new(recipe).err().unwrap()
}

#[test]
fn a_recipe_that_cannot_be_made_is_refused_in_a_sentence() {
    assert_eq!(
        refusal(|recipe| recipe.first = 1),
        "first ledger 1 is too low: synthetic ledgers start at 2 or later"
    );
    assert_eq!(
        refusal(|recipe| recipe.contracts = 0),
        "0 contracts cannot be made: ask for 1 to 20000"
    );
    assert_eq!(
        refusal(|recipe| recipe.ledger_bytes = Some(100)),
        "a ledger of 100 bytes cannot be made: ask for 4000 to 16000000"
    );
    assert_eq!(
        refusal(|recipe| recipe.passphrase.clear()),
        "the network passphrase is empty: give the one that readers will use"
    );
}

#[test]
fn the_run_ends_with_the_last_sequence_there_is() {
    let recipe = Recipe { first: u32::MAX - 2, ..recipe(1, Some(4_000)) };
    assert_eq!(Synth::new(recipe).unwrap().count(), 3);
}

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
#[ignore = "slow: run it alone, in release"]
fn memory_stays_flat_over_100_000_ledgers() {
    let mut run = Synth::new(recipe(1, Some(20_000))).unwrap();
    run.by_ref().take(10_000).for_each(drop);
    let settled = resident();
    run.by_ref().take(90_000).for_each(drop);
    assert!(resident() < settled + (16 << 20), "{settled} bytes grew to {}", resident());
}
