//! Figures as record batches: a window a row.

use std::sync::Arc;

use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, PrimitiveArray, RecordBatch, StringArray, UInt32Array,
    UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::contracts::Activity;
use crate::network::Ledgers;
use crate::series::{Counted, Series};
use crate::transfers::Transfers;

/// Figures that can be shown.
pub trait Shown: Counted {
    /// Its columns, each with what it is called.
    fn columns(rows: &[Self]) -> Vec<(&'static str, ArrayRef)>;
    /// What keys may be ordered by.
    fn order(by: &str) -> Option<fn(&Self) -> i256>;
}

struct Row<F> {
    start: i64,
    ledgers: (u32, u32),
    key: Option<String>,
    label: Option<String>,
    figures: F,
    whole: bool,
}

/// Returns the windows of a kind that are kept, the oldest first, for one key or all together; no rows where
/// the key is not known.
///
/// # Errors
///
/// None that rows of ours could lead to.
pub fn series<F: Shown>(
    series: &Series<F>,
    kind: &str,
    key: Option<&str>,
) -> Result<Option<RecordBatch>, ArrowError> {
    let found = key.and_then(|text| series.keys().find(text)).and_then(|id| series.keys().key(id));
    let mut rows = Vec::new();
    series.each(kind, key, |start, ledgers, figures, whole| {
        rows.push(Row {
            start,
            ledgers,
            key: found.map(|key| key.name.to_string()),
            label: found.map(|key| key.label.to_string()),
            figures: figures.clone(),
            whole,
        });
    });
    batch(rows, series.last()).map(Some)
}

/// Returns the foremost keys in the window of a kind that is open; none where there is no such order.
///
/// # Errors
///
/// None that rows of ours could lead to.
pub fn foremost<F: Shown>(
    series: &Series<F>,
    kind: &str,
    by: &str,
    limit: usize,
) -> Result<Option<RecordBatch>, ArrowError> {
    let Some(order) = F::order(by) else { return Ok(None) };
    let mut rows = Vec::new();
    series.foremost(kind, limit, order, |key, start, ledgers, figures, whole| {
        rows.push(Row {
            start,
            ledgers,
            key: key.map(|(name, _)| name.to_owned()),
            label: key.map(|(_, label)| label.to_owned()),
            figures: figures.clone(),
            whole,
        });
    });
    batch(rows, series.last()).map(Some)
}

fn batch<F: Shown>(rows: Vec<Row<F>>, last: u32) -> Result<RecordBatch, ArrowError> {
    let starts = rows.iter().map(|row| row.start.saturating_mul(1_000_000));
    let starts =
        PrimitiveArray::<TimestampMicrosecondType>::from_iter_values(starts).with_timezone("UTC");
    let texts = |text: fn(&Row<F>) -> &Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| text(row).as_deref()).collect::<StringArray>())
    };
    let ledgers = |end: fn(&Row<F>) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(end)))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("window_start", Arc::new(starts)),
        ("first_ledger", ledgers(|row| row.ledgers.0)),
        ("last_ledger", ledgers(|row| row.ledgers.1)),
        ("as_of_ledger", Arc::new(UInt32Array::from(vec![last; rows.len()]))),
        ("contract_id", texts(|row| &row.key)),
        ("label", texts(|row| &row.label)),
        (
            "complete",
            Arc::new(BooleanArray::from(rows.iter().map(|row| row.whole).collect::<Vec<_>>())),
        ),
    ];
    let figures: Vec<F> = rows.into_iter().map(|row| row.figures).collect();
    columns.extend(F::columns(&figures));
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| {
            Field::new(
                *name,
                array.data_type().clone(),
                matches!(*name, "contract_id" | "label")
                    || matches!(array.data_type(), DataType::Timestamp(..) | DataType::Float64),
            )
        })
        .collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())
}

fn counts<F>(rows: &[F], count: impl Fn(&F) -> u64) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(rows.iter().map(count)))
}

/// Whole numbers of any size, as texts: a sum of amounts may have more digits than a decimal column.
fn sums<F>(rows: &[F], sum: impl Fn(&F) -> i256) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(|row| sum(row).to_string())))
}

