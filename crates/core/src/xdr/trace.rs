//! The slow second pass: where and why bytes are not the XDR they should be.
//!
//! The walk only says that a ledger is bad. `locate` goes over the same layout once more, keeps the
//! path it is on, and stops at the first fault.

use std::fmt::Write;

use super::cursor::Input;
use super::schema::{MAX_DEPTH, Xdr};

/// One step of the way to a value.
#[derive(Clone, Copy)]
enum Step {
    Name(&'static str),
    Index(u32),
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The value's place, such as `tx_processing[3].result.result`.
    pub path: String,
    /// Bytes from the start of the traced value to the faulty one.
    pub offset: usize,
    /// What is wrong, in words.
    pub reason: String,
}

/// Follows the layout and remembers the way.
pub struct Trace {
    steps: Vec<Step>,
    total: usize,
    found: Option<(usize, String)>,
}

impl Trace {
    /// Go one step down, by name, and up again if all is well there.
    pub fn name<'a, T: Xdr>(
        &mut self,
        name: &'static str,
        bytes: Input<'a>,
        depth: u32,
    ) -> Option<Input<'a>> {
        self.step::<T>(Step::Name(name), bytes, depth)
    }

    /// Go one step down, into an element, and up again if all is well there.
    pub fn index<'a, T: Xdr>(
        &mut self,
        index: u32,
        bytes: Input<'a>,
        depth: u32,
    ) -> Option<Input<'a>> {
        self.step::<T>(Step::Index(index), bytes, depth)
    }

    fn step<'a, T: Xdr>(&mut self, step: Step, bytes: Input<'a>, depth: u32) -> Option<Input<'a>> {
        self.steps.push(step);
        let rest = T::trace(bytes, depth, self)?;
        self.steps.pop();
        Some(rest)
    }

    /// Note a fault at this position; the first one noted stays.
    pub fn fault<T>(&mut self, bytes: Input<'_>, reason: impl FnOnce() -> String) -> Option<T> {
        if self.found.is_none() {
            self.found = Some((self.total.saturating_sub(bytes.len()), reason()));
        }
        None
    }

    /// Note that the bytes end too early, unless reading went well.
    pub fn read<T>(&mut self, bytes: Input<'_>, read: Option<T>, needed: usize) -> Option<T> {
        read.or_else(|| {
            self.fault(bytes, || format!("needs {needed} bytes but {} remain", bytes.len()))
        })
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            // Writing to a String cannot fail.
            let _ = match step {
                Step::Name(name) if path.is_empty() => write!(path, "{name}"),
                Step::Name(name) => write!(path, ".{name}"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
        }
        path
    }
}

/// Find the first fault of a value of type T; `Ok` holds what follows a sound one.
pub fn locate<T: Xdr>(bytes: Input<'_>) -> Result<Input<'_>, Fault> {
    let mut trace = Trace { steps: Vec::new(), total: bytes.len(), found: None };
    match T::trace(bytes, MAX_DEPTH, &mut trace) {
        Some(rest) => Ok(rest),
        None => {
            let path = trace.path();
            let (offset, reason) = trace.found.unwrap_or((0, "is malformed".into()));
            Err(Fault { path, offset, reason })
        }
    }
}
