//! Contract codes of the run: WebAssembly with an interface (SEP-48), and nothing else that means anything.

use super::dice::Dice;
use super::entry::{Entry, LONGEST_LIFE};
use super::now::Now;
use super::writer::{Array, Hash, Writer, sha256};
use crate::xdr::discriminants::{SCSpecEntryKind, SCSpecType as Type};

/// Names and types of a function's inputs.
type Inputs = [(&'static [u8], u32)];

/// What contracts of the run are called for.
const FUNCTIONS: [(&[u8], &Inputs); 2] = [
    (b"swap_chained", &[(b"pool", Type::ADDRESS), (b"swaps", Type::VAL)]),
    (b"transfer", &[(b"from", Type::ADDRESS), (b"to", Type::ADDRESS), (b"amount", Type::I128)]),
];

/// A contract's code.
pub(super) struct Code {
    /// sha256 of the code, by which instances name it.
    pub hash: Hash,
    pub entry: Entry,
    pub bytes: Vec<u8>,
}

impl Code {
    pub fn random(dice: &mut Dice) -> Self {
        let bytes = module(dice);
        let mut costs = [0; 10];
        costs.iter_mut().for_each(|cost| *cost = dice.below(400) as u32);
        let hash = sha256(&[&bytes]);
        Self { hash, entry: Entry::code(&hash, &costs), bytes }
    }

    pub fn create(&mut self, now: Now, changes: &mut Array) {
        let until = now.seq.saturating_add(LONGEST_LIFE);
        self.entry.create(now.seq, until, |w| w.var(&self.bytes), changes);
    }
}

/// Make a module that every WebAssembly reader accepts: magic, version and two custom sections.
fn module(dice: &mut Dice) -> Vec<u8> {
    let mut code = b"\0asm\x01\0\0\0".to_vec();
    section(b"contractspecv0", &interface().0, &mut code);
    let body: [u8; 100] = dice.bytes();
    section(b"synth", &body[..dice.between(40, 100) as usize], &mut code);
    code
}

/// Add a custom section: lengths are LEB128 (WebAssembly core, 5.5.3).
fn section(name: &[u8], content: &[u8], code: &mut Vec<u8>) {
    code.push(0);
    // The name stays below 128 bytes: one byte of LEB128.
    let mut size = 1 + name.len() + content.len();
    while size > 0x7f {
        code.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    code.push(size as u8);
    code.push(name.len() as u8);
    code.extend_from_slice(name);
    code.extend_from_slice(content);
}

/// Write a SCSpecEntry for each function; none has a doc or gives anything back.
fn interface() -> Writer {
    let mut w = Writer::default();
    for (name, inputs) in FUNCTIONS {
        w.u32(SCSpecEntryKind::FUNCTION_V0);
        w.var(b"");
        w.var(name);
        w.u32(inputs.len() as u32);
        for (name, kind) in inputs {
            w.var(b"");
            w.var(name);
            w.u32(*kind);
        }
        w.u32(0);
    }
    w
}
