// DistMult (Yang et al. 2015): score(h, r, t) = sum_i h_i r_i t_i.
//
// The product commutes: both directions are one, and the relation's query is h t.
//
// bindings/ is wit-bindgen's C output for the contract. Its rules: what a function is given is its
// own to free, what it gives is freed by the bindings; it returns whether `ret` holds, not `error`.

#include "bindings/model.h"

#include <stdlib.h>
#include <string.h>

typedef exports_kge_model_scoring_direction_t direction_t;
typedef exports_kge_model_scoring_error_t error_t;
typedef model_list_f32_t floats_t;
typedef model_list_u32_t indices_t;

struct exports_kge_model_scoring_scorer_t {
  size_t dim;
};

// A batch whose lengths and indices are right: row `i` of the anchors is multiplied by row `of[i]`
// of the factors. They are the relations; or the tails, row by row, if the relation is asked for.
typedef struct {
  size_t rows, dim;
  const float *anchors, *factors;
  const uint32_t *of;
} batch_t;

static void *allocated(size_t count, size_t size) {
  void *memory = count > 0 ? calloc(count, size) : NULL;
  if (count > 0 && memory == NULL) abort();
  return memory;
}

static floats_t zeros(size_t length) {
  return (floats_t){.ptr = allocated(length, sizeof(float)), .len = length};
}

static bool has_length(const char *what, uint64_t expected, uint64_t found, error_t *error) {
  if (expected == found) return true;
  error->tag = EXPORTS_KGE_MODEL_SCORING_ERROR_LENGTH;
  model_string_dup(&error->val.length.what, what);
  error->val.length.expected = expected;
  error->val.length.found = found;
  return false;
}

static char *decimal(char *to, uint32_t number) {
  if (number >= 10) to = decimal(to, number / 10);
  *to = (char)('0' + number % 10);
  return to + 1;
}

static bool in_range(uint32_t of, size_t distinct, error_t *error) {
  if (of < distinct) return true;
  char words[48] = "relation ";
  char *end = decimal(words + strlen(words), of);
  memcpy(end, " of ", 4);
  end = decimal(end + 4, (uint32_t)distinct);
  error->tag = EXPORTS_KGE_MODEL_SCORING_ERROR_OUT_OF_RANGE;
  model_string_dup_n(&error->val.out_of_range, words, (size_t)(end - words));
  return false;
}

static bool admit(size_t dim, direction_t direction, const floats_t *anchors,
                  const floats_t *relations, const indices_t *relation_of, batch_t *batch,
                  error_t *error) {
  const uint64_t rows = relation_of->len;
  *batch = (batch_t){.rows = relation_of->len, .dim = dim, .anchors = anchors->ptr};
  if (direction == EXPORTS_KGE_MODEL_SCORING_DIRECTION_RELATION) {
    if (!has_length("anchors", 2 * rows * dim, anchors->len, error)) return false;
    batch->factors = anchors->ptr + anchors->len / 2;
    return has_length("relations", 0, relations->len, error);
  }
  const size_t distinct = relations->len / dim;
  batch->factors = relations->ptr;
  batch->of = relation_of->ptr;
  if (!has_length("anchors", rows * dim, anchors->len, error)) return false;
  if (!has_length("relations", distinct * dim, relations->len, error)) return false;
  for (size_t row = 0; row < rows; row++)
    if (!in_range(relation_of->ptr[row], distinct, error)) return false;
  return true;
}

// Where in the factors, and in their gradient, a row's begin.
static size_t factors_at(const batch_t *batch, size_t row) {
  return (batch->of == NULL ? row : batch->of[row]) * batch->dim;
}

static floats_t query(const batch_t *batch) {
  const size_t dim = batch->dim;
  const floats_t queries = zeros(batch->rows * dim);
  for (size_t row = 0; row < batch->rows; row++) {
    const float *a = batch->anchors + row * dim;
    const float *f = batch->factors + factors_at(batch, row);
    float *restrict q = queries.ptr + row * dim;
    for (size_t i = 0; i < dim; i++) q[i] = a[i] * f[i];
  }
  return queries;
}

// `d_factors` is zero where it has not been added to, and does not overlap this row's `d_anchors`.
static void query_vjp(const batch_t *batch, const float *d_query, float *d_anchors,
                      float *d_factors) {
  const size_t dim = batch->dim;
  for (size_t row = 0; row < batch->rows; row++) {
    const size_t at = factors_at(batch, row);
    const float *a = batch->anchors + row * dim, *f = batch->factors + at, *d = d_query + row * dim;
    float *restrict d_a = d_anchors + row * dim, *restrict d_f = d_factors + at;
    for (size_t i = 0; i < dim; i++) {
      d_a[i] = d[i] * f[i];
      d_f[i] += d[i] * a[i];
    }
  }
}

// The exports, in the contract's order.

