//! What one ledger becomes: the tables, and the one list of them.

mod builder;
pub(crate) mod column;
pub(crate) mod columns;
mod contract_code;
mod contract_data;
mod contract_events;
mod distinct;
mod evictions;
mod lane;
mod ledgers;
mod repeated;
mod table;
pub(crate) mod text;
mod texts;
mod token_transfer_anomalies;
mod token_transfers;
mod transactions;
mod ttl;

use std::collections::HashMap;
use std::sync::Arc;

use builder::Builder;
pub use builder::{Settings, Transfers};
pub use column::Size;
use table::Older;
pub use table::Table;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::ledger::header::Ledger;
use crate::ledger::visitor::{Needs, Refusal, Totals, Transaction, Visitor};

/// Write the list: for every builder its module and the versions of a table it makes, from old to new.
macro_rules! tables {
    ($($name:ident: $module:ident::$builder:ident { $($table:ident),+ },)*) => {
        /// Every version of every table, a table's versions from old to new.
        pub const TABLES: &[Table] = &[$($($module::$table,)+)*];

        /// A builder of any table.
        enum AnyBuilder {
            $($name(Box<$module::$builder>),)*
        }

        impl AnyBuilder {
            fn new(table: &Table, settings: &Settings) -> Result<Self> {
                $(if [$($module::$table),+].contains(table) {
                    return Ok(Self::$name(Box::new($module::$builder::new(settings))));
                })*
                Err(unknown(table.name))
            }

            fn get(&self) -> &dyn Builder {
                match self {
                    $(Self::$name(builder) => builder.as_ref(),)*
                }
            }

            fn get_mut(&mut self) -> &mut dyn Builder {
                match self {
                    $(Self::$name(builder) => builder.as_mut(),)*
                }
            }
        }

        /// The fields of a table's newest version.
        fn newest_fields(table: &Table, decoded: bool) -> Vec<Field> {
            $(if [$($module::$table),+].contains(table) {
                return $module::$builder::fields(decoded);
            })*
            Vec::new()
        }
    };
}

tables! {
    Ledgers: ledgers::Builder { LEDGERS },
    ContractData: contract_data::Builder { CONTRACT_DATA_1, CONTRACT_DATA_2 },
    ContractEvents: contract_events::Builder { CONTRACT_EVENTS },
    ContractCode: contract_code::Builder { CONTRACT_CODE },
    Ttl: ttl::Builder { TTL },
    Evictions: evictions::Builder { EVICTIONS },
    TokenTransferAnomalies: token_transfer_anomalies::Builder { TOKEN_TRANSFER_ANOMALIES },
    Transactions: transactions::Builder { TRANSACTIONS },
    TokenTransfers: token_transfers::Builder { TOKEN_TRANSFERS },
}

impl Table {
    /// Find `name`, the newest version, or `name@version`.
    pub fn find(text: &str) -> Result<Self> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let fits = |table: &&Table| {
            table.name == name && version.is_none_or(|version| version == table.version)
        };
        TABLES.iter().rfind(fits).copied().ok_or_else(|| unknown(text))
    }

    /// The Arrow schema, with the table's name and version as metadata, and with the columns made
    /// only on request where `decoded`.
    pub fn schema(&self, decoded: bool) -> SchemaRef {
        let metadata = HashMap::from([
            ("schema_version".to_owned(), self.version.to_owned()),
            ("schema_type".to_owned(), self.name.to_owned()),
        ]);
        let fields = match self.older() {
            Some(older) => (older.fields)(&newest_fields(self, false)),
            None => newest_fields(self, decoded),
        };
        Arc::new(Schema::new_with_metadata(fields, metadata))
    }

    /// How this version comes out of the newest one, where it is not that.
    fn older(&self) -> Option<Older> {
        (*self == contract_data::CONTRACT_DATA_1).then_some(contract_data::VERSION_1)
    }
}

fn unknown(text: &str) -> Error {
    let known: Vec<_> =
        TABLES.iter().map(|table| format!("{}@{}", table.name, table.version)).collect();
    Error::Config(format!("there is no table {text:?}; the tables are {}", known.join(", ")))
}

