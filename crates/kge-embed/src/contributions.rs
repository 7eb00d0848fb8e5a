//! What adds up to each row's gradient, in a fixed order.
//!
//! A step's contributions are pushed in any order with a number that says where each comes from;
//! grouped, they are sorted by row and then by that number, so every sum is always taken alike.

/// Contributions to rows, grouped by row.
#[derive(Debug, Default)]
pub(crate) struct Contributions {
    /// The row in the upper half, the source in the lower: sorted as one number each.
    entries: Vec<u64>,
    rows: Vec<u32>,
    starts: Vec<u32>,
}

impl Contributions {
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn push(&mut self, row: u32, source: u32) {
        self.entries.push(u64::from(row) << 32 | u64::from(source));
    }

    /// Sorts what was pushed since [`clear`](Self::clear).
    pub(crate) fn group(&mut self) {
        self.entries.sort_unstable();
        self.rows.clear();
        self.starts.clear();
        for (place, entry) in self.entries.iter().enumerate() {
            let row = (entry >> 32) as u32;
            if self.rows.last() != Some(&row) {
                self.rows.push(row);
                self.starts.push(place as u32);
            }
        }
        self.starts.push(self.entries.len() as u32);
    }

    /// The rows that get any, rising.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The sources of the row at `index` of [`rows`](Self::rows), rising; none beyond the last.
    pub(crate) fn sources(&self, index: usize) -> impl Iterator<Item = usize> {
        let place =
            |index: usize| self.starts.get(index).map_or(self.entries.len(), |&p| p as usize);
        self.entries[place(index)..place(index + 1)].iter().map(|&entry| entry as u32 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_sources_rise() {
        let mut contributions = Contributions::default();
        for (row, source) in [(5, 3), (2, 9), (5, 1), (7, 0), (2, 4)] {
            contributions.push(row, source);
        }
        contributions.group();
        assert_eq!(contributions.rows(), [2, 5, 7]);
        let sources = |index| contributions.sources(index).collect::<Vec<_>>();
        assert_eq!((sources(0), sources(1), sources(2)), (vec![4, 9], vec![1, 3], vec![0]));
        assert!(sources(3).is_empty());
    }
}
