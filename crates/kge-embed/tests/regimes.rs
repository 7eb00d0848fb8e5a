//! Whole runs on a small graph, with DistMult and TransE written here in a few plain lines.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::atomic::AtomicBool;

use kge_embed::{
    Algorithm, Control, Error, Loss, Optimiser, Precision, Regime, Regulariser, evaluate, preset,
    train,
};
use kge_graph::{Graph, GraphBuilder, Split, Statement};
use kge_model::{
    Constraint, Description, Direction, Initialiser, Layout, QueryBatch, QueryGradient, Result,
    ScoringModel, Session, SharedTensor, Similarity,
};

struct Plain {
    description: Description,
    layout: Layout,
    short: bool,
}

/// What a model may have beside its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Extra {
    None,
    /// A tensor that all triples share scales each place of a query row.
    Shared,
    /// A bias for each entity.
    Bias,
    /// The relation multiplies the candidate, not the anchor.
    Projection,
    /// Head queries lack a float: a mistake.
    Short,
}

impl Plain {
    fn new(similarity: Similarity, width: usize, extra: Extra) -> Self {
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
            bias: extra == Extra::Bias,
            entity_width: width,
            relation_width: width,
            query_width: width,
            complex: false,
            projects_candidates: extra == Extra::Projection,
            entity_initialiser: Initialiser::Uniform { low: -0.5, high: 0.5 },
            relation_initialiser: Initialiser::Normal { deviation: 0.3 },
            entity_constraint: constraint,
            relation_constraint: Constraint::None,
            shared: ((extra == Extra::Shared).then(|| SharedTensor {
                name: "scale".into(),
                shape: vec![width],
                initialiser: Initialiser::Uniform { low: 0.5, high: 1.5 },
            }))
            .into_iter()
            .collect(),
        };
        Self { description, layout, short: extra == Extra::Short }
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
        let scale = vec![1.0; self.layout.query_width];
        Ok(Box::new(PlainSession { layout: &self.layout, scale, short: self.short }))
    }
}

struct PlainSession<'a> {
    layout: &'a Layout,
    scale: Vec<f32>,
    short: bool,
}

impl PlainSession<'_> {
    /// TransE's sign of the relation: a head query goes back.
    fn sign(batch: &QueryBatch<'_>) -> f32 {
        if batch.direction == Direction::Head { -1.0 } else { 1.0 }
    }
}