fn yes_or_no<F>(rows: &[F], yes: impl Fn(&F) -> bool) -> ArrayRef {
    Arc::new(BooleanArray::from(rows.iter().map(yes).collect::<Vec<_>>()))
}

impl Shown for Transfers {
    fn columns(rows: &[Self]) -> Vec<(&'static str, ArrayRef)> {
        vec![
            ("transfers", counts(rows, |one| one.moved.transfers.0)),
            ("transactions", counts(rows, |one| one.moved.transactions)),
            ("volume", sums(rows, |one| one.moved.transfers.1)),
            ("largest_transfer", sums(rows, |one| i256::from_i128(one.moved.largest))),
            ("senders", counts(rows, |one| one.senders.count().0)),
            ("senders_exact", yes_or_no(rows, |one| one.senders.count().1)),
            ("receivers", counts(rows, |one| one.receivers.count().0)),
            ("receivers_exact", yes_or_no(rows, |one| one.receivers.count().1)),
            ("mints", counts(rows, |one| one.moved.mints.0)),
            ("minted", sums(rows, |one| one.moved.mints.1)),
            ("burns", counts(rows, |one| one.moved.burns.0)),
            ("burned", sums(rows, |one| one.moved.burns.1)),
            ("clawbacks", counts(rows, |one| one.moved.clawbacks.0)),
            ("clawed_back", sums(rows, |one| one.moved.clawbacks.1)),
            ("fees_charged", sums(rows, |one| one.moved.fees.0)),
            ("fees_refunded", sums(rows, |one| one.moved.fees.1)),
        ]
    }

    fn order(by: &str) -> Option<fn(&Self) -> i256> {
        Some(match by {
            "volume" => |one| one.moved.transfers.1,
            "transfers" => |one| i256::from_i128(one.moved.transfers.0.into()),
            "transactions" => |one| i256::from_i128(one.moved.transactions.into()),
            "mints" => |one| i256::from_i128(one.moved.mints.0.into()),
            "burns" => |one| i256::from_i128(one.moved.burns.0.into()),
            _ => return None,
        })
    }
}

impl Shown for Activity {
    fn columns(rows: &[Self]) -> Vec<(&'static str, ArrayRef)> {
        vec![
            ("rows", counts(rows, |one| one.rows)),
            ("transactions", counts(rows, |one| one.transactions)),
            ("marked", counts(rows, |one| one.marked)),
        ]
    }

    fn order(by: &str) -> Option<fn(&Self) -> i256> {
        Some(match by {
            "rows" => |one| i256::from_i128(one.rows.into()),
            "transactions" => |one| i256::from_i128(one.transactions.into()),
            _ => return None,
        })
    }
}

impl Shown for Ledgers {
    fn columns(rows: &[Self]) -> Vec<(&'static str, ArrayRef)> {
        let time = |end: fn((i64, i64)) -> i64| -> ArrayRef {
            let times = rows.iter().map(|one| one.closed.map(end));
            Arc::new(
                PrimitiveArray::<TimestampMicrosecondType>::from_iter(times).with_timezone("UTC"),
            )
        };
        vec![
            ("ledgers", counts(rows, |one| one.ledgers)),
            ("transactions", counts(rows, |one| one.transactions.0)),
            ("successful_transactions", counts(rows, |one| one.transactions.1)),
            ("size_bytes", counts(rows, |one| one.bytes)),
            ("first_closed_at", time(|(first, _)| first)),
            ("last_closed_at", time(|(_, last)| last)),
            ("longest_interval_us", counts(rows, |one| u64::try_from(one.longest).unwrap_or(0))),
            (
                "mean_interval_us",
                Arc::new(rows.iter().map(Ledgers::mean_interval).collect::<Float64Array>()),
            ),
            (
                "transactions_per_second",
                Arc::new(rows.iter().map(Ledgers::pace).collect::<Float64Array>()),
            ),
        ]
    }

    fn order(_: &str) -> Option<fn(&Self) -> i256> {
        None
    }
}
