//! A column, of which a row's value can be written as JSON or as a field of CSV.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, BooleanArray, Int32Array, ListArray, StringArray};
use arrow_schema::DataType;

use crate::moments::Moments;
use crate::numbers::Numbers;
use crate::texts::Texts;

/// Bytes of a text's quotes, of most numbers, and of a time.
const QUOTES: usize = 2;
const NUMBER: usize = 12;
const MOMENT: usize = 22;

/// A column's values.
pub enum Cells<'a> {
    /// Texts.
    Text(Texts<'a>),
    /// Texts of a dictionary that has none missing, by their numbers.
    Coded(&'a Int32Array, Texts<'a>),
    /// Lists of texts, none of which is missing.
    Texts(&'a ListArray, Texts<'a>),
    /// True and false.
    Truth(&'a BooleanArray),
    /// Whole numbers.
    Number(Numbers<'a>),
    /// Times.
    Moment(Moments<'a>),
}

impl<'a> Cells<'a> {
    /// What a column holds; none where no table has such columns.
    pub fn of(column: &'a dyn Array) -> Option<Self> {
        match column.data_type() {
            DataType::Utf8 => Some(Self::Text(Texts::of(column.as_string_opt()?))),
            DataType::Dictionary(..) => {
                let held = column.as_dictionary_opt::<Int32Type>()?;
                let texts: &StringArray = held.values().as_string_opt()?;
                (texts.null_count() == 0).then(|| Self::Coded(held.keys(), Texts::of(texts)))
            }
            DataType::Boolean => Some(Self::Truth(column.as_boolean_opt()?)),
            DataType::Timestamp(..) => Some(Self::Moment(Moments::of(column)?)),
            DataType::List(_) => {
                let lists: &ListArray = column.as_list_opt()?;
                let texts = lists.values().as_string_opt()?;
                (texts.null_count() == 0).then(|| Self::Texts(lists, Texts::of(texts)))
            }
            _ => Some(Self::Number(Numbers::of(column)?)),
        }
    }

    /// Whether a row's value is that of another; lists are not compared.
    pub fn is_same(&self, row: usize, other: usize) -> bool {
        match self {
            Self::Text(held) => held.is_same(row, other),
            Self::Coded(keys, _) => keys.value(row) == keys.value(other),
            Self::Texts(..) => false,
            Self::Truth(held) => held.value(row) == held.value(other),
            Self::Number(held) => held.is_same(row, other),
            Self::Moment(held) => held.is_same(row, other),
        }
    }

    /// What so many rows take, more or less, without what stands before each.
    pub fn size(&self, rows: usize) -> usize {
        match self {
            Self::Text(texts) => texts.bytes() + QUOTES * rows,
            Self::Coded(_, texts) => (texts.bytes() / texts.count().max(1) + QUOTES) * rows,
            Self::Texts(_, texts) => texts.bytes() + 2 * QUOTES * (texts.count() + rows),
            Self::Truth(_) | Self::Number(_) => NUMBER * rows,
            Self::Moment(_) => MOMENT * rows,
        }
    }

    /// Append a row's value as JSON.
    pub fn json(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text(held) => held.json(row, out),
            Self::Coded(keys, texts) => texts.json(number(keys, row), out),
            Self::Texts(lists, texts) => {
                list(places(lists, row), [b"[", b"]"], out, |at, out| texts.json(at, out));
            }
            Self::Truth(held) => truth(held.value(row), out),
            Self::Number(held) if held.is_long() => quoted(out, |out| held.write(row, out)),
            Self::Number(held) => held.write(row, out),
            Self::Moment(held) => quoted(out, |out| held.write(row, out)),
        }
    }

    /// Append a row's value as a field of CSV.
    pub fn csv(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text(held) => held.csv(row, out),
            Self::Coded(keys, texts) => texts.csv(number(keys, row), out),
            // Within quotes, its own are doubled.
            Self::Texts(lists, texts) => {
                let write = |at, out: &mut Vec<u8>| texts.json_in_csv(at, out);
                list(places(lists, row), [b"\"[", b"]\""], out, write);
            }
            Self::Truth(held) => truth(held.value(row), out),
            Self::Number(held) => held.write(row, out),
            Self::Moment(held) => quoted(out, |out| held.write(row, out)),
        }
    }
}

fn number(keys: &Int32Array, row: usize) -> usize {
    usize::try_from(keys.value(row)).unwrap_or(usize::MAX)
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn truth(is_true: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if is_true { b"true" } else { b"false" });
}

/// Where a row's texts are among all.
fn places(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = lists.value_offsets();
    let place = |at: usize| offsets.get(at).and_then(|&one| usize::try_from(one).ok()).unwrap_or(0);
    place(row)..place(row + 1)
}

/// A list between brackets, each of its texts written by its place.
fn list(
    places: std::ops::Range<usize>,
    [open, close]: [&[u8]; 2],
    out: &mut Vec<u8>,
    write: impl Fn(usize, &mut Vec<u8>),
) {
    out.extend_from_slice(open);
    for (number, at) in places.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write(at, out);
    }
    out.extend_from_slice(close);
}
