//! Trying a model natively, for the tests of its crate: its score, and its gradients.

use crate::{Batch, Direction, Gradients, Layout, Scoring, Similarity};

/// Relation rows of a trial, and which of them the rows of its batch use.
const RELATIONS: usize = 3;
const RELATION_OF: [u32; 6] = [0, 2, 1, 2, 0, 2];
const STEP: f32 = 1e-2;
const TOLERANCE: f64 = 5e-3;

/// The score of one triple, asked in one direction; biases are left out.
///
/// # Panics
/// If a row has another width than the layout says.
pub fn score<M: Scoring>(
    model: &M,
    direction: Direction,
    [head, relation, tail]: [&[f32]; 3],
    shared: &[Vec<f32>],
) -> f32 {
    let layout = model.layout();
    let (given, candidate) = match direction {
        Direction::Tail => (head.to_vec(), tail),
        Direction::Head => (tail.to_vec(), head),
        Direction::Relation => ([head, tail].concat(), relation),
    };
    let relations = if direction == Direction::Relation { &[] } else { relation };
    let batch = Batch { direction, entities: &given, relations, relation_of: &[0], shared };
    let query = model.queries(&layout, &batch);
    let candidate = match M::PROJECTS_CANDIDATES {
        true => model.candidates(&layout, &Batch { entities: candidate, ..batch }),
        false => candidate.to_vec(),
    };
    similarity(layout.similarity, &query, &candidate)
}

fn similarity(similarity: Similarity, query: &[f32], candidate: &[f32]) -> f32 {
    assert_eq!(query.len(), candidate.len(), "query and candidate are of one width");
    let pairs = || query.iter().zip(candidate);
    let square: f32 = pairs().map(|(q, c)| (q - c) * (q - c)).sum();
    match similarity {
        Similarity::Dot => pairs().map(|(q, c)| q * c).sum(),
        Similarity::L1 => -pairs().map(|(q, c)| (q - c).abs()).sum::<f32>(),
        Similarity::L2 => -square.sqrt(),
        Similarity::SquaredL2 => -square,
        Similarity::Modulus => {
            let half = query.len() / 2;
            let modulus =
                |i: usize| (query[i] - candidate[i]).hypot(query[half + i] - candidate[half + i]);
            -(0..half).map(modulus).sum::<f32>()
        }
    }
}

/// `count` values between -1 and 1 that repeat nowhere near.
pub fn values(count: usize, salt: u64) -> Vec<f32> {
    let mut state = salt;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

/// Values for the shared tensors of a layout.
pub fn tensors(layout: &Layout) -> Vec<Vec<f32>> {
    let shared = layout.shared.iter().zip(30..);
    shared.map(|(tensor, salt)| values(tensor.shape.iter().product(), salt)).collect()
}

/// Compares every gradient of a model with central differences, in each direction it answers.
///
/// # Panics
/// If one is wrong.
pub fn check_gradients<M: Scoring>(model: &M) {
    let layout = model.layout();
    for &direction in &layout.directions {
        check(model, &layout, direction, M::queries, M::queries_vjp);
        if M::PROJECTS_CANDIDATES && direction != Direction::Relation {
            check(model, &layout, direction, M::candidates, M::candidates_vjp);
        }
    }
}

fn check<M: Scoring>(
    model: &M,
    layout: &Layout,
    direction: Direction,
    forward: fn(&M, &Layout, &Batch<'_>) -> Vec<f32>,
    reverse: fn(&M, &Layout, &Batch<'_>, &[f32]) -> Gradients,
) {
    let two = direction == Direction::Relation;
    let (lists, relations) = if two { (2, 0) } else { (1, RELATIONS) };
    let of = if two { [0; RELATION_OF.len()] } else { RELATION_OF };
    let mut given = vec![
        values(lists * of.len() * layout.entity_width, 1),
        values(relations * layout.relation_width, 2),
    ];
    given.extend(tensors(layout));
    let weights = values(of.len() * layout.query_width, 4);
    let batch = |given: &[Vec<f32>]| -> Vec<f32> {
        let (entities, relations, shared) = (&given[0][..], &given[1][..], &given[2..]);
        forward(model, layout, &Batch { direction, entities, relations, relation_of: &of, shared })
    };
    let loss = |given: &[Vec<f32>]| -> f64 {
        batch(given).iter().zip(&weights).map(|(q, w)| f64::from(*q) * f64::from(*w)).sum()
    };
    let exact = {
        let (entities, relations, shared) = (&given[0][..], &given[1][..], &given[2..]);
        let batch = Batch { direction, entities, relations, relation_of: &of, shared };
        let exact = reverse(model, layout, &batch, &weights);
        [vec![exact.entities, exact.relations], exact.shared].concat()
    };
    let scale = exact.iter().flatten().fold(1e-3_f64, |most, g| most.max(f64::from(g.abs())));
    for list in 0..given.len() {
        assert_eq!(exact[list].len(), given[list].len(), "gradients are as long as their lists");
        for at in 0..given[list].len() {
            let old = given[list][at];
            given[list][at] = old + STEP;
            let up = loss(&given);
            given[list][at] = old - STEP;
            let down = loss(&given);
            given[list][at] = old;
            let difference = (up - down) / f64::from((old + STEP) - (old - STEP));
            let off = (f64::from(exact[list][at]) - difference).abs() / scale;
            assert!(
                off <= TOLERANCE,
                "{direction:?}: gradient {at} of list {list} is {}, the difference {difference}",
                exact[list][at]
            );
        }
    }
}
