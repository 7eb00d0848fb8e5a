//! A configured model behind the contract's checks.

use crate::{Batch, Direction, Error, Gradients, Layout, Model, Settings};

/// A configured model: checks every list before the model sees it. The component exports it;
/// natively it is the reference in tests.
pub struct Scorer<M> {
    model: M,
    layout: Layout,
}

impl<M: Model> Scorer<M> {
    /// Configures a model; hyper-parameters that are not given have their defaults.
    ///
    /// # Errors
    /// If a hyper-parameter is unknown, or the model refuses.
    pub fn configure(dim: usize, given: &[(&str, f64)]) -> Result<Self, Error> {
        let mut settings: Vec<(String, f64)> =
            M::describe().hyper_parameters.into_iter().map(|p| (p.name, p.default)).collect();
        for (name, value) in given {
            match settings.iter_mut().find(|(known, _)| known == name) {
                Some((_, default)) => *default = *value,
                None => return Err(Error::Invalid(format!("unknown hyper-parameter {name}"))),
            }
        }
        let model = M::configure(dim, &Settings(settings))?;
        let layout = model.layout();
        Ok(Self { model, layout })
    }

    /// The shape of the model's rows.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Query rows, `[batch, query_width]`.
    ///
    /// # Errors
    /// If a list has the wrong length, or the direction is not in the layout.
    pub fn query(
        &self,
        direction: Direction,
        anchors: &[f32],
        relations: &[f32],
        relation_of: &[u32],
        context: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let batch = self.batch(direction, anchors, relations, relation_of, context)?;
        let mut query = vec![0.0; batch.len() * self.layout.query_width];
        self.model.query(&batch, &mut query);
        Ok(query)
    }

    /// The vector-Jacobian product of [`query`](Self::query) for `d_query`.
    ///
    /// # Errors
    /// As for `query`.
    pub fn query_vjp(
        &self,
        direction: Direction,
        anchors: &[f32],
        relations: &[f32],
        relation_of: &[u32],
        context: &[f32],
        d_query: &[f32],
    ) -> Result<Gradients, Error> {
        let batch = self.batch(direction, anchors, relations, relation_of, context)?;
        length("d-query", batch.len() * self.layout.query_width, d_query.len())?;
        let mut gradients = Gradients {
            anchors: vec![0.0; anchors.len()],
            relations: vec![0.0; relations.len()],
            shared: self.layout.shared.iter().map(|tensor| vec![0.0; tensor.len()]).collect(),
        };
        self.model.query_vjp(&batch, d_query, &mut gradients);
        Ok(gradients)
    }

    /// Hands over the shared tensors, in the layout's order.
    ///
    /// # Errors
    /// If their number or a length is not the layout's.
    pub fn set_shared(&mut self, tensors: Vec<Vec<f32>>) -> Result<(), Error> {
        length("tensors", self.layout.shared.len(), tensors.len())?;
        for (tensor, values) in self.layout.shared.iter().zip(&tensors) {
            length("tensors", tensor.len(), values.len())?;
        }
        self.model.set_shared(tensors);
        Ok(())
    }

    fn batch<'a>(
        &self,
        direction: Direction,
        anchors: &'a [f32],
        relations: &'a [f32],
        relation_of: &'a [u32],
        context: &'a [f32],
    ) -> Result<Batch<'a>, Error> {
        let Layout { entity_width, relation_width, directions, .. } = &self.layout;
        let (entity_width, relation_width) = (*entity_width, *relation_width);
        if !directions.contains(&direction) {
            return Err(Error::Unsupported(format!("direction {direction:?}").to_lowercase()));
        }
        let lists = if direction == Direction::Relation { 2 } else { 1 };
        length("anchors", lists * relation_of.len() * entity_width, anchors.len())?;
        let distinct = relations.len() / relation_width;
        length("relations", distinct * relation_width, relations.len())?;
        if direction != Direction::Relation {
            if let Some(beyond) = relation_of.iter().find(|&&row| row as usize >= distinct) {
                let words = format!("relation-of names row {beyond} of {distinct}");
                return Err(Error::OutOfRange(words));
            }
        }
        Ok(Batch {
            direction,
            anchors,
            relations,
            relation_of,
            context,
            entity_width,
            relation_width,
        })
    }
}

fn length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}
