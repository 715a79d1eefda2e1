//! Bytes gone wrong, as disks, networks and enemies make them.

use crate::dice::Dice;

/// Numbers at which lengths, arms, enums and counts go wrong.
const WORDS: [u32; 14] = [
    0,
    1,
    2,
    3,
    7,
    16,
    20,
    33,
    256,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_fffe,
    0xffff_ffff,
];

/// Change bytes from `start` on in one way or a few.
pub fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, start: usize) {
    for _ in 0..=dice.below(3) {
        if bytes.len() > start {
            once(dice, bytes, start);
        }
    }
}

fn once(dice: &mut Dice, bytes: &mut Vec<u8>, start: usize) {
    let at = start + dice.below(bytes.len() - start);
    match dice.below(9) {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => bytes[at] = dice.next() as u8,
        2 => bytes.insert(at, dice.next() as u8),
        3 => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        _ => word(dice, bytes, start),
    }
}

/// Change a whole XDR word, where counts, lengths and arms lie.
fn word(dice: &mut Dice, bytes: &mut Vec<u8>, start: usize) {
    let words = (bytes.len() - start) / 4;
    if words == 0 {
        return;
    }
    let at = start + 4 * dice.below(words);
    let value = match dice.below(5) {
        0 | 1 => *dice.pick(&WORDS),
        2 => dice.below(32) as u32,
        _ => {
            let old = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            old.wrapping_add(*dice.pick(&[1, 2, u32::MAX, u32::MAX - 1]))
        }
    };
    match dice.below(6) {
        0 => drop(bytes.splice(at..at, value.to_be_bytes())),
        1 => drop(bytes.drain(at..at + 4)),
        _ => bytes[at..at + 4].copy_from_slice(&value.to_be_bytes()),
    }
}
