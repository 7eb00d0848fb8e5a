//! Whole runs on a small graph, with DistMult and TransE written here in a few plain lines.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::atomic::AtomicBool;

use kge_embed::{
    Algorithm, Control, Error, Loss, Optimiser, Regime, Regulariser, evaluate, preset, train,
};
use kge_graph::{Graph, GraphBuilder, Split, Statement};
use kge_model::{
    Constraint, Description, Direction, Initialiser, Layout, QueryBatch, QueryGradient, Result,
    ScoringModel, Session, Similarity,
};

struct Plain {
    description: Description,
    layout: Layout,
}

impl Plain {
    fn new(similarity: Similarity, width: usize) -> Self {
        let description = Description {
            name: "plain".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            citation: None,
            hyper_parameters: Vec::new(),
        };
        let constraint =
            if similarity == Similarity::Dot { Constraint::None } else { Constraint::UnitNorm };
        let layout = Layout {
            similarity,
            directions: vec![Direction::Tail, Direction::Head],
            bias: false,
            entity_width: width,
            relation_width: width,
            query_width: width,
            complex: false,
            projects_candidates: false,
            entity_initialiser: Initialiser::Uniform { low: -0.5, high: 0.5 },
            relation_initialiser: Initialiser::Normal { deviation: 0.3 },
            entity_constraint: constraint,
            relation_constraint: Constraint::None,
            shared: Vec::new(),
        };
        Self { description, layout }
    }
}

impl ScoringModel for Plain {
    fn description(&self) -> &Description {
        &self.description
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(PlainSession(&self.layout)))
    }
}

struct PlainSession<'a>(&'a Layout);

impl PlainSession<'_> {
    /// TransE's sign of the relation: a head query goes back.
    fn sign(batch: &QueryBatch<'_>) -> f32 {
        if batch.direction == Direction::Head { -1.0 } else { 1.0 }
    }
}

impl Session for PlainSession<'_> {
    fn query(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()> {
        batch.verify("plain", self.0)?;
        let width = self.0.entity_width;
        out.clear();
        for (anchor, &relation) in batch.anchors.chunks(width).zip(batch.relation_of) {
            let relation = &batch.relations[relation as usize * width..][..width];
            out.extend(anchor.iter().zip(relation).map(|(a, r)| match self.0.similarity {
                Similarity::Dot => a * r,
                _ => a + Self::sign(batch) * r,
            }));
        }
        Ok(())
    }

    fn query_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_query: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        let width = self.0.entity_width;
        out.anchors.clear();
        out.relations.clear();
        out.relations.resize(batch.relations.len(), 0.0);
        for (index, &of) in batch.relation_of.iter().enumerate() {
            for k in 0..width {
                let (at, relation) = (index * width + k, of as usize * width + k);
                let (d_anchor, d_relation) = match self.0.similarity {
                    Similarity::Dot => (batch.relations[relation], batch.anchors[at]),
                    _ => (1.0, Self::sign(batch)),
                };
                out.anchors.push(d_query[at] * d_anchor);
                out.relations[relation] += d_query[at] * d_relation;
            }
        }
        Ok(())
    }

    fn set_shared(&mut self, _tensors: &[Vec<f32>]) -> Result<()> {
        Ok(())
    }
}

/// A street of 40 houses: `next`, `after next` that composes it, and the symmetric `near`; some of
/// the latter two are held out. (On a ring no translation but 0 would fit.)
fn street() -> Graph {
    let mut builder = GraphBuilder::new();
    let name = |i: usize| format!("house {i:02}");
    for i in 0..38 {
        let mut add = |split, head: String, relation, tail: String| {
            builder.add(split, Statement { head: &head, relation, tail: &tail });
        };
        add(Split::Train, name(i), "next", name(i + 1));
        add(Split::Train, name(i), "near", name(i + 1));
        let held_out = |each: bool| if each { Split::Test } else { Split::Train };
        add(held_out(i % 10 == 3), name(i + 1), "near", name(i));
        add(held_out(i % 5 == 1), name(i), "after next", name(i + 2));
    }
    builder.build()
}

