//! Numbers and texts as bytes: short ones take few.

use arrow_buffer::i256;

/// Writes a number, seven bits a byte.
pub fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Writes a whole number of up to 256 bits: how many bytes, and these, the lowest first.
pub fn put_wide(to: &mut Vec<u8>, number: i256) {
    let bytes = number.to_le_bytes();
    let fill = if number.is_negative() { 0xff } else { 0 };
    let mut length = bytes.len();
    while length > 0 && bytes.get(length - 1) == Some(&fill) {
        length -= 1;
    }
    if length == 0 && fill == 0 {
        to.push(0);
        return;
    }
    // The highest bit that is kept says the sign.
    let sign = length.checked_sub(1).and_then(|last| bytes.get(last)).map_or(0, |byte| byte & 0x80);
    if length < bytes.len() && (sign != 0) != (fill != 0) {
        length += 1;
    }
    to.push(length as u8);
    to.extend(bytes.iter().take(length));
}

/// Writes a text.
pub fn put_text(to: &mut Vec<u8>, text: &str) {
    put(to, text.len() as u64);
    to.extend_from_slice(text.as_bytes());
}

/// Bytes that are read from their beginning; none where there are too few.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next so many bytes.
    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    /// What `put` wrote.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// What `put` wrote of a small number.
    pub fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// What `put` wrote of a length: no more than there are bytes.
    pub fn length(&mut self) -> Option<usize> {
        let length = usize::try_from(self.number()?).ok()?;
        (length <= self.0.len()).then_some(length)
    }

    /// What `put_wide` wrote.
    pub fn wide(&mut self) -> Option<i256> {
        let length = usize::from(self.byte()?);
        let taken = self.bytes(length)?;
        if let Some(word) = word_of(taken) {
            return Some(i256::from_i128(word.into()));
        }
        let fill = if taken.last().is_some_and(|&byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut bytes = [fill; 32];
        for (place, byte) in bytes.get_mut(..length)?.iter_mut().zip(taken) {
            *place = *byte;
        }
        Some(i256::from_le_bytes(bytes))
    }

    /// What `put_text` wrote.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}

/// A whole number out of up to eight bytes; none where there are more.
fn word_of(bytes: &[u8]) -> Option<i64> {
    let fill = 64u32.checked_sub(8 * u32::try_from(bytes.len()).ok()?)?;
    let number = bytes.iter().rev().fold(0u64, |number, &byte| (number << 8) | u64::from(byte));
    // Shifted up and down again, the highest bit fills all above it.
    Some(number.checked_shl(fill).unwrap_or(0).cast_signed() >> fill.min(63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(Reader(&bytes).number(), Some(number));
        }
    }

    #[test]
    fn sums_come_back_as_they_were() {
        let most = i256::from_i128(i128::MAX);
        let some = [0, 1, -1, 127, 128, -128, -129, 255, 256, 32_768, i128::MAX, i128::MIN];
        let wide = some.into_iter().map(i256::from_i128);
        for number in wide.chain([most.wrapping_mul(most), i256::MAX, i256::MIN]) {
            let mut bytes = Vec::new();
            put_wide(&mut bytes, number);
            assert_eq!(Reader(&bytes).wide(), Some(number), "{number}");
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, "native");
        bytes.pop();
        assert_eq!(Reader(&bytes).text(), None);
        assert_eq!(Reader(&[0x80, 0x80]).number(), None);
        assert_eq!(Reader(&[33]).wide(), None);
    }
}
