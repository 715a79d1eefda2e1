//! Rows put in order by small numbers, those of the same number as they were.

/// Rows that were kept one behind the other.
#[derive(Clone, Copy)]
pub struct Span {
    /// The first of them.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// Rows as spans: what lies together is copied at once.
pub fn spans(rows: &[u32]) -> Vec<Span> {
    let parts = rows.chunk_by(|row, next| row.checked_add(1) == Some(*next));
    let span = |part: &[u32]| part.first().map(|&first| (first as usize, part.len()));
    parts.filter_map(span).map(|(first, count)| Span { first, count }).collect()
}

/// Rows in an order.
#[derive(Default)]
pub struct Order {
    /// Every row once.
    pub rows: Vec<u32>,
}

impl Order {
    /// So many rows as they came.
    pub fn of(count: usize) -> Self {
        Self { rows: (0..count as u32).collect() }
    }

    /// Sort by each row's number, of which there are so many; where the rows of each end.
    pub fn by(&mut self, number: &[u32], count: usize) -> Vec<usize> {
        let of = |row: &u32| number.get(*row as usize).map_or(0, |&one| one as usize);
        let mut ends = vec![0; count];
        for row in &self.rows {
            if let Some(slot) = ends.get_mut(of(row)) {
                *slot += 1;
            }
        }
        let mut next = 0;
        for end in &mut ends {
            next += std::mem::replace(end, next);
        }
        let mut sorted = vec![0; self.rows.len()];
        for row in &self.rows {
            if let Some(end) = ends.get_mut(of(row)) {
                if let Some(slot) = sorted.get_mut(*end) {
                    *slot = *row;
                }
                *end += 1;
            }
        }
        self.rows = sorted;
        ends
    }
}
