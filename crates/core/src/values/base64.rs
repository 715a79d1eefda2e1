//! Bytes in base64 (RFC 4648). Most values of the chain are short: they are written by look-ups, the
//! way to wide registers would take longer.

// Indices are masked to the length of what they index.
#![allow(clippy::indexing_slicing)]

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The most bytes that are written by look-ups.
const SHORT: usize = 48;
/// Characters a short value is written with, before it is cut to its own.
pub const PADDED: usize = SHORT / 3 * 4;

/// Twelve bits as two characters.
static PAIRS: [[u8; 2]; 4096] = {
    let mut pairs = [[0u8; 2]; 4096];
    let mut value = 0;
    while value < 4096 {
        pairs[value] = [ALPHABET[value >> 6], ALPHABET[value & 63]];
        value += 1;
    }
    pairs
};

/// Append bytes in base64.
pub fn append(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.len() > SHORT {
        base64_simd::STANDARD.encode_append(bytes, out);
        return;
    }
    let start = out.len();
    // A copy of constant size is a few moves; the text is then written where it is to lie.
    out.extend_from_slice(&[b'='; PADDED]);
    if let Some(text) = out.last_chunk_mut::<PADDED>() {
        write(bytes, text);
    }
    out.truncate(start + bytes.len().div_ceil(3) * 4);
}

#[inline(always)]
fn write(bytes: &[u8], text: &mut [u8; PADDED]) {
    let (blocks, rest) = bytes.as_chunks::<12>();
    let mut texts = text.as_chunks_mut::<16>().0.iter_mut();
    for (block, chars) in blocks.iter().zip(&mut texts) {
        twelve(block, chars);
    }
    if let Some(chars) = texts.next() {
        tail(rest, chars);
    }
}

/// Write twelve bytes: 48 bits, and 48 more.
#[inline(always)]
fn twelve(bytes: &[u8; 12], text: &mut [u8; 16]) {
    let [Some(first), Some(last)] = [bytes.first_chunk(), bytes.last_chunk()] else { return };
    let halves = [u64::from_be_bytes(*first) >> 16, u64::from_be_bytes(*last)];
    for (bits, chars) in halves.iter().zip(text.as_chunks_mut::<8>().0) {
        for (index, pair) in chars.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *pair = PAIRS[(bits >> (36 - 12 * index)) as usize & 4095];
        }
    }
}

/// Write fewer than twelve bytes; what of the text is not reached stays as it is.
#[inline(always)]
fn tail(bytes: &[u8], text: &mut [u8; 16]) {
    let (groups, rest) = bytes.as_chunks::<3>();
    let mut quads = text.as_chunks_mut::<4>().0.iter_mut();
    for (&[a, b, c], quad) in groups.iter().zip(&mut quads) {
        let bits = u32::from_be_bytes([0, a, b, c]) as usize;
        let ([w, x], [y, z]) = (PAIRS[bits >> 12], PAIRS[bits & 4095]);
        *quad = [w, x, y, z];
    }
    match (rest, quads.next()) {
        (&[a], Some([w, x, ..])) => [*w, *x] = PAIRS[usize::from(a) << 4],
        (&[a, b], Some([w, x, y, _])) => {
            let bits = usize::from(u16::from_be_bytes([a, b]));
            [*w, *x] = PAIRS[bits >> 4];
            [*y, _] = PAIRS[bits << 8 & 4095];
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{SHORT, append};

    #[test]
    fn bytes_of_every_length_are_written_as_another_encoder_writes_them() {
        let bytes: Vec<u8> = (0..2 * SHORT as u32).map(|at| (at * at * 37 + 251) as u8).collect();
        for from in 0..SHORT {
            for to in from..bytes.len() {
                let mut text = b"before".to_vec();
                append(&bytes[from..to], &mut text);
                let whole = base64_simd::STANDARD.encode_to_string(&bytes[from..to]);
                assert_eq!(text, format!("before{whole}").into_bytes());
            }
        }
    }

    #[test]
    fn every_three_bytes_are_written_as_another_encoder_writes_them() {
        for bits in (0..1u32 << 24).step_by(7) {
            let [_, bytes @ ..] = bits.to_be_bytes();
            let mut text = Vec::new();
            append(&bytes, &mut text);
            assert_eq!(text, base64_simd::STANDARD.encode_to_string(bytes).into_bytes());
        }
    }
}
