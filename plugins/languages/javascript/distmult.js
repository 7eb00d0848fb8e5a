// DistMult (Yang et al. 2015): score(h, r, t) = sum_i h_i r_i t_i.
//
// The product commutes: both directions are one, and the relation's query is h t.
//
// Numbers here are f64. `Math.fround` rounds where the contract's f32 would, so that the rows are
// those of the same model in Rust, bit by bit.

const f32 = Math.fround;

function describe() {
  return {
    name: "distmult-javascript",
    version: "0.1.0",
    summary: "DistMult in JavaScript: a relation weighs the product of head and tail; symmetric",
    citation: {
      title: "Embedding Entities and Relations for Learning and Inference in Knowledge Bases",
      authors: "Bishan Yang, Wen-tau Yih, Xiaodong He, Jianfeng Gao, Li Deng",
      year: 2015,
      identifier: "arXiv:1412.6575",
    },
    hyperParameters: [],
  };
}

function configure(dim, _hyperParameters) {
  return new Scorer(dim);
}

class Scorer {
  constructor(dim) {
    this.dim = dim;
  }

  layout() {
    return {
      similarity: "dot",
      directions: ["tail", "head", "relation"],
      bias: false,
      entityWidth: this.dim,
      relationWidth: this.dim,
      queryWidth: this.dim,
      complex: false,
      projectsCandidates: false,
      entityInitialiser: { tag: "normal", val: f32(0.1) },
      relationInitialiser: { tag: "normal", val: f32(0.1) },
      entityConstraint: "none",
      relationConstraint: "none",
      shared: [],
    };
  }

  query(direction, anchors, relations, relationOf, _context) {
    const { dim } = this;
    const [factors, at] = this.#other(direction, anchors, relations, relationOf);
    const rows = new Float32Array(relationOf.length * dim);
    for (let row = 0; row < relationOf.length; row++) {
      for (let i = 0, a = row * dim, b = at(row); i < dim; i++) {
        rows[a + i] = anchors[a + i] * factors[b + i];
      }
    }
    return rows;
  }

  queryVjp(direction, anchors, relations, relationOf, _context, dQuery) {
    const { dim } = this;
    const [factors, at] = this.#other(direction, anchors, relations, relationOf);
    expectLength("d-query", relationOf.length * dim, dQuery);
    const dAnchors = new Float32Array(anchors.length);
    const dRelations = new Float32Array(relations.length);
    const dFactors = direction === "relation" ? dAnchors : dRelations;
    for (let row = 0; row < relationOf.length; row++) {
      for (let i = 0, a = row * dim, b = at(row); i < dim; i++) {
        dAnchors[a + i] = dQuery[a + i] * factors[b + i];
        dFactors[b + i] += f32(dQuery[a + i] * anchors[a + i]);
      }
    }
    return { dAnchors, dRelations, dShared: [] };
  }

  setShared(tensors) {
    expectLength("tensors", 0, tensors);
  }

  // What an anchor is multiplied by, once every length and index is right: a list, and where in it
  // a row's factors begin. That is the row's relation, or its tail if the relation is asked for.
  #other(direction, anchors, relations, relationOf) {
    const { dim } = this;
    const batch = relationOf.length;
    if (direction === "relation") {
      expectLength("anchors", 2 * batch * dim, anchors);
      expectLength("relations", 0, relations);
      return [anchors, (row) => (batch + row) * dim];
    }
    const distinct = Math.floor(relations.length / dim);
    expectLength("anchors", batch * dim, anchors);
    expectLength("relations", distinct * dim, relations);
    for (const of of relationOf) {
      if (of >= distinct) {
        throw { tag: "out-of-range", val: `relation ${of} of ${distinct}` };
      }
    }
    return [relations, (row) => relationOf[row] * dim];
  }
}

function expectLength(what, expected, list) {
  if (list.length !== expected) {
    throw { tag: "length", val: { what, expected, found: list.length } };
  }
}

export const scoring = { describe, configure, Scorer };
