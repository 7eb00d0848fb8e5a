//! What a node computes: row by row, or on all rows at once.

/// An operation on `N` rows, and its gradient; for [`Row::computed`](crate::Row::computed).
pub trait Operation<const N: usize>: 'static {
    /// Whether [`backward`](Self::backward) looks at the inputs; they are empty if not.
    const READS_INPUTS: bool = true;
    /// Whether [`backward`](Self::backward) looks at the result; it is empty if not.
    const READS_RESULT: bool = false;

    /// Writes `result` whole.
    fn forward(&self, inputs: [&[f32]; N], result: &mut [f32]);

    /// **Adds** to `d_input` the gradient by input `which`, given the gradient by the result.
    fn backward(
        &self,
        which: usize,
        inputs: [&[f32]; N],
        result: &[f32],
        d_result: &[f32],
        d_input: &mut [f32],
    );
}

/// Which row of a node belongs to row `i` of a loop.
#[derive(Clone, Copy)]
pub(super) enum Index<'a> {
    Each,
    Of(&'a [u32]),
    One,
}

impl Index<'_> {
    pub(super) fn at(self, row: usize) -> usize {
        match self {
            Self::Each => row,
            Self::Of(of) => of[row] as usize,
            Self::One => 0,
        }
    }
}

/// Rows to read.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) index: Index<'a>,
    /// Floats from one row to the next.
    pub(super) stride: usize,
    /// The first column.
    pub(super) offset: usize,
    pub(super) width: usize,
}

impl<'a> Rows<'a> {
    pub(super) const NONE: Self =
        Self { values: &[], index: Index::One, stride: 0, offset: 0, width: 0 };

    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[self.index.at(row) * self.stride + self.offset..][..self.width]
    }

    /// All rows of a loop of `count`, one after the other, if that is how they lie.
    pub(super) fn block(&self, count: usize) -> Option<&'a [f32]> {
        let lie_so = matches!(self.index, Index::Each) && self.stride == self.width;
        lie_so.then(|| &self.values[..count * self.width])
    }
}

/// Rows to add to.
pub(super) struct RowsMut<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) index: Index<'a>,
    pub(super) stride: usize,
    pub(super) offset: usize,
    pub(super) width: usize,
}

impl RowsMut<'_> {
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[self.index.at(row) * self.stride + self.offset..][..self.width]
    }
}

/// An operation on `count` rows at a time. Behind a pointer, so that a component holds only the
/// operations that its model uses, and imports `linalg` only if it multiplies matrices.
pub(super) trait Step {
    /// Whether the gradient reads inputs, and the result.
    fn reads(&self) -> (bool, bool);

    /// Whether it wants as many rows at a time as memory allows.
    fn wants_many(&self) -> bool {
        false
    }

    /// Writes `result`, `[count, width]`, whole.
    fn forward(&self, inputs: &[Rows<'_>], count: usize, result: &mut [f32]);

    /// Adds the gradient by input `which`.
    fn backward(
        &self,
        which: usize,
        inputs: &[Rows<'_>],
        count: usize,
        result: &[f32],
        d_result: &[f32],
        d_input: &mut RowsMut<'_>,
    );
}

/// An [`Operation`] as a step.
pub(super) struct PerRow<O, const N: usize>(pub(super) O)
where
    O: Operation<N>;

impl<O: Operation<N>, const N: usize> Step for PerRow<O, N> {
    fn reads(&self) -> (bool, bool) {
        (O::READS_INPUTS, O::READS_RESULT)
    }

    fn forward(&self, inputs: &[Rows<'_>], count: usize, result: &mut [f32]) {
        let width = result.len() / count.max(1);
        for row in 0..count {
            let inputs = std::array::from_fn(|input| inputs[input].row(row));
            self.0.forward(inputs, &mut result[row * width..][..width]);
        }
    }

    fn backward(
        &self,
        which: usize,
        inputs: &[Rows<'_>],
        count: usize,
        result: &[f32],
        d_result: &[f32],
        d_input: &mut RowsMut<'_>,
    ) {
        let width = d_result.len() / count.max(1);
        for row in 0..count {
            let values = match O::READS_INPUTS {
                true => std::array::from_fn(|input| inputs[input].row(row)),
                false => [&[][..]; N],
            };
            let at = row * width..(row + 1) * width;
            let result = if O::READS_RESULT { &result[at.clone()] } else { &[] };
            self.0.backward(which, values, result, &d_result[at], d_input.row(row));
        }
    }
}
