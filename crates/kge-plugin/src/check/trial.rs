//! One function of a plugin in one direction, on rows that are the same every time.

use kge_model::{Direction, QueryBatch, QueryGradient, Result, ScoringModel as _, Session};

use crate::PluginModel;

/// Which relation the rows of a small batch use: one used once, two used twice.
pub(super) const RELATION_OF: [u32; 5] = [0, 2, 1, 2, 0];
const DISTINCT: usize = 3;

/// A function that has a vector-Jacobian product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// `query`.
    Query,
    /// `candidate`.
    Candidate,
}

/// The arguments of a call.
#[derive(Clone)]
pub(super) struct Trial<'m> {
    model: &'m PluginModel,
    function: Function,
    direction: Direction,
    relation_of: Vec<u32>,
    /// Entity rows, relation rows, then the shared tensors.
    pub(super) lists: Vec<Vec<f32>>,
    /// The gradient by the function's rows.
    pub(super) weights: Vec<f32>,
}

impl<'m> Trial<'m> {
    pub(super) fn new(
        model: &'m PluginModel,
        function: Function,
        direction: Direction,
        batch: usize,
    ) -> Self {
        let layout = model.layout();
        let two = direction == Direction::Relation;
        let (lists, distinct) = if two { (2, 0) } else { (1, DISTINCT) };
        let of = RELATION_OF.iter().cycle().map(|&of| if two { 0 } else { of });
        let mut given = vec![
            values(lists * batch * layout.entity_width, 1),
            values(distinct * layout.relation_width, 2),
        ];
        let shared = layout.shared.iter().zip(3..);
        given.extend(
            shared.map(|(tensor, salt)| values(tensor.shape.iter().product(), salt * 1000)),
        );
        Self {
            model,
            function,
            direction,
            relation_of: of.take(batch).collect(),
            lists: given,
            weights: values(batch * layout.query_width, 4),
        }
    }

    /// The same with every value times `scale`.
    pub(super) fn scaled(&self, scale: f32) -> Self {
        let mut scaled = self.clone();
        scaled.lists.iter_mut().flatten().for_each(|value| *value *= scale);
        scaled
    }

    fn batch(&self) -> QueryBatch<'_> {
        QueryBatch {
            direction: self.direction,
            anchors: &self.lists[0],
            relations: &self.lists[1],
            relation_of: &self.relation_of,
            context: &[],
        }
    }

    pub(super) fn open(&self) -> Result<Box<dyn Session + 'm>> {
        let mut session = self.model.session()?;
        self.share(&mut *session)?;
        Ok(session)
    }

    /// Hands over the shared tensors as they are now.
    pub(super) fn share(&self, session: &mut dyn Session) -> Result<()> {
        match &self.lists[2..] {
            [] => Ok(()),
            shared => session.set_shared(shared),
        }
    }

    pub(super) fn forward(&self, session: &mut dyn Session, rows: &mut Vec<f32>) -> Result<()> {
        match self.function {
            Function::Query => session.query(&self.batch(), rows),
            Function::Candidate => session.candidate(&self.batch(), rows),
        }
    }

    /// Gradients of the weighted sum of the function's rows, in the order of `lists`.
    pub(super) fn reverse(&self, session: &mut dyn Session) -> Result<Vec<Vec<f32>>> {
        let mut gradient = QueryGradient::default();
        match self.function {
            Function::Query => session.query_vjp(&self.batch(), &self.weights, &mut gradient)?,
            Function::Candidate => {
                session.candidate_vjp(&self.batch(), &self.weights, &mut gradient)?;
            }
        }
        let QueryGradient { anchors, relations, mut shared } = gradient;
        let mut lists = vec![anchors, relations];
        lists.append(&mut shared);
        Ok(lists)
    }

    /// Everything that a fresh sandbox answers, bit by bit.
    pub(super) fn bits(&self) -> Result<Vec<u32>> {
        let (mut session, mut rows) = (self.open()?, Vec::new());
        self.forward(&mut *session, &mut rows)?;
        let gradients = self.reverse(&mut *session)?;
        let all = rows.iter().chain(gradients.iter().flatten());
        Ok(all.map(|value| value.to_bits()).collect())
    }
}

/// Values between -1 and 1 that repeat nowhere near.
fn values(count: usize, salt: u64) -> Vec<f32> {
    let mut state = salt;
    let mut draw = || {
        // Numerical Recipes' linear congruential generator: spread is all that counts here.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}