/// A visitor that makes rows, which a bad ledger must leave nothing of.
pub trait Rows: Visitor {
    /// Rows of each builder so far.
    fn rows(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Go back to so many rows of each builder.
    fn truncate(&mut self, _rows: &[usize]) {}

    /// How much each column of each builder holds.
    fn sizes(&self) -> Vec<Vec<Size>> {
        Vec::new()
    }

    /// Make room for so many times as much as these.
    fn reserve(&mut self, _sizes: &[Vec<Size>], _times: f64) {}

    /// The table and column that has outgrown Arrow's offsets.
    fn oversized(&self) -> Option<String> {
        None
    }

    /// Why the ledger at hand cannot become rows.
    fn refusal(&mut self) -> Option<Refusal> {
        None
    }
}

/// The tables asked for, in the order asked; versions of one table share a builder.
pub struct Tables {
    builders: Vec<AnyBuilder>,
    outputs: Vec<Output>,
}

/// A version of a table, and which builder makes it.
struct Output {
    table: Table,
    schema: SchemaRef,
    builder: usize,
}

impl Tables {
    /// Builders for these tables.
    pub fn new(tables: &[Table], settings: &Settings) -> Result<Self> {
        let mut made: Vec<(&str, AnyBuilder)> = Vec::new();
        let mut outputs = Vec::new();
        for table in tables {
            let known = made.iter().position(|(name, _)| *name == table.name);
            let builder = known.unwrap_or(made.len());
            if known.is_none() {
                let of_name = |one: &&Table| one.name == table.name && one.older().is_none();
                let decoded = settings.decoded && tables.iter().any(|one| of_name(&one));
                let settings = Settings { decoded, ..settings.clone() };
                made.push((table.name, AnyBuilder::new(table, &settings)?));
            }
            let schema = table.schema(settings.decoded);
            outputs.push(Output { table: *table, schema, builder });
        }
        Ok(Self { builders: made.into_iter().map(|(_, builder)| builder).collect(), outputs })
    }

    /// Hand over a batch of each table and begin anew.
    pub fn finish(&mut self) -> std::result::Result<Vec<RecordBatch>, ArrowError> {
        let finish = |builder: &mut AnyBuilder| builder.get_mut().finish();
        let made =
            self.builders.iter_mut().map(finish).collect::<std::result::Result<Vec<_>, _>>()?;
        self.outputs.iter().map(|output| output.batch(&made)).collect()
    }
}

impl Rows for Tables {
    fn rows(&self) -> Vec<usize> {
        self.builders.iter().map(|builder| builder.get().rows()).collect()
    }

    fn truncate(&mut self, rows: &[usize]) {
        for (builder, rows) in self.builders.iter_mut().zip(rows) {
            builder.get_mut().truncate(*rows);
        }
    }

    fn sizes(&self) -> Vec<Vec<Size>> {
        self.builders.iter().map(|builder| builder.get().sizes()).collect()
    }

    fn reserve(&mut self, sizes: &[Vec<Size>], times: f64) {
        let mut first = 0;
        for (builder, sizes) in self.builders.iter_mut().zip(sizes) {
            let sizes: Vec<_> = sizes.iter().map(|size| size.times(times)).collect();
            builder.get_mut().reserve(&sizes, first);
            first += sizes.len();
        }
    }

    fn oversized(&self) -> Option<String> {
        self.builders.iter().find_map(|builder| builder.get().oversized()).map(str::to_owned)
    }

    fn refusal(&mut self) -> Option<Refusal> {
        self.builders.iter_mut().find_map(|builder| builder.get_mut().refusal())
    }
}

impl Visitor for Tables {
    fn needs(&self) -> Needs {
        self.builders.iter().map(|builder| builder.get().needs()).fold(
            Needs::default(),
            |all, one| Needs {
                entries: all.entries | one.entries,
                events: all.events || one.events,
                diagnostics: all.diagnostics || one.diagnostics,
                envelopes: all.envelopes || one.envelopes,
                meta: all.meta || one.meta,
                fees: all.fees || one.fees,
                unified: all.unified || one.unified,
                evictions: all.evictions || one.evictions,
            },
        )
    }

    fn transaction(&mut self, ledger: &Ledger<'_>, transaction: &Transaction<'_, '_>) {
        for builder in &mut self.builders {
            builder.get_mut().transaction(ledger, transaction);
        }
    }

    fn ledger(&mut self, ledger: &Ledger<'_>, totals: &Totals<'_, '_>) {
        for builder in &mut self.builders {
            builder.get_mut().ledger(ledger, totals);
        }
    }
}

impl Output {
    /// The schema, with dictionaries where the columns are some.
    fn typed(&self, columns: &[ArrayRef]) -> SchemaRef {
        let is_coded =
            |(field, column): (&Arc<Field>, &ArrayRef)| field.data_type() != column.data_type();
        let fields = self.schema.fields();
        if !fields.iter().zip(columns).any(is_coded) {
            return self.schema.clone();
        }
        let field = |(field, column): (&Arc<Field>, &ArrayRef)| {
            field.as_ref().clone().with_data_type(column.data_type().clone())
        };
        let fields: Vec<_> = fields.iter().zip(columns).map(field).collect();
        Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()))
    }

    fn batch(&self, made: &[Vec<ArrayRef>]) -> std::result::Result<RecordBatch, ArrowError> {
        let newest = made.get(self.builder).map_or(&[][..], Vec::as_slice);
        let columns = match self.table.older() {
            Some(older) => (older.columns)(&newest_fields(&self.table, false), newest),
            None => newest.to_vec(),
        };
        RecordBatch::try_new(self.typed(&columns), columns)
    }
}
