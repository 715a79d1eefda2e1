//! Columns of texts that repeat. They are made as other texts, or, where that is asked, as dictionaries: then what
//! a text is made of is looked up, and each text is written once.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, ListArray, PrimitiveArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use super::column::{Column, Size};
use super::distinct::Distinct;
use super::lane::Lane;
use super::text::{Plain, TextList};
use super::texts::Texts;
use crate::fixed_text::{Word, hex};
use crate::values::{base64, strkey};

/// A number a row, and the texts that they stand for.
pub struct Coded {
    keys: Lane<i32>,
    valid: NullBufferBuilder,
    texts: Texts,
    distinct: Distinct,
}

impl Default for Coded {
    fn default() -> Self {
        let (texts, distinct) = (Texts::default(), Distinct::default());
        Self { keys: Lane::default(), valid: NullBufferBuilder::new(0), texts, distinct }
    }
}

impl Coded {
    /// The number of what is made of these bytes; where it is new, `write` appends it.
    #[inline]
    fn number(&mut self, raw: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> i32 {
        let (number, is_new) = self.distinct.number(raw);
        if is_new {
            self.texts.put(write);
        }
        number as i32
    }

    #[inline]
    fn set(&mut self, row: usize, raw: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.pad(row);
        let number = self.number(raw, write);
        self.keys.push(number);
        self.valid.append_non_null();
    }

    fn fill(&mut self, rows: usize, raw: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let number = self.number(raw, write);
        self.valid.append_n_non_nulls(rows.saturating_sub(self.keys.len()));
        self.keys.resize(rows, number);
    }

    #[inline]
    fn pad(&mut self, rows: usize) {
        if self.keys.len() < rows {
            self.valid.append_n_nulls(rows - self.keys.len());
            self.keys.resize(rows, 0);
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
        self.valid.truncate(rows);
    }

    fn size(&self) -> Size {
        let texts = self.texts.size();
        Size { rows: self.keys.len(), items: texts.rows, bytes: texts.bytes }
    }

    fn reserve(&mut self, size: Size, place: usize) {
        self.keys.reserve(size.rows, 2 * place);
        self.texts.reserve(Size { rows: size.items, ..size }, place);
        self.distinct.reserve(size.items);
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        self.pad(rows);
        let Self { mut keys, mut valid, mut texts, .. } = std::mem::take(self);
        let keys = PrimitiveArray::<Int32Type>::try_new(keys.take(), valid.finish())?;
        Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(texts.take(None)?))?))
    }
}

/// Texts that repeat, in a column of plain ones unless told.
#[derive(Default)]
pub struct Repeated<P> {
    plain: P,
    coded: Option<Box<Coded>>,
}

impl<P: Plain> Repeated<P> {
    /// Set a row's text.
    #[inline]
    pub fn set(&mut self, row: usize, text: &[u8]) {
        match &mut self.coded {
            None => self.plain.put(row, |out| out.extend_from_slice(text)),
            Some(coded) => coded.set(row, text, |out| out.extend_from_slice(text)),
        }
    }

    /// Set a row's text to a word.
    #[inline]
    pub fn word(&mut self, row: usize, word: &'static Word) {
        match &mut self.coded {
            None => self.plain.put_word(row, word),
            Some(coded) => {
                let text = word.text();
                coded.set(row, text, |out| out.extend_from_slice(text));
            }
        }
    }

    /// Set a row's text to the strkey of a key. Others in the column are strkeys, too: longer than what is looked up
    /// here.
    #[inline]
    pub fn strkey(&mut self, row: usize, key: &[u8; 32], recent: &mut strkey::Recent) {
        match &mut self.coded {
            None => {
                let text = recent.encode(key);
                self.plain.put(row, |out| out.extend_from_slice(text));
            }
            Some(coded) => coded.set(row, &recent.raw(key), |out| {
                out.extend_from_slice(recent.encode(key));
            }),
        }
    }

