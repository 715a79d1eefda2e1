//! Interfaces and meta of contracts: what the official crate reads out of the same code.

use std::path::Path;

use stellar_xdr::{ScMetaEntry, ScSpecEntry, ScSpecTypeDef, ScSpecTypeOption, WriteXdr};
use stellarrow_core::contract::wasm::{meta_json, spec_json};

use crate::dice::Dice;
use crate::mutate::mutate;
use crate::official::wasm as official;
use crate::sealed::encode;
use crate::structured::code::{code, leb128};

const CASES: u64 = if cfg!(debug_assertions) { 1_000 } else { 40_000 };
const HEAD: &[u8] = b"\0asm\x01\0\0\0";

/// Contracts that others compiled, see PROVENANCE.md beside them.
fn contracts() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/wasm");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect()
}

fn section(name: &[u8], content: &[u8]) -> Vec<u8> {
    let body = [&leb128(name.len())[..], name, content].concat();
    [&[0][..], &leb128(body.len()), &body].concat()
}

fn with_spec(content: &[u8]) -> Vec<u8> {
    [HEAD, &section(b"contractspecv0", content)].concat()
}

fn same(code: &[u8], told: &str) {
    assert_eq!(spec_json(code), official::spec_json(code), "{told}");
    assert_eq!(meta_json(code), official::meta_json(code), "{told}");
}

#[test]
fn compiled_contracts_say_what_the_official_crate_reads() {
    let contracts = contracts();
    assert!(contracts.len() >= 7);
    for (name, code) in &contracts {
        assert!(spec_json(code).is_some_and(|spec| spec != "[]"), "{name}");
        same(code, name);
    }
}

#[test]
fn every_kind_of_entry_says_what_the_official_crate_reads() {
    for seed in 0..CASES {
        let mut dice = Dice::new(seed);
        let size = 64 << dice.below(6);
        let spec = encode(&dice.arbitrary::<ScSpecEntry>(size));
        let meta = encode(&dice.arbitrary::<ScMetaEntry>(size));
        let code = [with_spec(&spec), section(b"contractmetav0", &meta)].concat();
        assert!(spec_json(&code).is_some() && meta_json(&code).is_some(), "seed {seed}");
        same(&code, &format!("seed {seed}"));
    }
}

#[test]
fn damaged_code_is_read_just_where_the_official_crate_reads_it() {
    let contracts = contracts();
    let (mut read, mut refused) = (0, 0);
    for seed in 0..CASES / 4 {
        let mut dice = Dice::new(seed);
        let mut code = match dice.below(3) {
            0 => dice.pick(&contracts).1.clone(),
            _ => code(&mut dice),
        };
        // Sections of code are passed over; what is about the interface lies behind them.
        let start = if dice.one_in(2) { 0 } else { code.len().saturating_sub(4096) };
        mutate(&mut dice, &mut code, start);
        *if spec_json(&code).is_some() { &mut read } else { &mut refused } += 1;
        same(&code, &format!("seed {seed}"));
    }
    assert!(read.min(refused) as u64 > CASES / 40, "{read} read, {refused} refused");
}

#[test]
fn types_nested_beyond_reason_and_sections_beyond_size_are_no_interface() {
    let nested = |depth: usize| {
        let mut inner = ScSpecTypeDef::Void;
        for _ in 0..depth {
            inner = ScSpecTypeDef::Option(Box::new(ScSpecTypeOption { value_type: inner.into() }));
        }
        let function = stellar_xdr::ScSpecFunctionV0 {
            outputs: vec![inner].try_into().unwrap(),
            ..Default::default()
        };
        let entry = ScSpecEntry::FunctionV0(function);
        with_spec(&entry.to_xdr(stellar_xdr::Limits::none()).unwrap())
    };
    same(&nested(60), "60 levels");
    assert_eq!(spec_json(&nested(200)), None);
    let empty = encode(&ScSpecEntry::FunctionV0(Default::default()));
    assert_eq!(spec_json(&with_spec(&empty.repeat((1 << 20) / empty.len() + 1))), None);
}

#[test]
fn lengths_that_lie_are_no_interface() {
    let sound = with_spec(&encode(&ScSpecEntry::FunctionV0(Default::default())));
    assert!(spec_json(&sound).is_some());
    let (head, body) = sound.split_at(HEAD.len() + 1);
    for length in
        [&b"\xff\xff\xff\xff\x0f"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80"]
    {
        assert_eq!(spec_json(&[head, length, &body[1..]].concat()), None, "{length:x?}");
    }
    for end in HEAD.len() + 1..sound.len() {
        assert_eq!(spec_json(&sound[..end]), None, "cut at {end}");
    }
}
