//! The rows of a trained model, and their file: `embeddings.safetensors`.
//!
//! The header is padded by spaces to a multiple of 64 bytes and the keys stand in a fixed order,
//! so that the entity rows are aligned for mapping and the same rows give the same bytes.

use std::io::{Read, Write};

use sha2::{Digest, Sha256};

use crate::{Error, Layout, Result};

const FILE: &str = "embeddings.safetensors";

/// Entity rows, relation rows and shared tensors of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// `[entities, entity_width]`, row-major.
    pub entities: Vec<f32>,
    /// `[relations, relation_width]`, or twice as many rows with reciprocal relations, the
    /// forward ones first.
    pub relations: Vec<f32>,
    /// `[entities]`, added to an entity's score as a candidate; empty if the model has none.
    pub biases: Vec<f32>,
    /// Shared tensors in the layout's order.
    pub shared: Vec<Vec<f32>>,
    /// Floats in an entity row.
    pub entity_width: usize,
    /// Floats in a relation row.
    pub relation_width: usize,
}

impl Embeddings {
    /// Number of entities.
    pub fn entity_count(&self) -> usize {
        self.entities.len() / self.entity_width
    }

    /// Number of relation rows, reciprocal ones included.
    pub fn relation_rows(&self) -> usize {
        self.relations.len() / self.relation_width
    }

    /// The row of one entity.
    ///
    /// # Panics
    /// If there is no such entity.
    pub fn entity(&self, id: u32) -> &[f32] {
        &self.entities[id as usize * self.entity_width..][..self.entity_width]
    }

    /// One relation row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn relation(&self, row: u32) -> &[f32] {
        &self.relations[row as usize * self.relation_width..][..self.relation_width]
    }

    /// Writes `embeddings.safetensors` and returns its SHA-256 in hexadecimal.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(&self, layout: &Layout, out: &mut dyn Write) -> Result<String> {
        let mut tensors = vec![
            ("entities".to_owned(), vec![self.entity_count(), self.entity_width], &self.entities),
            (
                "relations".to_owned(),
                vec![self.relation_rows(), self.relation_width],
                &self.relations,
            ),
        ];
        if layout.bias {
            tensors.push(("biases".to_owned(), vec![self.biases.len()], &self.biases));
        }
        for (tensor, values) in layout.shared.iter().zip(&self.shared) {
            tensors.push((format!("shared.{}", tensor.name), tensor.shape.clone(), values));
        }
        let mut header = String::from("{");
        let mut offset = 0;
        for (index, (name, shape, values)) in tensors.iter().enumerate() {
            let end = offset + values.len() * 4;
            let name = serde_json::Value::from(name.as_str());
            let comma = if index == 0 { "" } else { "," };
            header += &format!(
                "{comma}{name}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{offset},{end}]}}"
            );
            offset = end;
        }
        header.push('}');
        // 8 bytes of length stand before the header.
        let padded = (8 + header.len()).next_multiple_of(64) - 8;
        let header = format!("{header:<padded$}");

        let mut sha = Sha256::new();
        let mut emit = |bytes: &[u8]| {
            sha.update(bytes);
            out.write_all(bytes)
        };
        emit(&(header.len() as u64).to_le_bytes())?;
        emit(header.as_bytes())?;
        for (_, _, values) in &tensors {
            emit(bytemuck::cast_slice(values))?;
        }
        Ok(sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads what [`write`](Self::write) wrote, or any safetensors file with these tensors.
    ///
    /// # Errors
    /// If the file is not safetensors, or a tensor is missing, is not F32 or has another shape
    /// than the layout says.
    pub fn read(layout: &Layout, from: &mut dyn Read) -> Result<Self> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Self::from_bytes(layout, &bytes)
    }

    /// As [`read`](Self::read), from bytes in memory.
    ///
    /// # Errors
    /// As for `read`.
    pub fn from_bytes(layout: &Layout, bytes: &[u8]) -> Result<Self> {
        let refuse = |reason: String| Error::File { file: FILE, reason };
        let file = safetensors::SafeTensors::deserialize(bytes)
            .map_err(|error| refuse(format!("not a safetensors file: {error}")))?;
        let tensor = |name: &str, shape: &[Option<usize>]| {
            let view =
                file.tensor(name).map_err(|_| refuse(format!("has no tensor \"{name}\"")))?;
            let fits = view.shape().len() == shape.len()
                && view.shape().iter().zip(shape).all(|(&n, want)| want.is_none_or(|w| w == n));
            if view.dtype() != safetensors::Dtype::F32 || !fits {
                return Err(refuse(format!(
                    "tensor \"{name}\" is {:?} {:?}, expected F32 {shape:?}",
                    view.dtype(),
                    view.shape()
                )));
            }
            let floats = view.data().chunks_exact(4);
            Ok(floats.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect::<Vec<_>>())
        };
        let shared = layout.shared.iter().map(|shared| {
            let shape: Vec<_> = shared.shape.iter().map(|&n| Some(n)).collect();
            tensor(&format!("shared.{}", shared.name), &shape)
        });
        let entities = tensor("entities", &[None, Some(layout.entity_width)])?;
        let count = entities.len() / layout.entity_width;
        Ok(Self {
            biases: if layout.bias { tensor("biases", &[Some(count)])? } else { Vec::new() },
            entities,
            relations: tensor("relations", &[None, Some(layout.relation_width)])?,
            shared: shared.collect::<Result<_>>()?,
            entity_width: layout.entity_width,
            relation_width: layout.relation_width,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Constraint, Direction, Initialiser, SharedTensor, Similarity};

    fn layout() -> Layout {
        Layout {
            similarity: Similarity::Dot,
            directions: vec![Direction::Tail],
            bias: true,
            entity_width: 3,
            relation_width: 2,
            query_width: 3,
            complex: false,
            projects_candidates: false,
            entity_initialiser: Initialiser::Zeros,
            relation_initialiser: Initialiser::Zeros,
            entity_constraint: Constraint::None,
            relation_constraint: Constraint::None,
            shared: vec![SharedTensor {
                name: "core".into(),
                shape: vec![2, 2],
                initialiser: Initialiser::Zeros,
            }],
        }
    }

    fn embeddings() -> Embeddings {
        Embeddings {
            entities: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            relations: vec![-1.0, 0.5],
            biases: vec![0.25, -0.5],
            shared: vec![vec![0.0, 1.0, 2.0, 3.0]],
            entity_width: 3,
            relation_width: 2,
        }
    }

    #[test]
    fn rows_come_back_and_lie_aligned() {
        let mut file = Vec::new();
        let sha = embeddings().write(&layout(), &mut file).unwrap();
        assert_eq!(sha.len(), 64);
        assert_eq!((8 + u64::from_le_bytes(file[..8].try_into().unwrap())) % 64, 0);
        assert_eq!(Embeddings::read(&layout(), &mut file.as_slice()).unwrap(), embeddings());
    }

    #[test]
    fn another_shape_is_refused_in_words() {
        let mut file = Vec::new();
        embeddings().write(&layout(), &mut file).unwrap();
        let wider = Layout { entity_width: 4, ..layout() };
        let error = Embeddings::from_bytes(&wider, &file).unwrap_err().to_string();
        assert_eq!(
            error,
            "embeddings.safetensors: tensor \"entities\" is F32 [2, 3], expected F32 [None, Some(4)]"
        );
    }
}
