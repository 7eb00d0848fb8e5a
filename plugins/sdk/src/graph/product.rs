//! Rows times matrices: a relation's own matrix, or one that all share.
//!
//! Rows that meet the same matrix are gathered, so that each matrix is multiplied once.

use std::borrow::Cow;
use std::rc::Rc;

use super::elementwise::{add_scaled, dot};
use super::operation::{Index, Rows, RowsMut, Step};
use super::Row;
use crate::linalg;

/// Multiply-adds, as reckoned, that a call of the host is worth, which reads a matrix where it lies.
const CALL: usize = 1 << 13;

/// With fewer rows than this, the gradient by a matrix costs more to bring back than to sum here.
const FEW: usize = 4;

/// `x M`, or `x Mᵀ`; the matrix `[rows, columns]` row-major.
struct MatrixProduct {
    columns: usize,
    transposed: bool,
}

/// Rows of a batch that meet one matrix.
struct Group {
    matrix: usize,
    rows: Vec<usize>,
}

fn groups(matrices: &Rows<'_>, count: usize) -> Vec<Group> {
    match matrices.index {
        Index::One => vec![Group { matrix: 0, rows: (0..count).collect() }],
        Index::Each => (0..count).map(|row| Group { matrix: row, rows: vec![row] }).collect(),
        Index::Of(of) => {
            let distinct = of.iter().max().map_or(0, |&of| of as usize + 1);
            let mut groups: Vec<Group> =
                (0..distinct).map(|matrix| Group { matrix, rows: Vec::new() }).collect();
            of.iter().enumerate().for_each(|(row, &of)| groups[of as usize].rows.push(row));
            groups.retain(|group| !group.rows.is_empty());
            groups
        }
    }
}

/// Some rows of a loop of `count`, one after the other.
fn gather<'a>(rows: &[usize], of: &Rows<'a>, count: usize) -> Cow<'a, [f32]> {
    match of.block(count) {
        Some(all) if rows.len() == count => Cow::Borrowed(all),
        _ => {
            let mut gathered = Vec::with_capacity(rows.len() * of.width);
            rows.iter().for_each(|&row| gathered.extend_from_slice(of.row(row)));
            gathered.into()
        }
    }
}

fn matrix<'a>(matrices: &Rows<'a>, at: usize) -> &'a [f32] {
    let of_one = Rows { index: Index::Each, ..*matrices };
    of_one.row(at)
}

/// `to += x M`, or `to += x Mᵀ`, for one row.
fn add_one(x: &[f32], matrix: &[f32], columns: usize, transposed: bool, to: &mut [f32]) {
    let rows = matrix.chunks_exact(columns.max(1));
    match transposed {
        true => rows.zip(to).for_each(|(row, to)| *to += dot(row, x)),
        false => rows.zip(x).for_each(|(row, &x)| add_scaled(to, x, row)),
    }
}

impl MatrixProduct {
    /// `x M` or `x Mᵀ` of each row, handed to `take`.
    fn multiply(
        &self,
        transposed: bool,
        matrices: &Rows<'_>,
        (count, width): (usize, usize),
        x: &Rows<'_>,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        let mut one = vec![0.0; width];
        for Group { matrix: at, rows } in groups(matrices, count) {
            let matrix = matrix(matrices, at);
            if rows.len() * matrix.len() < CALL {
                for row in rows {
                    one.fill(0.0);
                    add_one(x.row(row), matrix, self.columns, transposed, &mut one);
                    take(row, &one);
                }
                continue;
            }
            let left = gather(&rows, x, count);
            let shape = [rows.len(), left.len() / rows.len(), width];
            let product = linalg::product(&left, matrix, shape, [false, transposed]);
            for (row, values) in rows.into_iter().zip(product.chunks_exact(width.max(1))) {
                take(row, values);
            }
        }
    }
}

impl Step for MatrixProduct {
    fn reads(&self) -> (bool, bool) {
        (true, false)
    }

    fn wants_many(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[Rows<'_>], count: usize, result: &mut [f32]) {
        let (x, matrices) = (&inputs[0], &inputs[1]);
        let width = result.len() / count.max(1);
        self.multiply(self.transposed, matrices, (count, width), x, |row, values| {
            result[row * width..][..width].copy_from_slice(values);
        });
    }

    fn backward(
        &self,
        which: usize,
        inputs: &[Rows<'_>],
        count: usize,
        _: &[f32],
        d_result: &[f32],
        d_input: &mut RowsMut<'_>,
    ) {
        let (x, matrices) = (&inputs[0], &inputs[1]);
        let width = d_result.len() / count.max(1);
        let (values, index) = (d_result, Index::Each);
        let d = &Rows { values, index, stride: width, offset: 0, width };
        if which == 0 {
            let shape = (count, x.width);
            self.multiply(!self.transposed, matrices, shape, d, |row, values| {
                add_scaled(d_input.row(row), 1.0, values);
            });
            return;
        }
        for Group { rows, .. } in groups(matrices, count) {
            let d_matrix = d_input.row(rows[0]);
            if rows.len() < FEW {
                for row in rows {
                    let (left, right) = match self.transposed {
                        false => (x.row(row), d.row(row)),
                        true => (d.row(row), x.row(row)),
                    };
                    for (&left, to) in left.iter().zip(d_matrix.chunks_exact_mut(self.columns)) {
                        add_scaled(to, left, right);
                    }
                }
                continue;
            }
            let (x, d) = (gather(&rows, x, count), gather(&rows, d, count));
            let (left, right) = if self.transposed { (&d, &x) } else { (&x, &d) };
            let shape = [left.len() / rows.len(), rows.len(), self.columns];
            add_scaled(d_matrix, 1.0, &linalg::product(left, right, shape, [true, false]));
        }
    }
}

impl Row<'_> {
    /// `x M`: this row times a matrix of as many rows as this row has floats, held row-major by
    /// the row `matrix`.
    ///
    /// # Panics
    /// If `matrix` does not fall into that many rows.
    #[must_use]
    pub fn times_matrix(self, matrix: Self) -> Self {
        let columns = matrix.width() / self.width().max(1);
        assert_eq!(matrix.width(), columns * self.width(), "a matrix of {} rows", self.width());
        self.product(matrix, columns, MatrixProduct { columns, transposed: false })
    }

    /// `x Mᵀ`: this row times the transpose of a matrix of as many columns as this row has
    /// floats.
    ///
    /// # Panics
    /// If `matrix` does not fall into rows of that length.
    #[must_use]
    pub fn times_transposed(self, matrix: Self) -> Self {
        let rows = matrix.width() / self.width().max(1);
        assert_eq!(matrix.width(), rows * self.width(), "a matrix of {} columns", self.width());
        self.product(matrix, rows, MatrixProduct { columns: self.width(), transposed: true })
    }

    fn product(self, matrix: Self, width: usize, step: MatrixProduct) -> Self {
        self.graph.record(Rc::new(step), vec![self.view, matrix.view], width)
    }
}