impl Session for PlainSession<'_> {
    fn query(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()> {
        batch.verify("plain", self.layout)?;
        let width = self.layout.entity_width;
        out.clear();
        for (anchor, &relation) in batch.anchors.chunks(width).zip(batch.relation_of) {
            let relation = &batch.relations[relation as usize * width..][..width];
            let pairs = anchor.iter().zip(relation).zip(&self.scale);
            out.extend(pairs.map(|((a, r), scale)| match self.layout.similarity {
                _ if self.layout.projects_candidates => *a,
                Similarity::Dot => a * r * scale,
                _ => a + Self::sign(batch) * r,
            }));
        }
        if self.short && batch.direction == Direction::Head {
            out.pop();
        }
        Ok(())
    }

    fn query_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_query: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        let width = self.layout.entity_width;
        out.shared.clear();
        out.shared.extend(self.layout.shared.iter().map(|_| vec![0.0; width]));
        out.anchors.clear();
        out.relations.clear();
        out.relations.resize(batch.relations.len(), 0.0);
        for (index, &of) in batch.relation_of.iter().enumerate() {
            for k in 0..width {
                let (at, relation) = (index * width + k, of as usize * width + k);
                let (a, r, scale) = (batch.anchors[at], batch.relations[relation], self.scale[k]);
                let (d_anchor, d_relation) = match self.layout.similarity {
                    _ if self.layout.projects_candidates => (1.0, 0.0),
                    Similarity::Dot => (r * scale, a * scale),
                    _ => (1.0, Self::sign(batch)),
                };
                for d_scale in &mut out.shared {
                    d_scale[k] += d_query[at] * a * r;
                }
                out.anchors.push(d_query[at] * d_anchor);
                out.relations[relation] += d_query[at] * d_relation;
            }
        }
        Ok(())
    }

    fn candidate(&mut self, batch: &QueryBatch<'_>, out: &mut Vec<f32>) -> Result<()> {
        let width = self.layout.entity_width;
        out.clear();
        for (entity, &of) in batch.anchors.chunks(width).zip(batch.relation_of) {
            let relation = &batch.relations[of as usize * width..][..width];
            out.extend(entity.iter().zip(relation).map(|(e, r)| e * r));
        }
        Ok(())
    }

    fn candidate_vjp(
        &mut self,
        batch: &QueryBatch<'_>,
        d_candidate: &[f32],
        out: &mut QueryGradient,
    ) -> Result<()> {
        let width = self.layout.entity_width;
        out.anchors.clear();
        out.shared.clear();
        out.relations.clear();
        out.relations.resize(batch.relations.len(), 0.0);
        for (index, &of) in batch.relation_of.iter().enumerate() {
            for k in 0..width {
                let (at, relation) = (index * width + k, of as usize * width + k);
                out.anchors.push(d_candidate[at] * batch.relations[relation]);
                out.relations[relation] += d_candidate[at] * batch.anchors[at];
            }
        }
        Ok(())
    }

    fn set_shared(&mut self, tensors: &[Vec<f32>]) -> Result<()> {
        self.scale.clone_from(&tensors[0]);
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

type Run = (Vec<f32>, f64, Vec<f64>);

fn run((similarity, extra): (Similarity, Extra), algorithm: &Algorithm, threads: usize) -> Run {
    let (graph, model) = (street(), Plain::new(similarity, 32, extra));
    let cancel = AtomicBool::new(false);
    let control = Control { threads, cancel: &cancel, progress: &|_| {} };
    let trained = train(&graph, &model, algorithm, &control).unwrap();
    let embeddings = &trained.embeddings;
    let evaluation =
        evaluate(&graph, &model, embeddings, algorithm.reciprocal, Split::Test, &control).unwrap();
    assert_eq!(embeddings.shared.len(), usize::from(extra == Extra::Shared));
    assert_eq!(embeddings.biases.iter().any(|&bias| bias != 0.0), extra == Extra::Bias);
    let (shared, biases) = (embeddings.shared.concat(), &embeddings.biases);
    let rows =
        [&embeddings.entities, &embeddings.relations, &shared, biases].map(Vec::as_slice).concat();
    (rows, evaluation.both.mrr, trained.history.iter().map(|epoch| epoch.loss).collect())
}

fn recipes() -> Vec<(&'static str, (Similarity, Extra), Algorithm)> {
    let base = Algorithm { batch: 16, dim: 32, epochs: 40, ..preset("distmult").unwrap() };
    let sampled =
        Algorithm { regime: Regime::NegativeSampling { negatives: 16, chunk: 8 }, ..base.clone() };
    let transe = Algorithm { batch: 16, dim: 32, ..Algorithm::from_old_form(32, 4.0, 100) };
    vec![
        ("1vsall", (Similarity::Dot, Extra::None), base.clone()),
        (
            "1vsall, one relation row",
            (Similarity::Dot, Extra::None),
            Algorithm { reciprocal: false, ..base.clone() },
        ),
        (
            "1vsall, adam, l2, a shared tensor",
            (Similarity::Dot, Extra::Shared),
            Algorithm {
                optimiser: Optimiser::Adam { learning_rate: 0.02 },
                regulariser: Some(Regulariser::L2 { weight: 1e-4 }),
                ..base.clone()
            },
        ),
        (
            "1vsall, l1",
            (Similarity::L1, Extra::None),
            Algorithm { initialiser: None, regulariser: None, ..base.clone() },
        ),
        (
            "1vsall, bf16",
            (Similarity::Dot, Extra::None),
            Algorithm { precision: Precision::Bf16, ..base.clone() },
        ),
        (
            "1vsall, bf16 by tiles",
            (Similarity::Dot, Extra::None),
            Algorithm { precision: Precision::Bf16Amx, ..base.clone() },
        ),
        (
            "kvsall, smoothed",
            (Similarity::Dot, Extra::None),
            Algorithm { regime: Regime::KvsAll, label_smoothing: 0.1, ..base.clone() },
        ),
        (
            "kvsall, binary cross-entropy, biases, one relation row",
            (Similarity::Dot, Extra::Bias),
            Algorithm {
                regime: Regime::KvsAll,
                loss: Loss::BinaryCrossEntropy,
                reciprocal: false,
                ..base
            },
        ),
        ("sampled softmax", (Similarity::Dot, Extra::None), sampled.clone()),
        (
            "sampled softmax, bf16",
            (Similarity::Dot, Extra::None),
            Algorithm { precision: Precision::Bf16, ..sampled.clone() },
        ),
        (
            "sampled softmax, bf16 by tiles",
            (Similarity::Dot, Extra::None),
            Algorithm { precision: Precision::Bf16Amx, ..sampled.clone() },
        ),
        (
            "logistic, row-wise adagrad",
            (Similarity::Dot, Extra::None),
            Algorithm {
                loss: Loss::Logistic,
                optimiser: Optimiser::RowAdagrad { learning_rate: 0.3 },
                regulariser: None,
                initialiser: None,
                ..sampled.clone()
            },
        ),
        (
            "self-adversarial",
            (Similarity::L1, Extra::None),
            Algorithm {
                loss: Loss::SelfAdversarial { margin: 6.0, temperature: 0.3 },
                ..transe.clone()
            },
        ),
        ("margin ranking", (Similarity::L1, Extra::None), transe),
        (
            "projected candidates",
            (Similarity::Dot, Extra::Projection),
            Algorithm { reciprocal: false, ..sampled.clone() },
        ),
        (
            "sampled, sgd, with biases",
            (Similarity::Dot, Extra::Bias),
            Algorithm {
                optimiser: Optimiser::Sgd { learning_rate: 5.0 },
                regulariser: None,
                initialiser: None,
                ..sampled
            },
        ),
    ]
}

#[test]
fn every_regime_learns_and_finds_what_was_held_out() {
    for (name, model, algorithm) in recipes() {
        let (_, mrr, losses) = run(model, &algorithm, 2);
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.7 * first, "{name}: loss went from {first} to {last}");
        // Chance is about 0.11 among 39 candidates.
        println!("{name}: loss {first:.3} to {last:.3}, MRR {mrr:.3}");
        assert!(mrr > 0.25, "{name}: MRR {mrr}");
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    for (name, model, algorithm) in recipes() {
        let algorithm = Algorithm { epochs: 3, ..algorithm };
        let one = run(model, &algorithm, 1);
        for threads in [2, 3] {
            assert_eq!(one, run(model, &algorithm, threads), "{name}, {threads} threads");
        }
        let other = Algorithm { seed: algorithm.seed + 1, ..algorithm };
        assert_ne!(one.0, run(model, &other, 1).0, "{name}: the seed counts");
    }
}

#[test]
fn a_run_can_be_cancelled_and_refuses_in_words() {
    let model = Plain::new(Similarity::Dot, 8, Extra::None);
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
    let wrong = Algorithm { loss: Loss::MarginRanking { margin: 1.0 }, ..algorithm.clone() };
    assert!(
        train(&street(), &model, &wrong, &control).unwrap_err().to_string().starts_with("loss:")
    );
    let projecting = Plain::new(Similarity::Dot, 8, Extra::Projection);
    assert_eq!(
        train(&street(), &projecting, &algorithm, &control).unwrap_err().to_string(),
        "regime: plain projects each candidate by the relation, so it takes negative_sampling"
    );
    let regime = Regime::NegativeSampling { negatives: 16, chunk: 8 };
    let sampled = Algorithm { regime, epochs: 1, ..algorithm };
    let rounded = Algorithm { precision: Precision::Bf16Amx, ..sampled.clone() };
    let by_distance = Plain::new(Similarity::L1, 8, Extra::None);
    assert_eq!(
        train(&street(), &by_distance, &rounded, &control).unwrap_err().to_string(),
        "precision: plain compares by distances, which take f32"
    );
    let short = Plain::new(Similarity::Dot, 8, Extra::Short);
    // A call has the queries of one direction; of sampled ones, a chunk.
    for (regime, expected) in [(Regime::OneVsAll, 800), (sampled.regime, 64)] {
        let both_ways = Algorithm { regime, reciprocal: false, batch: 100, ..sampled.clone() };
        for threads in [1, 3] {
            let control = Control { threads, ..control };
            let message = train(&street(), &short, &both_ways, &control).unwrap_err().to_string();
            let found = expected - 1;
            assert_eq!(
                message,
                format!("plain: query returned {found} floats in query rows, expected {expected}")
            );
        }
    }
    let auto = Algorithm { precision: Precision::Auto, ..sampled };
    let settled = |model| train(&street(), model, &auto, &control).unwrap().precision;
    assert_eq!(settled(&by_distance), Precision::F32);
    let fast = [
        (Precision::Bf16Amx, kge_kernels::Precision::Bf16Amx),
        (Precision::Bf16, kge_kernels::Precision::Bf16),
    ];
    let fastest = fast.into_iter().find(|(_, kernels)| kernels.is_fast());
    assert_eq!(settled(&model), fastest.map_or(Precision::F32, |(precision, _)| precision));
}