    /// Set a row's text to a hash in hex.
    #[inline]
    pub fn hex(&mut self, row: usize, hash: &[u8; 32]) {
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&hex(hash));
        match &mut self.coded {
            None => self.plain.put(row, write),
            Some(coded) => coded.set(row, hash, write),
        }
    }

    /// Give all rows up to this one, that have no value yet, the same hash in hex.
    pub fn fill_hex(&mut self, rows: usize, hash: &[u8; 32]) {
        let text = hex(hash);
        match &mut self.coded {
            None => self.plain.put_all(rows, &text),
            Some(coded) => coded.fill(rows, hash, |out| out.extend_from_slice(&text)),
        }
    }
}

impl<P: Plain> Column for Repeated<P> {
    fn data_type() -> DataType {
        P::data_type()
    }

    fn code(&mut self) {
        self.coded = Some(Box::default());
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.coded {
            None => self.plain.truncate(rows),
            Some(coded) => coded.truncate(rows),
        }
    }

    fn size(&self) -> Size {
        self.coded.as_ref().map_or_else(|| self.plain.size(), |coded| coded.size())
    }

    fn reserve(&mut self, size: Size, place: usize) {
        match &mut self.coded {
            None => self.plain.reserve(size, place),
            Some(coded) => coded.reserve(size, place),
        }
    }

    fn oversized(&self) -> bool {
        self.coded.as_ref().map_or_else(|| self.plain.oversized(), |one| one.texts.oversized())
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        match &mut self.coded {
            None => self.plain.finish(rows),
            Some(coded) => coded.finish(rows),
        }
    }
}

/// Lists of texts that repeat.
#[derive(Default)]
pub struct RepeatedList {
    plain: TextList,
    coded: Option<Box<CodedList>>,
}

/// Where each list ends, and the texts of all lists.
pub struct CodedList {
    ends: Vec<i32>,
    items: Coded,
}

impl Default for CodedList {
    fn default() -> Self {
        Self { ends: vec![0], items: Coded::default() }
    }
}

impl RepeatedList {
    /// Add a row of these bytes, each in base64.
    #[inline]
    pub fn base64(&mut self, values: &[&[u8]]) {
        let Some(CodedList { ends, items }) = self.coded.as_deref_mut() else {
            self.plain.base64(values);
            return;
        };
        for value in values {
            items.set(items.keys.len(), value, |out| {
                base64::append(value, out);
            });
        }
        ends.push(items.keys.len() as i32);
    }
}

impl Column for RepeatedList {
    fn data_type() -> DataType {
        TextList::data_type()
    }

    fn code(&mut self) {
        self.coded = Some(Box::default());
    }

    fn truncate(&mut self, rows: usize) {
        match self.coded.as_deref_mut() {
            None => self.plain.truncate(rows),
            Some(CodedList { ends, items }) => {
                ends.truncate(rows + 1);
                items.truncate(ends.last().map_or(0, |end| *end as usize));
            }
        }
    }

    /// Of lists that are coded, bytes alone tell how many texts there are: none are reserved.
    fn size(&self) -> Size {
        match self.coded.as_deref() {
            None => self.plain.size(),
            Some(CodedList { ends, items }) => {
                let size = items.size();
                Size { rows: ends.len() - 1, items: size.rows, bytes: size.bytes }
            }
        }
    }

    fn reserve(&mut self, size: Size, place: usize) {
        match self.coded.as_deref_mut() {
            None => self.plain.reserve(size, place),
            Some(CodedList { ends, items }) => {
                ends.reserve((size.rows + 1).saturating_sub(ends.len()));
                items.reserve(Size { rows: size.items, items: 0, bytes: size.bytes }, place);
            }
        }
    }

    fn oversized(&self) -> bool {
        self.coded.as_ref().map_or_else(
            || self.plain.oversized(),
            |coded| coded.items.texts.oversized() || coded.items.keys.len() > i32::MAX as usize,
        )
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        let Some(coded) = self.coded.as_deref_mut() else { return self.plain.finish(rows) };
        let CodedList { ends, mut items } = std::mem::take(coded);
        let texts = items.finish(items.keys.len())?;
        let item = Arc::new(Field::new_list_field(texts.data_type().clone(), true));
        Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::new(ends.into()), texts, None)?))
    }
}
