//! The wire side: any [`Model`] as a component. wasm32 only.

#![allow(missing_docs)]

use core::marker::PhantomData;

use crate::contract;
use exports::kge::model::scoring as wire;

wit_bindgen::generate!({
    path: "../wit",
    world: "model",
    pub_export_macro: true,
    default_bindings_module: "kge_plugin_sdk::guest",
});

/// A component that answers for the model `M`.
pub struct Component<M>(PhantomData<M>);

/// A configured model behind the resource.
pub struct Scorer<M> {
    model: M,
    layout: contract::Layout,
}

impl<M: contract::Model> wire::Guest for Component<M> {
    type Scorer = Scorer<M>;

    fn describe() -> wire::Description {
        let description = M::describe();
        let kind = |kind| match kind {
            contract::HyperParameterKind::Integer => wire::HyperParameterKind::Integer,
            contract::HyperParameterKind::Real => wire::HyperParameterKind::Real,
            contract::HyperParameterKind::Boolean => wire::HyperParameterKind::Boolean,
        };
        let parameter = |parameter: &contract::HyperParameter| wire::HyperParameter {
            name: parameter.name.into(),
            summary: parameter.summary.into(),
            kind: kind(parameter.kind),
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
        Ok(wire::Scorer::new(Scorer { model, layout }))
    }
}

impl<M: contract::Model> wire::GuestScorer for Scorer<M> {
    fn layout(&self) -> wire::Layout {
        let layout = &self.layout;
        let initialiser = |initialiser| match initialiser {
            contract::Initialiser::Zeros => wire::Initialiser::Zeros,
            contract::Initialiser::Normal(deviation) => wire::Initialiser::Normal(deviation),
            contract::Initialiser::Uniform(low, high) => wire::Initialiser::Uniform((low, high)),
        };
        let constraint = |constraint| match constraint {
            contract::Constraint::None => wire::Constraint::None,
            contract::Constraint::UnitNorm => wire::Constraint::UnitNorm,
            contract::Constraint::UnitBall => wire::Constraint::UnitBall,
            contract::Constraint::Phase => wire::Constraint::Phase,
        };
        let direction = |direction: &contract::Direction| match direction {
            contract::Direction::Tail => wire::Direction::Tail,
            contract::Direction::Head => wire::Direction::Head,
        };
        wire::Layout {
            similarity: match layout.similarity {
                contract::Similarity::Dot => wire::Similarity::Dot,
                contract::Similarity::L1 => wire::Similarity::L1,
                contract::Similarity::L2 => wire::Similarity::L2,
                contract::Similarity::SquaredL2 => wire::Similarity::SquaredL2,
                contract::Similarity::Modulus => wire::Similarity::Modulus,
            },
            directions: layout.directions.iter().map(direction).collect(),
            bias: false,
            entity_width: layout.entity_width as u32,
            relation_width: layout.relation_width as u32,
            query_width: layout.entity_width as u32,
            complex: layout.complex,
            projects_candidates: false,
            entity_initialiser: initialiser(layout.entity_initialiser),
            relation_initialiser: initialiser(layout.relation_initialiser),
            entity_constraint: constraint(layout.entity_constraint),
            relation_constraint: constraint(layout.relation_constraint),
            shared: Vec::new(),
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
        let direction = self.admit(direction, &anchors, &relations, &relation_of)?;
        let (entity, relation) = (self.layout.entity_width, self.layout.relation_width);
        let mut queries = vec![0.0; relation_of.len() * entity];
        let rows = anchors.chunks_exact(entity).zip(queries.chunks_exact_mut(entity));
        for ((anchor, query), &of) in rows.zip(&relation_of) {
            let row = &relations[of as usize * relation..][..relation];
            self.model.query(direction, anchor, row, query);
        }
        Ok(queries)
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
        let direction = self.admit(direction, &anchors, &relations, &relation_of)?;
        let (entity, relation) = (self.layout.entity_width, self.layout.relation_width);
        length("d-query", relation_of.len() * entity, d_query.len())?;
        let mut d_anchors = vec![0.0; anchors.len()];
        let mut d_relations = vec![0.0; relations.len()];
        let rows = anchors.chunks_exact(entity).zip(d_query.chunks_exact(entity));
        let rows = rows.zip(d_anchors.chunks_exact_mut(entity)).zip(&relation_of);
        for (((anchor, d_query), d_anchor), &of) in rows {
            let row = &relations[of as usize * relation..][..relation];
            let d_row = &mut d_relations[of as usize * relation..][..relation];
            self.model.query_vjp(direction, anchor, row, d_query, d_anchor, d_row);
        }
        Ok(wire::Gradients { d_anchors, d_relations, d_shared: Vec::new() })
    }

    fn set_shared(&self, tensors: Vec<Vec<f32>>) -> Result<(), wire::Error> {
        length("tensors", 0, tensors.len())
    }
}

impl<M: contract::Model> Scorer<M> {
    fn admit(
        &self,
        direction: wire::Direction,
        anchors: &[f32],
        relations: &[f32],
        relation_of: &[u32],
    ) -> Result<contract::Direction, wire::Error> {
        let direction = match direction {
            wire::Direction::Tail => contract::Direction::Tail,
            wire::Direction::Head => contract::Direction::Head,
            wire::Direction::Relation => {
                return Err(wire::Error::Unsupported("direction relation".into()));
            }
        };
        length("anchors", relation_of.len() * self.layout.entity_width, anchors.len())?;
        let distinct = relations.len() / self.layout.relation_width;
        length("relations", distinct * self.layout.relation_width, relations.len())?;
        match relation_of.iter().find(|&&of| of as usize >= distinct) {
            Some(of) => Err(wire::Error::OutOfRange(format!("relation {of} of {distinct}"))),
            None => Ok(direction),
        }
    }
}

fn length(what: &str, expected: usize, found: usize) -> Result<(), wire::Error> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (expected as u64, found as u64);
    Err(wire::Error::Length(wire::WrongLength { what: what.into(), expected, found }))
}
