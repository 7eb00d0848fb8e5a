//! The wire side: any [`Scoring`] as a component. wasm32 only.

#![allow(missing_docs)]

use core::cell::RefCell;
use core::marker::PhantomData;

use crate::{contract, Batch, Scoring};
use exports::kge::model::{candidates, scoring as wire};

// The world of models that project their candidates has every type of the contract. What a model
// exports of it, and what its component is therefore said to be, is up to `export_model!`.
wit_bindgen::generate!({
    path: "../wit",
    world: "projecting-model",
    pub_export_macro: true,
    default_bindings_module: "kge_plugin_sdk::guest",
});

/// Only for what it writes into the component: that it is one of world `model`.
mod plain {
    #![allow(dead_code)]

    wit_bindgen::generate!({ path: "../wit", world: "model" });
}

/// A component that answers for the model `M`.
pub struct Component<M>(PhantomData<M>);

/// A configured model behind the resource.
pub struct Scorer<M> {
    model: M,
    layout: contract::Layout,
    shared: RefCell<Vec<Vec<f32>>>,
}

impl<M: Scoring> wire::Guest for Component<M> {
    type Scorer = Scorer<M>;

    fn describe() -> wire::Description {
        let description = M::describe();
        let parameter = |parameter: &contract::HyperParameter| wire::HyperParameter {
            name: parameter.name.into(),
            summary: parameter.summary.into(),
            kind: match parameter.kind {
                contract::HyperParameterKind::Integer => wire::HyperParameterKind::Integer,
                contract::HyperParameterKind::Real => wire::HyperParameterKind::Real,
                contract::HyperParameterKind::Boolean => wire::HyperParameterKind::Boolean,
            },
            minimum: parameter.minimum,
            maximum: parameter.maximum,
            default: parameter.default,
        };
        wire::Description {
            name: description.name.into(),
            version: description.version.into(),
            summary: description.summary.into(),
            citation: description.citation.map(|citation| wire::Citation {
                title: citation.title.into(),
                authors: citation.authors.into(),
                year: citation.year,
                identifier: citation.identifier.into(),
            }),
            hyper_parameters: description.hyper_parameters.iter().map(parameter).collect(),
        }
    }

    fn configure(
        dim: u32,
        hyper_parameters: Vec<wire::HyperValue>,
    ) -> Result<wire::Scorer, wire::Error> {
        let values = hyper_parameters.into_iter().map(|value| (value.name, value.value)).collect();
        let model = M::configure(dim as usize, &values).map_err(wire::Error::Invalid)?;
        let layout = model.layout();
        Ok(wire::Scorer::new(Scorer { model, layout, shared: RefCell::default() }))
    }
}

impl<M: Scoring> wire::GuestScorer for Scorer<M> {
    fn layout(&self) -> wire::Layout {
        let layout = &self.layout;
        wire::Layout {
            similarity: match layout.similarity {
                contract::Similarity::Dot => wire::Similarity::Dot,
                contract::Similarity::L1 => wire::Similarity::L1,
                contract::Similarity::L2 => wire::Similarity::L2,
                contract::Similarity::SquaredL2 => wire::Similarity::SquaredL2,
                contract::Similarity::Modulus => wire::Similarity::Modulus,
            },
            directions: layout.directions.iter().map(|&way| direction(way)).collect(),
            bias: layout.bias,
            entity_width: layout.entity_width as u32,
            relation_width: layout.relation_width as u32,
            query_width: layout.query_width as u32,
            complex: layout.complex,
            projects_candidates: M::PROJECTS_CANDIDATES,
            entity_initialiser: initialiser(layout.entity_initialiser),
            relation_initialiser: initialiser(layout.relation_initialiser),
            entity_constraint: constraint(layout.entity_constraint),
            relation_constraint: constraint(layout.relation_constraint),
            shared: layout.shared.iter().map(tensor).collect(),
        }
    }

    fn query(
        &self,
        direction: wire::Direction,
        anchors: Vec<f32>,
        relations: Vec<f32>,
        relation_of: Vec<u32>,
        _context: Vec<f32>,
    ) -> Result<Vec<f32>, wire::Error> {
        let (shared, lists) = (self.shared.borrow(), ["anchors", "relations"]);
        let batch = self.admit(lists, direction, &anchors, &relations, &relation_of, &shared)?;
        Ok(self.model.queries(&self.layout, &batch))
    }

    fn query_vjp(
        &self,
        direction: wire::Direction,
        anchors: Vec<f32>,
        relations: Vec<f32>,
        relation_of: Vec<u32>,
        _context: Vec<f32>,
        d_query: Vec<f32>,
    ) -> Result<wire::Gradients, wire::Error> {
        let (shared, lists) = (self.shared.borrow(), ["anchors", "relations"]);
        let batch = self.admit(lists, direction, &anchors, &relations, &relation_of, &shared)?;
        length("d-query", relation_of.len() * self.layout.query_width, d_query.len())?;
        let gradients = self.model.queries_vjp(&self.layout, &batch, &d_query);
        Ok(wire::Gradients {
            d_anchors: gradients.entities,
            d_relations: gradients.relations,
            d_shared: gradients.shared,
        })
    }