void exports_kge_model_scoring_describe(exports_kge_model_scoring_description_t *ret) {
  *ret = (exports_kge_model_scoring_description_t){.citation.is_some = true};
  model_string_dup(&ret->name, "distmult-c");
  model_string_dup(&ret->version, "0.1.0");
  model_string_dup(&ret->summary,
                   "DistMult in C: a relation weighs the product of head and tail; symmetric");
  exports_kge_model_scoring_citation_t *paper = &ret->citation.val;
  model_string_dup(&paper->title, "Embedding Entities and Relations for Learning and Inference in "
                                  "Knowledge Bases");
  model_string_dup(&paper->authors, "Bishan Yang, Wen-tau Yih, Xiaodong He, Jianfeng Gao, Li Deng");
  paper->year = 2015;
  model_string_dup(&paper->identifier, "arXiv:1412.6575");
}

bool exports_kge_model_scoring_configure(
    uint32_t dim, exports_kge_model_scoring_list_hyper_value_t *hyper_parameters,
    exports_kge_model_scoring_own_scorer_t *ret, error_t *error) {
  (void)error;
  exports_kge_model_scoring_list_hyper_value_free(hyper_parameters);
  exports_kge_model_scoring_scorer_t *scorer = allocated(1, sizeof *scorer);
  scorer->dim = dim;
  *ret = exports_kge_model_scoring_scorer_new(scorer);
  return true;
}

void exports_kge_model_scoring_scorer_destructor(exports_kge_model_scoring_scorer_t *scorer) {
  free(scorer);
}

void exports_kge_model_scoring_method_scorer_layout(
    exports_kge_model_scoring_scorer_t *scorer, exports_kge_model_scoring_layout_t *ret) {
  static const direction_t directions[] = {
      EXPORTS_KGE_MODEL_SCORING_DIRECTION_TAIL,
      EXPORTS_KGE_MODEL_SCORING_DIRECTION_HEAD,
      EXPORTS_KGE_MODEL_SCORING_DIRECTION_RELATION,
  };
  const exports_kge_model_scoring_initialiser_t initialiser = {
      .tag = EXPORTS_KGE_MODEL_SCORING_INITIALISER_NORMAL, .val.normal = 0.1f};
  const uint32_t width = (uint32_t)scorer->dim;
  *ret = (exports_kge_model_scoring_layout_t){
      .similarity = EXPORTS_KGE_MODEL_SCORING_SIMILARITY_DOT,
      .directions = {.ptr = allocated(sizeof directions, 1), .len = sizeof directions},
      .entity_width = width,
      .relation_width = width,
      .query_width = width,
      .entity_initialiser = initialiser,
      .relation_initialiser = initialiser,
      .entity_constraint = EXPORTS_KGE_MODEL_SCORING_CONSTRAINT_NONE,
      .relation_constraint = EXPORTS_KGE_MODEL_SCORING_CONSTRAINT_NONE,
  };
  memcpy(ret->directions.ptr, directions, sizeof directions);
}

bool exports_kge_model_scoring_method_scorer_query(
    exports_kge_model_scoring_scorer_t *scorer, direction_t direction, floats_t *anchors,
    floats_t *relations, indices_t *relation_of, floats_t *context, floats_t *ret,
    error_t *error) {
  batch_t batch;
  const bool fits =
      admit(scorer->dim, direction, anchors, relations, relation_of, &batch, error);
  if (fits) *ret = query(&batch);
  model_list_f32_free(anchors);
  model_list_f32_free(relations);
  model_list_u32_free(relation_of);
  model_list_f32_free(context);
  return fits;
}

bool exports_kge_model_scoring_method_scorer_query_vjp(
    exports_kge_model_scoring_scorer_t *scorer, direction_t direction, floats_t *anchors,
    floats_t *relations, indices_t *relation_of, floats_t *context, floats_t *d_query,
    exports_kge_model_scoring_gradients_t *ret, error_t *error) {
  batch_t batch;
  const bool fits =
      admit(scorer->dim, direction, anchors, relations, relation_of, &batch, error) &&
      has_length("d-query", (uint64_t)batch.rows * batch.dim, d_query->len, error);
  if (fits) {
    *ret = (exports_kge_model_scoring_gradients_t){
        .d_anchors = zeros(anchors->len), .d_relations = zeros(relations->len)};
    float *d_factors =
        batch.of == NULL ? ret->d_anchors.ptr + batch.rows * batch.dim : ret->d_relations.ptr;
    query_vjp(&batch, d_query->ptr, ret->d_anchors.ptr, d_factors);
  }
  model_list_f32_free(anchors);
  model_list_f32_free(relations);
  model_list_u32_free(relation_of);
  model_list_f32_free(context);
  model_list_f32_free(d_query);
  return fits;
}

bool exports_kge_model_scoring_method_scorer_set_shared(
    exports_kge_model_scoring_scorer_t *scorer, model_list_list_f32_t *tensors, error_t *error) {
  (void)scorer;
  const bool fits = has_length("tensors", 0, tensors->len, error);
  for (size_t i = 0; i < tensors->len; i++) model_list_f32_free(&tensors->ptr[i]);
  model_list_list_f32_free(tensors);
  return fits;
}