fn run(similarity: Similarity, algorithm: &Algorithm, threads: usize) -> (Vec<f32>, f64, Vec<f64>) {
    let (graph, model) = (street(), Plain::new(similarity, 32));
    let cancel = AtomicBool::new(false);
    let control = Control { threads, cancel: &cancel, progress: &|_| {} };
    let trained = train(&graph, &model, algorithm, &control).unwrap();
    let embeddings = &trained.embeddings;
    let evaluation =
        evaluate(&graph, &model, embeddings, algorithm.reciprocal, Split::Test, &control).unwrap();
    let rows = [embeddings.entities.as_slice(), &embeddings.relations].concat();
    (rows, evaluation.both.mrr, trained.history.iter().map(|epoch| epoch.loss).collect())
}

fn recipes() -> Vec<(&'static str, Similarity, Algorithm)> {
    let base = Algorithm { batch: 16, dim: 32, epochs: 40, ..preset("distmult").unwrap() };
    let sampled =
        Algorithm { regime: Regime::NegativeSampling { negatives: 16, chunk: 8 }, ..base.clone() };
    let transe = Algorithm { batch: 16, dim: 32, ..Algorithm::from_old_form(32, 4.0, 100) };
    vec![
        ("1vsall", Similarity::Dot, base.clone()),
        (
            "1vsall, one relation row",
            Similarity::Dot,
            Algorithm { reciprocal: false, ..base.clone() },
        ),
        (
            "1vsall, adam, l2",
            Similarity::Dot,
            Algorithm {
                optimiser: Optimiser::Adam { learning_rate: 0.02 },
                regulariser: Some(Regulariser::L2 { weight: 1e-4 }),
                ..base.clone()
            },
        ),
        ("1vsall, l1", Similarity::L1, Algorithm { initialiser: None, regulariser: None, ..base }),
        ("sampled softmax", Similarity::Dot, sampled),
        ("margin ranking", Similarity::L1, transe),
    ]
}

#[test]
fn every_regime_learns_and_finds_what_was_held_out() {
    for (name, similarity, algorithm) in recipes() {
        let (_, mrr, losses) = run(similarity, &algorithm, 2);
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.7 * first, "{name}: loss went from {first} to {last}");
        // Chance is about 0.11 among 39 candidates.
        println!("{name}: loss {first:.3} to {last:.3}, MRR {mrr:.3}");
        assert!(mrr > 0.25, "{name}: MRR {mrr}");
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    for (name, similarity, algorithm) in recipes() {
        let algorithm = Algorithm { epochs: 3, ..algorithm };
        let one = run(similarity, &algorithm, 1);
        for threads in [2, 3] {
            assert_eq!(one, run(similarity, &algorithm, threads), "{name}, {threads} threads");
        }
        let other = Algorithm { seed: algorithm.seed + 1, ..algorithm };
        assert_ne!(one.0, run(similarity, &other, 1).0, "{name}: the seed counts");
    }
}

#[test]
fn a_run_can_be_cancelled_and_refuses_in_words() {
    let model = Plain::new(Similarity::Dot, 8);
    let algorithm = Algorithm { dim: 8, ..preset("distmult").unwrap() };
    let cancel = AtomicBool::new(true);
    let control = Control { threads: 1, cancel: &cancel, progress: &|_| {} };
    let cancelled = train(&street(), &model, &algorithm, &control).unwrap_err();
    assert!(matches!(cancelled, Error::Cancelled));

    let empty = GraphBuilder::new().build();
    let cancel = AtomicBool::new(false);
    let control = Control { threads: 1, cancel: &cancel, progress: &|_| {} };
    let message = train(&empty, &model, &algorithm, &control).unwrap_err().to_string();
    assert_eq!(message, "the train split has no triples");
    let wrong = Algorithm { loss: Loss::MarginRanking { margin: 1.0 }, ..algorithm };
    assert!(
        train(&street(), &model, &wrong, &control).unwrap_err().to_string().starts_with("loss:")
    );
}
