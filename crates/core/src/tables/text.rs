//! Columns of text in the making.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, ListArray, StringArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use super::column::{Column, Size};
use super::texts::Texts;
use crate::fixed_text::{Word, hex};
use crate::values::base64;

/// A column of texts, written as they are.
pub trait Plain: Column {
    /// Let `write` append a row's text.
    fn put(&mut self, row: usize, write: impl FnOnce(&mut Vec<u8>));
    /// Set a row's text to a word.
    fn put_word(&mut self, row: usize, word: &Word);
    /// Give all rows up to this one, that have no value yet, the same hash.
    fn put_all(&mut self, rows: usize, hash: &[u8; 64]);
}

/// Texts, none of them null.
#[derive(Default)]
pub struct Text(Texts);

impl Text {
    /// Add a row.
    #[inline(always)]
    pub fn push(&mut self, text: &[u8]) {
        self.0.put(|out| out.extend_from_slice(text));
    }

    /// Add a row that holds a word.
    #[inline(always)]
    pub fn word(&mut self, word: &Word) {
        self.0.put(|out| {
            let end = out.len() + word.length();
            out.extend_from_slice(word.padded());
            out.truncate(end);
        });
    }

    /// Add a row that holds these bytes in lower-case hex.
    #[inline(always)]
    pub fn hex(&mut self, bytes: &[u8; 32]) {
        self.0.put(|out| out.extend_from_slice(&hex(bytes)));
    }

    /// Add a row that holds these bytes in base64.
    #[inline(always)]
    pub fn base64(&mut self, bytes: &[u8]) {
        self.0.put(|out| base64::append(bytes, out));
    }

    /// Add a row that holds a number in digits.
    #[inline]
    pub fn number(&mut self, number: i64) {
        let mut digits = [0; 20];
        let (mut left, mut start) = (number.unsigned_abs(), digits.len());
        for (place, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            start = place;
            if left == 0 {
                break;
            }
        }
        self.0.put(|out| {
            if number < 0 {
                out.push(b'-');
            }
            out.extend_from_slice(digits.split_at(start).1);
        });
    }

    /// Give all rows up to this one, that have no value yet, the same.
    #[inline]
    pub fn fill(&mut self, rows: usize, text: &[u8]) {
        for _ in self.0.len()..rows {
            self.push(text);
        }
    }
}

impl Plain for Text {
    #[inline(always)]
    fn put(&mut self, _row: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.put(write);
    }

    #[inline(always)]
    fn put_word(&mut self, _row: usize, word: &Word) {
        self.word(word);
    }

    #[inline]
    fn put_all(&mut self, rows: usize, hash: &[u8; 64]) {
        for _ in self.0.len()..rows {
            self.0.put(|out| out.extend_from_slice(hash));
        }
    }
}

impl Column for Text {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn size(&self) -> Size {
        self.0.size()
    }

    fn reserve(&mut self, size: Size, place: usize) {
        self.0.reserve(size, place);
    }

    fn oversized(&self) -> bool {
        self.0.oversized()
    }

    fn finish(&mut self, _rows: usize) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.0.take(None)?))
    }
}

/// Texts, null where none was set.
pub struct NullableText {
    texts: Texts,
    valid: NullBufferBuilder,
}

impl Default for NullableText {
    fn default() -> Self {
        Self { texts: Texts::default(), valid: NullBufferBuilder::new(0) }
    }
}

impl NullableText {
    /// Set a row's text; rows passed over are null.
    #[inline]
    pub fn set(&mut self, row: usize, text: &[u8]) {
        self.set_with(row, |out| out.extend_from_slice(text));
    }

    /// Set a row's text to these bytes in base64; rows passed over are null.
    #[inline]
    pub fn set_base64(&mut self, row: usize, bytes: &[u8]) {
        self.set_with(row, |out| base64::append(bytes, out));
    }

    /// Let `write` append a row's text; rows passed over are null. It must append UTF-8.
    #[inline]
    pub fn set_with(&mut self, row: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.pad(row);
        self.texts.put(write);
        self.valid.append_non_null();
    }

    /// Whether none of so many rows was ever set.
    fn is_unset(&self, rows: usize) -> bool {
        self.texts.len() == 0 && rows > 0
    }

