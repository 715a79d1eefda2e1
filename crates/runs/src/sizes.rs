//! How much text rows hold, however it is kept.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::DataType;

/// Bytes of all texts and binary values, those in lists too: of a dictionary as many as plain texts would have.
pub fn text_size(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| size(column)).sum()
}

fn size(values: &dyn Array) -> usize {
    match values.data_type() {
        DataType::Utf8 => {
            values.as_string_opt::<i32>().map_or(0, |texts| span(texts.value_offsets()))
        }
        DataType::Binary => {
            values.as_binary_opt::<i32>().map_or(0, |bytes| span(bytes.value_offsets()))
        }
        DataType::Dictionary(..) => coded(values).unwrap_or_default(),
        DataType::List(_) => values.as_list_opt::<i32>().map_or(0, |lists| {
            let offsets = lists.value_offsets();
            let start = offsets.first().map_or(0, place);
            size(&lists.values().slice(start, span(offsets)))
        }),
        _ => 0,
    }
}

fn place(offset: &i32) -> usize {
    usize::try_from(*offset).unwrap_or_default()
}

/// The ends tell the same as adding up every length.
fn span(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, place) - offsets.first().map_or(0, place)
}

fn coded(values: &dyn Array) -> Option<usize> {
    let held = values.as_dictionary_opt::<Int32Type>()?;
    let texts: &StringArray = held.values().as_string_opt()?;
    let lengths: Vec<_> = texts.value_offsets().windows(2).map(span).collect();
    let of = |key: i32| usize::try_from(key).ok().and_then(|key| lengths.get(key)).copied();
    let keys = held.keys();
    Some(match keys.null_count() {
        0 => keys.values().iter().filter_map(|&key| of(key)).sum(),
        _ => keys.iter().flatten().filter_map(of).sum(),
    })
}
