//! SHA-256 (FIPS 180-4) of the short messages that keys are.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// H(0), section 5.3.3.
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
/// Bytes of a block, and those of them that a message may take of the last: a bit and a length follow.
const BLOCK: usize = 64;
const LAST: usize = BLOCK - 9;

/// The hash of a number and what follows it. Short ones are padded in place, not piece by piece.
pub fn of_tagged(tag: u32, bytes: &[u8]) -> [u8; 32] {
    let mut blocks = [[0; BLOCK]; 2];
    let Some(count) = pad(tag, bytes, &mut blocks) else {
        return Sha256::new_with_prefix(tag.to_be_bytes()).chain_update(bytes).finalize().into();
    };
    let mut state = START;
    compress256(&mut state, blocks.get(..count).unwrap_or_default());
    let mut hash = [0; 32];
    for (word, bytes) in state.iter().zip(hash.as_chunks_mut::<4>().0) {
        *bytes = word.to_be_bytes();
    }
    hash
}

/// Lay a message out with its padding; how many blocks it takes, `None` where it takes more.
fn pad(tag: u32, bytes: &[u8], blocks: &mut [[u8; BLOCK]; 2]) -> Option<usize> {
    let size = tag.to_be_bytes().len() + bytes.len();
    let count = 1 + usize::from(size > LAST);
    if size > BLOCK + LAST {
        return None;
    }
    let message = blocks.as_flattened_mut();
    *message.first_chunk_mut()? = tag.to_be_bytes();
    message.get_mut(4..size)?.copy_from_slice(bytes);
    *message.get_mut(size)? = 0x80;
    let bits = 8 * size as u64;
    *message.get_mut(..count * BLOCK)?.last_chunk_mut()? = bits.to_be_bytes();
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::of_tagged;
    use sha2::{Digest, Sha256};

    #[test]
    fn messages_of_every_length_have_the_hash_that_they_have_in_pieces() {
        let bytes: Vec<u8> = (0..200u32).map(|at| (at * 37 + 251) as u8).collect();
        for size in 0..bytes.len() {
            let tag = 0x0102_0304u32.wrapping_mul(size as u32);
            let whole = Sha256::new_with_prefix(tag.to_be_bytes()).chain_update(&bytes[..size]);
            assert_eq!(of_tagged(tag, &bytes[..size]), <[u8; 32]>::from(whole.finalize()));
        }
    }
}
