//! Times passes over the ledgers.

use std::hint::black_box;
use std::time::{Duration, Instant};

use stellar_xdr::{Error, LedgerCloseMeta, Limits, ReadXdr};

/// What one repetition decoded, in as many passes over the file as fit its least time.
pub struct Measured {
    ledgers: usize,
    bytes: usize,
    passes: usize,
    seconds: f64,
}

/// Decodes every ledger to the crate's tree and drops it.
pub fn once(ledgers: &[&[u8]], minimum: Duration) -> Result<Measured, Error> {
    let mut measured = Measured {
        ledgers: 0,
        bytes: 0,
        passes: 0,
        seconds: 0.0,
    };
    let start = Instant::now();
    while measured.passes == 0 || start.elapsed() < minimum {
        for ledger in ledgers {
            black_box(LedgerCloseMeta::from_xdr(ledger, Limits::none())?);
            measured.bytes += ledger.len();
        }
        measured.ledgers += ledgers.len();
        measured.passes += 1;
    }
    measured.seconds = start.elapsed().as_secs_f64();
    Ok(measured)
}

impl Measured {
    #[allow(clippy::cast_precision_loss)] // a few hundred passes
    pub fn seconds_per_pass(&self) -> f64 {
        self.seconds / self.passes as f64
    }

    pub fn per_pass(&self) -> Self {
        Self {
            ledgers: self.ledgers / self.passes,
            bytes: self.bytes / self.passes,
            passes: 1,
            seconds: self.seconds_per_pass(),
        }
    }

    pub fn to_json(&self, median_seconds: Option<f64>) -> serde_json::Value {
        let mut line = serde_json::json!({
            "ledgers": self.ledgers, "bytes": self.bytes, "rows": 0, "passes": self.passes, "seconds": self.seconds,
        });
        if let Some(median) = median_seconds {
            line["median_seconds"] = median.into();
        }
        line
    }
}
