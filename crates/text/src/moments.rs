//! Times as ISO 8601, which are of whole seconds: ledgers close on them.

use std::cell::RefCell;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTimestampType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, TimeUnit};

const DAY: i64 = 86_400;
/// Of the years that have four digits, in seconds: what is outside is written by Arrow.
const YEARS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;

/// A column of times, each of which can be written.
pub struct Moments<'a> {
    values: &'a ScalarBuffer<i64>,
    a_second: i64,
    /// The time last written and its text: rows of a ledger have the same.
    last: RefCell<(i64, Vec<u8>)>,
}

impl<'a> Moments<'a> {
    /// A column's times in UTC; none where it has others, or parts of seconds.
    pub fn of(column: &'a dyn Array) -> Option<Self> {
        let DataType::Timestamp(unit, zone) = column.data_type() else { return None };
        if zone.as_deref().is_some_and(|zone| zone != "UTC") {
            return None;
        }
        let (values, a_second) = match unit {
            TimeUnit::Second => (values::<TimestampSecondType>(column)?, 1),
            TimeUnit::Millisecond => (values::<TimestampMillisecondType>(column)?, 1_000),
            TimeUnit::Microsecond => (values::<TimestampMicrosecondType>(column)?, 1_000_000),
            TimeUnit::Nanosecond => (values::<TimestampNanosecondType>(column)?, 1_000_000_000),
        };
        let is_written = |value: &i64| value % a_second == 0 && YEARS.contains(&(value / a_second));
        let mut rows = values.iter().enumerate();
        let all = rows.all(|(row, value)| is_written(value) || column.is_null(row));
        all.then(|| Self { values, a_second, last: RefCell::new((0, text(0))) })
    }

    /// Whether a row has the same as another.
    pub fn is_same(&self, row: usize, other: usize) -> bool {
        self.values.get(row) == self.values.get(other)
    }

    /// Append a row's time.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        let second = self.values.get(row).copied().unwrap_or_default() / self.a_second;
        let mut last = self.last.borrow_mut();
        if last.0 != second {
            *last = (second, text(second));
        }
        out.extend_from_slice(&last.1);
    }
}

fn text(second: i64) -> Vec<u8> {
    let (year, month, day) = date(second.div_euclid(DAY));
    let rest = second.rem_euclid(DAY);
    let (hour, minute) = (rest / 3_600, rest / 60 % 60);
    let second = rest % 60;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").into_bytes()
}

fn values<T: ArrowTimestampType>(column: &dyn Array) -> Option<&ScalarBuffer<i64>> {
    Some(column.as_primitive_opt::<T>()?.values())
}

/// Year, month and day of a day counted from 1970 (Howard Hinnant's `civil_from_days`).
const fn date(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let turned = (5 * of_year + 2) / 153;
    let month = if turned < 10 { turned + 3 } else { turned - 9 };
    let early = if month <= 2 { 1 } else { 0 };
    (year + era * 400 + early, month, of_year - (153 * turned + 2) / 5 + 1)
}
