//! Bytes of pages, decompressed from their beginning on as far as somebody reads.

use zstd::stream::raw::{DParameter, Decoder, Operation};

const STEP: usize = 64 << 10;
const WINDOW_LOG: u32 = 24; // 16 MB, which stay with a thread; pages that need more are for others to read
const SPARE: usize = 4 << 20; // bytes that are kept of a page at most
const SPARES: usize = 8;

/// Decompresses one page after another; who goes back to an earlier one begins it anew. It is kept for others
/// that follow: fresh memory would take as long as decompressing does.
pub struct Inflater {
    decoder: Decoder<'static>,
    bodies: usize,
    current: usize,
    spare: Vec<Vec<u8>>,
}

impl Inflater {
    /// One that has nothing to do yet.
    pub fn new() -> Option<Self> {
        let mut decoder = Decoder::new().ok()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).ok()?;
        Some(Self { decoder, bodies: 0, current: 0, spare: Vec::new() })
    }

    /// A page's bytes: `size` of them once decompressed.
    pub fn body<'a>(&mut self, stored: &'a [u8], size: usize, is_packed: bool) -> Body<'a> {
        self.bodies += 1;
        Body { stored, size, is_packed, read: 0, out: Vec::new(), filled: 0, number: self.bodies }
    }
}

/// The bytes of one page.
pub struct Body<'a> {
    stored: &'a [u8],
    size: usize,
    is_packed: bool,
    read: usize,
    out: Vec<u8>, // it may be longer than what is filled
    filled: usize,
    number: usize,
}

impl Body<'_> {
    /// How many there are.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// At least the first `count` of them.
    pub fn upto(&mut self, inflater: &mut Inflater, count: usize) -> Option<&[u8]> {
        if !self.is_packed {
            return Some(self.stored).filter(|bytes| bytes.len() >= count);
        }
        if self.filled < count {
            self.inflate(inflater, count)?;
        }
        self.out.get(..self.filled)
    }

    /// Gives back the memory of what nobody reads any more.
    pub fn close(&mut self, inflater: &mut Inflater) {
        self.filled = 0;
        let out = std::mem::take(&mut self.out);
        if (1..=SPARE).contains(&out.len()) && inflater.spare.len() < SPARES {
            inflater.spare.push(out);
        }
        inflater.current = 0;
    }

    fn inflate(&mut self, inflater: &mut Inflater, count: usize) -> Option<()> {
        if count > self.size {
            return None;
        }
        if inflater.current != self.number {
            inflater.decoder.reinit().ok()?;
            inflater.current = self.number;
            (self.filled, self.read) = (0, 0);
        }
        let until = count.max(self.filled + STEP).min(self.size);
        if self.out.is_empty() {
            self.out = inflater.spare.pop().unwrap_or_default();
        }
        if self.out.len() < until {
            self.out.resize(until, 0);
        }
        while self.filled < until {
            let (stored, out) =
                (self.stored.get(self.read..)?, self.out.get_mut(self.filled..until)?);
            let done = inflater.decoder.run_on_buffers(stored, out).ok()?;
            if done.bytes_read == 0 && done.bytes_written == 0 {
                return None;
            }
            self.read += done.bytes_read;
            self.filled += done.bytes_written;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(data: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(data, 1).unwrap_or_default()
    }

    #[test]
    fn pages_are_read_in_turns_as_far_as_is_asked() {
        let [one, other] = [3_u32, 7].map(|times| -> Vec<u8> {
            (0..100_000_u32).flat_map(|at| (at.wrapping_mul(times)).to_le_bytes()).collect()
        });
        let (stored, also) = (packed(&one), packed(&other));
        let Some(mut inflater) = Inflater::new() else { panic!("there is memory") };
        let mut bodies =
            [inflater.body(&stored, one.len(), true), inflater.body(&also, other.len(), true)];
        for count in [10, 150_000, 5, 300_000, 400_000, 1] {
            for (body, expected) in bodies.iter_mut().zip([&one, &other]) {
                let found = body.upto(&mut inflater, count).unwrap_or_default();
                assert!(found.len() >= count);
                assert_eq!(Some(found), expected.get(..found.len()));
            }
        }
        assert_eq!(bodies.first_mut().and_then(|body| body.upto(&mut inflater, 400_001)), None);
    }

    #[test]
    fn what_holds_less_than_it_says_is_none() {
        let stored = packed(b"few");
        let Some(mut inflater) = Inflater::new() else { panic!("there is memory") };
        for (stored, is_packed) in [(stored.as_slice(), true), (b"harm", true), (b"few", false)] {
            let mut body = inflater.body(stored, 1_000, is_packed);
            assert_eq!(body.upto(&mut inflater, 1_000), None);
        }
    }
}
