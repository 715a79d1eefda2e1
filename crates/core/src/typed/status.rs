//! What became of a row under the interface in force.

use crate::fixed_text::Word;

/// Whether the declared columns of a row are filled, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It fits one declaration.
    Decoded,
    /// It fits several; the columns are of the first.
    Ambiguous,
    /// It is named like a declaration, but its values are of other types.
    Mismatch,
    /// Nothing is declared that it could be.
    NoMatch,
    /// No interface is known.
    NoSpec,
}

static WORDS: [Word; 5] = [
    Word::new("decoded"),
    Word::new("ambiguous"),
    Word::new("mismatch"),
    Word::new("no_match"),
    Word::new("no_spec"),
];

impl Status {
    /// Its word in the column `spec_status`.
    pub fn word(self) -> &'static Word {
        let [decoded, ambiguous, mismatch, no_match, no_spec] = &WORDS;
        match self {
            Self::Decoded => decoded,
            Self::Ambiguous => ambiguous,
            Self::Mismatch => mismatch,
            Self::NoMatch => no_match,
            Self::NoSpec => no_spec,
        }
    }

    /// Whether the declared columns are filled.
    pub fn is_filled(self) -> bool {
        matches!(self, Self::Decoded | Self::Ambiguous)
    }
}
