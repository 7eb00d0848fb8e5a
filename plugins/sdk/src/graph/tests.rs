//! Every operation's gradient against central differences, on rows of each axis.

use super::{forward, reverse, Graph, Row};
use crate::trial::values;
use crate::{Batch, Direction, Layout, Similarity};

const OF: [u32; 7] = [0, 1, 0, 0, 1, 0, 0];

/// A function of an entity row, a relation row and a shared row.
type Function = for<'g> fn(Row<'g>, Row<'g>, Row<'g>) -> Row<'g>;

fn check(entity: usize, relation: usize, shared: usize, function: Function) {
    let layout = Layout::of_widths(Similarity::Dot, entity, relation);
    let mut given =
        [values(OF.len() * entity, 1), values(2 * relation, 2), values(shared.max(1), 3)];
    let run = |given: &[Vec<f32>; 3], weights: Option<&[f32]>| {
        let graph = Graph::default();
        let row = graph.entities(entity, false);
        let output = function(row, graph.relations(relation), row.shared(0, given[2].len()));
        let batch = Batch {
            direction: Direction::Tail,
            entities: &given[0],
            relations: &given[1],
            relation_of: &OF,
            shared: &given[2..],
        };
        match weights {
            None => (forward(&graph, output, &layout, &batch), [const { Vec::new() }; 3]),
            Some(weights) => {
                let mut g = reverse(&graph, output, &layout, &batch, weights);
                (Vec::new(), [g.entities, g.relations, std::mem::take(&mut g.shared[0])])
            }
        }
    };
    let weights = values(run(&given, None).0.len(), 4);
    let exact = run(&given, Some(&weights)).1;
    let loss = |given: &[Vec<f32>; 3]| -> f64 {
        let rows = run(given, None).0;
        rows.iter().zip(&weights).map(|(q, w)| f64::from(*q) * f64::from(*w)).sum()
    };
    for list in 0..3 {
        for at in 0..given[list].len() {
            let old = given[list][at];
            given[list][at] = old + 0.01;
            let up = loss(&given);
            given[list][at] = old - 0.01;
            let down = loss(&given);
            given[list][at] = old;
            let (found, difference) = (f64::from(exact[list][at]), (up - down) / 0.02);
            let off = (found - difference).abs() / difference.abs().max(1.0);
            assert!(off < 1e-2, "gradient {at} of list {list}: {found}, difference {difference}");
        }
    }
}

#[test]
fn sums_products_and_scales() {
    check(4, 4, 4, |e, r, s| (e + r * s) * e - s.scale(3.0) + r.scale_parts(&[2.0, -1.0]));
    check(4, 4, 4, |e, r, s| e.scaled_by(r.dot(s)) - r.scaled_by(e.dot(e)));
    check(11, 11, 11, |e, r, s| (e + r).normalise() * s.normalise());
}

#[test]
fn parts_put_together() {
    check(6, 2, 2, |e, r, s| {
        let [a, b, c] = e.parts();
        Row::concat([a * r, r.zeros(), c * s, b])
    });
    check(4, 4, 1, |e, _, _| e.part(1, 2));
    check(4, 4, 4, |_, r, s| r * s);
    check(4, 4, 4, |_, _, s| -s);
}

#[test]
fn complex_rows() {
    check(6, 6, 6, |e, r, s| e.times_complex(r).times_conjugate(s));
    check(6, 3, 3, |e, r, s| e.times_conjugate((r + s).phasors()));
}

#[test]
fn quaternion_rows() {
    check(8, 8, 8, |e, r, s| e.times_quaternion(r.unit_quaternions()).times_quaternion(s));
    check(8, 8, 8, |e, r, s| (e * s).unit_quaternions() + r.conjugate_quaternions());
}

#[test]
fn matrices() {
    check(3, 6, 6, |e, r, s| e.times_matrix(r) - e.times_matrix(s));
    check(3, 6, 6, |e, r, s| e.times_transposed(r) - e.times_transposed(s));
    // One matrix a row, and one a relation made of a shared one.
    check(6, 2, 2, |e, r, _| r.times_matrix(e));
    check(2, 3, 12, |e, r, s| e.times_matrix(r.times_matrix(s)));
    check(2, 3, 12, |e, r, s| e.times_transposed(r.times_matrix(s)));
}

#[test]
fn network_parts() {
    check(12, 12, 12, |e, r, s| (e * r).layer_normalise() * s);
    check(12, 12, 18, |e, r, s| Row::concat([e, r]).convolve(4, s, 3));
    check(12, 12, 12, |e, r, _| (e.scale(3.0) + r).relu() * e);
}

#[test]
fn long_batches_fall_into_chunks() {
    let layout = Layout::of_width(Similarity::Dot, 900);
    let (entities, relations) = (values(50 * 900, 1), values(3 * 900, 2));
    let of: Vec<u32> = (0..50).map(|row| row % 3).collect();
    let graph = Graph::default();
    let output = graph.entities(900, false) * graph.relations(900);
    let batch = Batch {
        direction: Direction::Tail,
        entities: &entities,
        relations: &relations,
        relation_of: &of,
        shared: &[],
    };
    let rows = forward(&graph, output, &layout, &batch);
    let gradients = reverse(&graph, output, &layout, &batch, &entities);
    for (row, &of) in of.iter().enumerate() {
        for column in 0..900 {
            let (at, relation) = (row * 900 + column, relations[of as usize * 900 + column]);
            assert_eq!(rows[at], entities[at] * relation);
            assert_eq!(gradients.entities[at], entities[at] * relation);
        }
    }
    let squares = |of: usize| (of..50).step_by(3).map(|row| entities[row * 900]).map(|e| e * e);
    for of in 0..3 {
        assert_eq!(gradients.relations[of * 900], squares(of).sum::<f32>());
    }
}
