//! Rows as plain values, out of Arrow batches.

use std::sync::LazyLock;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use stellarrow_core::decode::{Decoder, Request};
use stellarrow_core::filter::Wanted;
use stellarrow_core::tables::{self, Table};

use crate::sealed::PASSPHRASE;

/// Every version of every table but `transactions` and `token_transfers`: these refuse a ledger whose
/// results are not those of its transactions, as are most of the ledgers made here.
pub static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let told = |table: &&Table| !["transactions", "token_transfers"].contains(&table.name);
    tables::TABLES.iter().filter(told).copied().collect()
});

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(i128),
    Text(String),
    List(Vec<String>),
    Bytes(Vec<u8>),
}

/// A row: its columns' names and values in the schema's order.
pub type Row = Vec<(String, Value)>;

/// The rows of a batch.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    let columns = || schema.fields().iter().zip(batch.columns());
    let row =
        |row| columns().map(|(field, column)| (field.name().clone(), value(column, row))).collect();
    (0..batch.num_rows()).map(row).collect()
}

fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::UInt32 => Value::Number(column.as_primitive::<UInt32Type>().value(row).into()),
        DataType::Int64 => Value::Number(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::Timestamp(..) => {
            Value::Number(column.as_primitive::<TimestampMicrosecondType>().value(row).into())
        }
        DataType::Decimal128(38, 0) => {
            Value::Number(column.as_primitive::<Decimal128Type>().value(row))
        }
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Value::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        DataType::Dictionary(..) => {
            let held = column.as_dictionary::<Int32Type>();
            value(held.values(), held.key(row).unwrap())
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>().value(row);
            let texts = (0..list.len()).map(|at| match value(&list, at) {
                Value::Text(text) => text,
                other => panic!("{other:?} is no text"),
            });
            Value::List(texts.collect())
        }
        other => panic!("no table has a column of {other}"),
    }
}

/// Ask for every one of these tables with all its columns, of the network all made ledgers are of.
pub fn request() -> Request {
    Request::new(&TABLES, PASSPHRASE, &Wanted::default()).unwrap().decoded(true)
}

/// The schema with plain texts in the place of dictionaries.
fn plain(schema: &Schema) -> Schema {
    fn of(kind: &DataType) -> DataType {
        match kind {
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            DataType::List(item) => {
                let item = Field::clone(item).with_data_type(of(item.data_type()));
                DataType::List(item.into())
            }
            other => other.clone(),
        }
    }
    let field =
        |field: &std::sync::Arc<Field>| Field::clone(field).with_data_type(of(field.data_type()));
    let fields: Vec<_> = schema.fields().iter().map(field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// What a decoder of `request` holds, table by table, checked to be sound Arrow of the schema.
pub fn held(decoder: &mut Decoder<'_>, tables: &[Table]) -> Vec<Vec<Row>> {
    let (batches, _) = decoder.finish().unwrap();
    assert_eq!(batches.len(), tables.len());
    batches
        .iter()
        .zip(tables)
        .map(|(batch, table)| {
            assert_eq!(plain(&batch.schema()), *table.schema(true));
            for column in batch.columns() {
                column.to_data().validate_full().unwrap();
            }
            rows(batch)
        })
        .collect()
}
