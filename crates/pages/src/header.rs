//! What lies before each page: a `PageHeader` of parquet.thrift in Thrift's compact protocol.

const DEEPEST: usize = 16;
// Types of Thrift's compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const SHORT: u8 = 4;
const INTEGER: u8 = 5;
const LONG: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const STRUCT: u8 = 12;
// Fields of a PageHeader.
const TYPE: i64 = 1;
const SIZE: i64 = 2;
const STORED: i64 = 3;
const CRC: i64 = 4;
const DATA: i64 = 5;
const DICTIONARY: i64 = 7;
// Its types.
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
// Fields of the headers of data and dictionary pages.
const COUNT: i64 = 1;
const ENCODING: i64 = 2;
const LEVELS: i64 = 3; // of a data page: how its definition levels are written

/// What kind of page follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `DATA_PAGE`, of version 1.
    Data,
    /// A `DICTIONARY_PAGE`.
    Dictionary,
    /// Another.
    Other,
}

/// The fields that a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of page.
    pub kind: Kind,
    /// Bytes of the page once decompressed.
    pub size: usize,
    /// Bytes of the page as it is stored.
    pub stored: usize,
    /// The CRC-32 of the stored bytes.
    pub crc: Option<u32>,
    /// Values, nulls among them.
    pub values: usize,
    /// The number of the values' encoding.
    pub encoding: i64,
    /// That of the levels that say which values are null.
    pub levels: Option<i64>,
}

impl Header {
    /// The header at the beginning of these bytes, and how long it is.
    pub fn read(data: &[u8]) -> Option<(Self, usize)> {
        let mut thrift = Thrift { data, at: 0 };
        let (mut kind, mut size, mut stored, mut crc, mut told) = (None, None, None, None, None);
        thrift.fields(&mut |thrift, id, wire| {
            match (id, wire) {
                (TYPE, INTEGER) => kind = Some(thrift.integer()?),
                (SIZE, INTEGER) => size = usize::try_from(thrift.integer()?).ok(),
                (STORED, INTEGER) => stored = usize::try_from(thrift.integer()?).ok(),
                (CRC, INTEGER) => {
                    crc = i32::try_from(thrift.integer()?).ok().map(i32::cast_unsigned)
                }
                (DATA | DICTIONARY, STRUCT) => told = Some(thrift.values()?),
                _ => thrift.skip(wire, 0)?,
            }
            Some(())
        })?;
        let kind = match kind? {
            DATA_PAGE => Kind::Data,
            DICTIONARY_PAGE => Kind::Dictionary,
            _ => Kind::Other,
        };
        let (values, encoding, levels) = told?;
        let header = Self { kind, size: size?, stored: stored?, crc, values, encoding, levels };
        Some((header, thrift.at))
    }
}

struct Thrift<'a> {
    data: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    /// How many values a page has, and in which encodings: the first fields of both kinds' own headers.
    fn values(&mut self) -> Option<(usize, i64, Option<i64>)> {
        let (mut count, mut encoding, mut levels) = (None, None, None);
        self.fields(&mut |thrift, id, wire| {
            match (id, wire) {
                (COUNT, INTEGER) => count = usize::try_from(thrift.integer()?).ok(),
                (ENCODING, INTEGER) => encoding = Some(thrift.integer()?),
                (LEVELS, INTEGER) => levels = Some(thrift.integer()?),
                _ => thrift.skip(wire, 1)?,
            }
            Some(())
        })?;
        Some((count?, encoding?, levels))
    }

    fn fields(&mut self, take: &mut dyn FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Some(());
            }
            let more = byte >> 4; // than the field before; none where its number is told
            id = if more > 0 { id + i64::from(more) } else { self.integer()? };
            take(self, id, byte & 0x0f)?;
        }
    }

    fn skip(&mut self, wire: u8, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match wire {
            TRUE | FALSE => Some(()), // a boolean is in its type
            BYTE => self.pass(1),
            SHORT | INTEGER | LONG => self.varint().map(|_| ()),
            DOUBLE => self.pass(8),
            BINARY => {
                let size = usize::try_from(self.varint()?).ok()?;
                self.pass(size)
            }
            STRUCT => self.fields(&mut |thrift, _, wire| thrift.skip(wire, depth + 1)),
            _ => None, // a page's header has no lists
        }
    }

    fn pass(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|&at| at <= self.data.len())?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn integer(&mut self) -> Option<i64> {
        let zigzag = self.varint()?;
        Some((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    fn varint(&mut self) -> Option<u64> {
        let (value, size) = varint(self.data.get(self.at..)?)?;
        self.at += size;
        Some(value)
    }
}

/// A number in bytes of seven bits, the lowest first, and how many bytes it has.
pub fn varint(data: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, &byte) in data.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_whatever_else_it_has() {
        // type 0, sizes 300 and 20, a CRC of -1, and of the page: 7 values, encoding 8, levels 3, statistics with
        // a text.
        let data = [
            0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x15, 0x01, 0x1c, 0x15, 0x0e, 0x15, 0x10,
            0x15, 0x06, 0x2c, 0x18, 0x02, b'a', b'b', 0x11, 0x00, 0x00, 0x00, 0xff,
        ];
        let header = Header {
            kind: Kind::Data,
            size: 300,
            stored: 20,
            crc: Some(u32::MAX),
            values: 7,
            encoding: 8,
            levels: Some(3),
        };
        assert_eq!(Header::read(&data), Some((header, data.len() - 1)));
        for end in 0..data.len() - 1 {
            assert_eq!(data.get(..end).and_then(Header::read), None, "{end}");
        }
    }

    #[test]
    fn nesting_without_end_is_no_header() {
        assert_eq!(Header::read(&[0x9c; 1_000_000]), None);
    }
}