    fn set_shared(&self, tensors: Vec<Vec<f32>>) -> Result<(), wire::Error> {
        length("tensors", self.layout.shared.len(), tensors.len())?;
        for (values, tensor) in tensors.iter().zip(&self.layout.shared) {
            length("tensors", tensor.shape.iter().product(), values.len())?;
        }
        *self.shared.borrow_mut() = tensors;
        Ok(())
    }
}

impl<M: Scoring> candidates::Guest for Component<M> {
    fn candidate(
        scorer: wire::ScorerBorrow<'_>,
        direction: wire::Direction,
        entities: Vec<f32>,
        relations: Vec<f32>,
        relation_of: Vec<u32>,
        _context: Vec<f32>,
    ) -> Result<Vec<f32>, wire::Error> {
        let scorer = scorer.get::<Scorer<M>>();
        let shared = scorer.shared.borrow();
        let lists = ["entities", "relations"];
        let batch = scorer.admit(lists, direction, &entities, &relations, &relation_of, &shared)?;
        Ok(scorer.model.candidates(&scorer.layout, &batch))
    }

    fn candidate_vjp(
        scorer: wire::ScorerBorrow<'_>,
        direction: wire::Direction,
        entities: Vec<f32>,
        relations: Vec<f32>,
        relation_of: Vec<u32>,
        _context: Vec<f32>,
        d_candidate: Vec<f32>,
    ) -> Result<candidates::CandidateGradients, wire::Error> {
        let scorer = scorer.get::<Scorer<M>>();
        let shared = scorer.shared.borrow();
        let lists = ["entities", "relations"];
        let batch = scorer.admit(lists, direction, &entities, &relations, &relation_of, &shared)?;
        let expected = relation_of.len() * scorer.layout.query_width;
        length("d-candidate", expected, d_candidate.len())?;
        let gradients = scorer.model.candidates_vjp(&scorer.layout, &batch, &d_candidate);
        Ok(candidates::CandidateGradients {
            d_entities: gradients.entities,
            d_relations: gradients.relations,
            d_shared: gradients.shared,
        })
    }
}

impl<M: Scoring> Scorer<M> {
    /// The batch, if every length and index is right; `names` are those of the two lists.
    fn admit<'a>(
        &self,
        names: [&str; 2],
        direction: wire::Direction,
        entities: &'a [f32],
        relations: &'a [f32],
        relation_of: &'a [u32],
        shared: &'a [Vec<f32>],
    ) -> Result<Batch<'a>, wire::Error> {
        let direction = match direction {
            wire::Direction::Tail => contract::Direction::Tail,
            wire::Direction::Head => contract::Direction::Head,
            wire::Direction::Relation => contract::Direction::Relation,
        };
        if !self.layout.directions.contains(&direction) {
            return Err(wire::Error::Unsupported(format!("direction {direction:?}")));
        }
        let two = direction == contract::Direction::Relation;
        let lists = if two { 2 } else { 1 };
        let expected = lists * relation_of.len() * self.layout.entity_width;
        length(names[0], expected, entities.len())?;
        let distinct = relations.len() / self.layout.relation_width;
        length(names[1], distinct * self.layout.relation_width, relations.len())?;
        if self.layout.shared.len() != shared.len() {
            let reason = "the shared tensors have not been set";
            return Err(wire::Error::Invalid(reason.into()));
        }
        match relation_of.iter().find(|&&of| !two && of as usize >= distinct) {
            Some(of) => Err(wire::Error::OutOfRange(format!("relation {of} of {distinct}"))),
            None => Ok(Batch { direction, entities, relations, relation_of, shared }),
        }
    }
}

fn direction(direction: contract::Direction) -> wire::Direction {
    match direction {
        contract::Direction::Tail => wire::Direction::Tail,
        contract::Direction::Head => wire::Direction::Head,
        contract::Direction::Relation => wire::Direction::Relation,
    }
}

fn initialiser(initialiser: contract::Initialiser) -> wire::Initialiser {
    match initialiser {
        contract::Initialiser::Zeros => wire::Initialiser::Zeros,
        contract::Initialiser::Normal(deviation) => wire::Initialiser::Normal(deviation),
        contract::Initialiser::Uniform(low, high) => wire::Initialiser::Uniform((low, high)),
    }
}

fn constraint(constraint: contract::Constraint) -> wire::Constraint {
    match constraint {
        contract::Constraint::None => wire::Constraint::None,
        contract::Constraint::UnitNorm => wire::Constraint::UnitNorm,
        contract::Constraint::UnitBall => wire::Constraint::UnitBall,
        contract::Constraint::Phase => wire::Constraint::Phase,
    }
}

fn tensor(tensor: &contract::SharedTensor) -> wire::SharedTensor {
    wire::SharedTensor {
        name: tensor.name.into(),
        shape: tensor.shape.iter().map(|&extent| extent as u32).collect(),
        initialiser: initialiser(tensor.initialiser),
    }
}

fn length(what: &str, expected: usize, found: usize) -> Result<(), wire::Error> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (expected as u64, found as u64);
    Err(wire::Error::Length(wire::WrongLength { what: what.into(), expected, found }))
}