    #[inline]
    fn pad(&mut self, rows: usize) {
        let held = self.texts.len();
        if held < rows {
            self.valid.append_n_nulls(rows - held);
            self.texts.pad(rows);
        }
    }
}

impl Plain for NullableText {
    #[inline]
    fn put(&mut self, row: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.set_with(row, write);
    }

    fn put_word(&mut self, row: usize, word: &Word) {
        self.set(row, word.text());
    }

    fn put_all(&mut self, rows: usize, hash: &[u8; 64]) {
        for row in self.texts.len()..rows {
            self.set(row, hash);
        }
    }
}

impl Column for NullableText {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn truncate(&mut self, rows: usize) {
        self.texts.truncate(rows);
        self.valid.truncate(rows);
    }

    fn size(&self) -> Size {
        self.texts.size()
    }

    fn reserve(&mut self, size: Size, place: usize) {
        self.texts.reserve(size, place);
    }

    fn oversized(&self) -> bool {
        self.texts.oversized()
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        if self.is_unset(rows) {
            return Ok(Arc::new(StringArray::new_null(rows)));
        }
        self.pad(rows);
        Ok(Arc::new(self.texts.take(self.valid.finish())?))
    }
}

/// Lists of texts, neither null nor holding nulls.
pub struct TextList {
    ends: Vec<i32>,
    texts: Text,
}

impl Default for TextList {
    fn default() -> Self {
        Self { ends: vec![0], texts: Text::default() }
    }
}

impl TextList {
    /// Add a row of these bytes, each in base64.
    #[inline]
    pub fn base64(&mut self, values: &[&[u8]]) {
        values.iter().for_each(|value| self.texts.base64(value));
        self.ends.push(self.texts.0.len() as i32);
    }

    /// Add a row of as many texts as there are values, each appended by `write` as UTF-8.
    #[inline]
    pub fn push_with(&mut self, values: &[&[u8]], write: impl Fn(&[u8], &mut Vec<u8>)) {
        for value in values {
            self.texts.0.put(|out| write(value, out));
        }
        self.ends.push(self.texts.0.len() as i32);
    }

    fn item() -> Arc<Field> {
        Arc::new(Field::new_list_field(DataType::Utf8, true))
    }
}

impl Column for TextList {
    fn data_type() -> DataType {
        DataType::List(Self::item())
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.texts.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    fn size(&self) -> Size {
        let texts = self.texts.size();
        Size { rows: self.ends.len() - 1, items: texts.rows, bytes: texts.bytes }
    }

    fn reserve(&mut self, size: Size, place: usize) {
        self.ends.reserve((size.rows + 1).saturating_sub(self.ends.len()));
        self.texts.reserve(Size { rows: size.items, ..size }, place);
    }

    fn oversized(&self) -> bool {
        self.texts.oversized()
    }

    fn finish(&mut self, _rows: usize) -> Result<ArrayRef, ArrowError> {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let texts = self.texts.finish(0)?;
        let offsets = OffsetBuffer::new(ends.into());
        Ok(Arc::new(ListArray::try_new(Self::item(), offsets, texts, None)?))
    }
}

/// Bytes, null where none was set.
#[derive(Default)]
pub struct NullableBinary(NullableText);

impl NullableBinary {
    /// Set a row's bytes; rows passed over are null.
    pub fn set(&mut self, row: usize, bytes: &[u8]) {
        self.0.set(row, bytes);
    }
}

impl Column for NullableBinary {
    fn data_type() -> DataType {
        DataType::Binary
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn size(&self) -> Size {
        self.0.size()
    }

    fn reserve(&mut self, size: Size, place: usize) {
        self.0.reserve(size, place);
    }

    fn oversized(&self) -> bool {
        self.0.oversized()
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        if self.0.is_unset(rows) {
            return Ok(Arc::new(BinaryArray::new_null(rows)));
        }
        self.0.pad(rows);
        let (ends, bytes) = self.0.texts.parts();
        let nulls = self.0.valid.finish();
        Ok(Arc::new(BinaryArray::try_new(ends, bytes, nulls)?))
    }
}
