//! Values of a column one behind the other, such that the columns of a batch do not crowd the same cache lines.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};

/// Bytes of a cache line, and how many of them a page of memory has. An address within its page chooses the lines of
/// the nearest cache that may hold it, and large blocks all begin where a page does: columns that grow alike would
/// push one another out, row after row.
const LINE: usize = 64;
const LINES: usize = 64;
/// Bytes from which a lane is one of those blocks.
const LARGE: usize = 32 << 10;

/// Values in the making.
pub struct Lane<T> {
    /// The values, behind as many others as `lead` says.
    pub held: Vec<T>,
    lead: usize,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { held: Vec::new(), lead: 0 }
    }
}

impl<T> From<Vec<T>> for Lane<T> {
    fn from(held: Vec<T>) -> Self {
        Self { held, lead: 0 }
    }
}

impl<T: ArrowNativeType> Lane<T> {
    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.held.len() - self.lead
    }

    /// The last one.
    pub fn last(&self) -> Option<T> {
        self.held.get(self.lead..)?.last().copied()
    }

    /// Add one.
    #[inline(always)]
    pub fn push(&mut self, value: T) {
        self.held.push(value);
    }

    /// Have so many in all, new ones with this value.
    #[inline]
    pub fn resize(&mut self, len: usize, value: T) {
        self.held.resize(self.lead + len, value);
    }

    /// Forget those from here on.
    pub fn truncate(&mut self, len: usize) {
        self.held.truncate(self.lead + len);
    }

    /// Make room for so many in all. Lanes of other places begin at other lines of their pages.
    pub fn reserve(&mut self, len: usize, place: usize) {
        if self.lead + len <= self.held.capacity() {
            return;
        }
        let large = len * size_of::<T>() >= LARGE;
        let lead = if large { place % LINES * (LINE / size_of::<T>()) } else { 0 };
        let mut held = Vec::with_capacity(lead + len);
        held.resize(lead, T::default());
        held.extend_from_slice(self.held.get(self.lead..).unwrap_or_default());
        *self = Self { held, lead };
    }

    /// Hand all over.
    pub fn take(&mut self) -> ScalarBuffer<T> {
        let Self { held, lead } = std::mem::take(self);
        let len = held.len() - lead;
        ScalarBuffer::new(Buffer::from(held), lead, len)
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGE, LINE, Lane};

    #[test]
    fn large_lanes_of_neighbouring_places_begin_at_other_lines_and_hold_the_same() {
        let lines = [0, 1, 63].map(|place| {
            let mut lane = Lane::from(vec![7u32, 8]);
            lane.reserve(LARGE, place);
            lane.push(9);
            lane.resize(5, 1);
            lane.truncate(4);
            assert_eq!((lane.len(), lane.last()), (4, Some(1)));
            let begin = lane.held.as_ptr() as usize;
            let taken = lane.take();
            assert_eq!(*taken, [7, 8, 9, 1]);
            assert_eq!(lane.len(), 0);
            (taken.inner().as_ptr() as usize - begin) / LINE
        });
        assert_eq!(lines, [0, 1, 63]);
    }

    #[test]
    fn a_small_lane_begins_where_its_memory_does() {
        let mut lane = Lane::<u8>::default();
        lane.reserve(LARGE - 1, 5);
        assert_eq!((lane.len(), lane.held.len()), (0, 0));
    }
}
