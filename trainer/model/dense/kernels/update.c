/* Attention of the update over packed rows, forwards and backwards. Shapes: vectors.h. */

#include "vectors.h"

#define QUERIES 16 /* positions whose queries are attended at once */

/* Through `apply_rope` and the norm back to x; adds to the gain's gradient. eps < 0: no norm. */
static inline void apply_rope_backward(const float *x, const float *gain, const float *cosine, const float *sine,
                                       const float *grad, float eps, float *grad_x, float *grad_gain, num size) {
    num half = size / 2;
    float scale = eps < 0 ? 1 : inverse_rms(x, size, eps);
    for (num e = 0; e < half; e++) {
        float low = grad[e] * cosine[e] + grad[e + half] * sine[e + half];
        float high = grad[e + half] * cosine[e + half] - grad[e] * sine[e];
        grad_gain[e] += low * x[e] * scale, grad_gain[e + half] += high * x[e + half] * scale;
        grad_x[e] = low * gain[e], grad_x[e + half] = high * gain[e + half];
    }
    if (eps < 0) return;
    float share = dot(grad_x, x, size) * scale * scale / size;
    for (num e = 0; e < size; e++) grad_x[e] = (grad_x[e] - x[e] * share) * scale;
}

/* A batch: row b has `lengths[b]` positions, whose tokens are index[b * width ...]; those from `firsts[b]` on are asked for in
   this row, the others in one before it. qkv_NO: queries of all heads, then keys, then values. */
typedef struct {
    const float *qkv, *cosine, *sine, *query_gain, *key_gain;
    const num *index, *firsts, *lengths;
    num tokens, rows, width, heads, queries, size;
    float eps;
} batch;

/* Rotated queries and keys of every token: turned_N(H+K)E. */
static void apply_rope_to_all(const batch *t, float *rotated, int threads) {
    num asked = t->heads * t->queries, both = asked + t->heads, out = both + t->heads;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (num n = 0; n < t->tokens; n++)
        for (num h = 0; h < both; h++) {
            const float *x = t->qkv + (n * out + h) * t->size;
            apply_rope(x, t->eps < 0 ? 1 : inverse_rms(x, t->size, t->eps), h < asked ? t->query_gain : t->key_gain,
                       t->cosine + n * t->size, t->sine + n * t->size, rotated + (n * both + h) * t->size, t->size);
        }
}

/* What one key head of one row works on. Tables by position S or by query M, of which there are J for each position. */
typedef struct {
    float *keys_SE, *keys_ES, *values_SE, *values_ES, *queries_ME, *scores_MS, *outs_ME, *totals_M;
    float *grads_MS, *grad_keys_SE, *grad_values_SE, *grad_queries_ME;
} scratch;

static scratch scratch_of(const batch *t) {
    num table = up(t->width) * t->size, asked = QUERIES * t->queries, scores = asked * up(t->width), block = asked * t->size;
    return (scratch){allocate(table), allocate(table), allocate(table),  allocate(table), allocate(block), allocate(scores),
                     allocate(block), allocate(asked), allocate(scores), allocate(table), allocate(table), allocate(block)};
}

static void scratch_free(scratch s) {
    free(s.keys_SE), free(s.keys_ES), free(s.values_SE), free(s.values_ES), free(s.queries_ME), free(s.scores_MS),
        free(s.outs_ME), free(s.totals_M);
    free(s.grads_MS), free(s.grad_keys_SE), free(s.grad_values_SE), free(s.grad_queries_ME);
}

/* The row's keys and values, also transposed; positions up to the next multiple of W are 0. */
static void gather(const batch *t, const float *rotated, num b, num k, const scratch *s) {
    num asked = t->heads * t->queries, size = t->size, length = t->lengths[b], span = up(length);
    for (num p = 0; p < span; p++) {
        num n = t->index[b * t->width + (p < length ? p : 0)];
        const float *key = rotated + (n * (asked + t->heads) + asked + k) * size;
        const float *value = t->qkv + (n * (asked + 2 * t->heads) + asked + t->heads + k) * size;
        for (num e = 0; e < size; e++) {
            float one = p < length ? key[e] : 0, other = p < length ? value[e] : 0;
            s->keys_SE[p * size + e] = s->keys_ES[e * span + p] = one;
            s->values_SE[p * size + e] = s->values_ES[e * span + p] = other;
        }
    }
}

/* Rows of a table that are those of the queries of key head k at positions from .. to; back where `into`. */
static void pick(const batch *t, float *table, num per_token, num b, num k, num from, num to, float *block_ME, int into) {
    num bytes = t->queries * t->size;
    for (num p = from; p < to; p++) {
        float *place = table + (t->index[b * t->width + p] * per_token + k * t->queries) * t->size;
        if (into) memcpy(place, block_ME + (p - from) * bytes, (size_t)bytes * sizeof(float));
        else memcpy(block_ME + (p - from) * bytes, place, (size_t)bytes * sizeof(float));
    }
}

/* out_NHE, and logs_NH: the logarithm of the sum over keys of e^score, of every token. turned_N(H+K)E: room to work in. */
void attention_forward(const float *qkv, const float *cosine, const float *sine, const float *query_gain, const float *key_gain,
                       const num *index, const num *firsts, const num *lengths, num tokens, num rows, num width, num heads,
                       num queries, num size, float eps, float *out, float *logs, float *rotated, int threads) {
    batch t = {qkv, cosine, sine, query_gain, key_gain, index, firsts, lengths, tokens, rows, width, heads, queries, size, eps};
    num asked = heads * queries;
    apply_rope_to_all(&t, rotated, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        scratch s = scratch_of(&t);
#pragma omp for schedule(dynamic)
        for (num task = 0; task < rows * heads; task++) {
            num b = task / heads, k = task % heads, length = lengths[b], span = up(length);
            if (firsts[b] >= length) continue;
            gather(&t, rotated, b, k, &s);
            for (num from = firsts[b]; from < length; from += QUERIES) {
                num to = from + QUERIES < length ? from + QUERIES : length, many = (to - from) * queries, seen = up(to);
                pick(&t, rotated, asked + heads, b, k, from, to, s.queries_ME, 0);
                product(many, seen, size, s.queries_ME, size, 1, s.keys_ES, span, s.scores_MS, seen, 0);
                for (num m = 0; m < many; m++) {
                    num p = from + m / queries;
                    float top;
                    for (num i = p + 1; i < seen; i++) s.scores_MS[m * seen + i] = -1e30f;
                    s.totals_M[m] = exponentials(s.scores_MS + m * seen, seen, &top);
                    logs[index[b * width + p] * asked + k * queries + m % queries] = top + logf(s.totals_M[m]);
                }
                product(many, size, to, s.scores_MS, seen, 1, s.values_SE, size, s.outs_ME, size, 0);
                for (num m = 0; m < many; m++)
                    for (num e = 0; e < size; e++) s.outs_ME[m * size + e] /= s.totals_M[m];
                pick(&t, out, asked, b, k, from, to, s.outs_ME, 1);
            }
        }
        scratch_free(s);
    }
}

/* grad_qkv_NO, and the gradients of the gains (E each). rotated, grad_rotated (N(H+K)E): room to work in. Key heads go to
   threads whole, so every sum has one order. */
void attention_backward(const float *grad, const float *qkv, const float *cosine, const float *sine, const float *query_gain,
                        const float *key_gain, const num *index, const num *firsts, const num *lengths, num tokens, num rows,
                        num width, num heads, num queries, num size, float eps, const float *out, const float *logs,
                        float *grad_qkv, float *grad_query_gain, float *grad_key_gain, float *rotated, float *grad_rotated,
                        int threads) {
    batch t = {qkv, cosine, sine, query_gain, key_gain, index, firsts, lengths, tokens, rows, width, heads, queries, size, eps};
    num asked = heads * queries, both = asked + heads, all = both + heads;
    apply_rope_to_all(&t, rotated, threads);
    memset(grad_rotated, 0, (size_t)(tokens * both * size) * sizeof(float));
    for (num n = 0; n < tokens; n++) memset(grad_qkv + (n * all + both) * size, 0, (size_t)(heads * size) * sizeof(float));
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        scratch s = scratch_of(&t);
#pragma omp for
        for (num k = 0; k < heads; k++)
            for (num b = 0; b < rows; b++) {
                num length = lengths[b], span = up(length);
                if (firsts[b] >= length) continue;
                gather(&t, rotated, b, k, &s);
                memset(s.grad_keys_SE, 0, (size_t)(length * size) * sizeof(float));
                memset(s.grad_values_SE, 0, (size_t)(length * size) * sizeof(float));
                for (num from = firsts[b]; from < length; from += QUERIES) {
                    num to = from + QUERIES < length ? from + QUERIES : length, many = (to - from) * queries, seen = up(to);
                    pick(&t, rotated, both, b, k, from, to, s.queries_ME, 0);
                    pick(&t, (float *)grad, asked, b, k, from, to, s.outs_ME, 0);
                    product(many, seen, size, s.queries_ME, size, 1, s.keys_ES, span, s.scores_MS, seen, 0);
                    product(many, seen, size, s.outs_ME, size, 1, s.values_ES, span, s.grads_MS, seen, 0);
                    for (num m = 0; m < many; m++) {
                        num p = from + m / queries, place = index[b * width + p] * asked + k * queries + m % queries;
                        float *score = s.scores_MS + m * seen, *g = s.grads_MS + m * seen, log = logs[place];
                        float share = dot(s.outs_ME + m * size, out + place * size, size);
                        for (num i = p + 1; i < seen; i++) score[i] = -1e30f;
                        for (num i = 0; i < seen; i += W) {
                            vec weight = exp_vec(*(vec *)(score + i) - log);
                            *(vec *)(score + i) = weight;
                            *(vec *)(g + i) = weight * (*(vec *)(g + i) - share);
                        }
                        for (num i = p + 1; i < seen; i++) score[i] = g[i] = 0;
                    }
                    product(to, size, many, s.scores_MS, 1, seen, s.outs_ME, size, s.grad_values_SE, size, 1);
                    product(to, size, many, s.grads_MS, 1, seen, s.queries_ME, size, s.grad_keys_SE, size, 1);
                    product(many, size, to, s.grads_MS, seen, 1, s.keys_SE, size, s.grad_queries_ME, size, 0);
                    pick(&t, grad_rotated, both, b, k, from, to, s.grad_queries_ME, 1);
                }
                for (num p = 0; p < length; p++) {
                    num n = index[b * width + p];
                    float *key = grad_rotated + (n * both + asked + k) * size, *value = grad_qkv + (n * all + both + k) * size;
                    for (num e = 0; e < size; e++) {
                        key[e] += s.grad_keys_SE[p * size + e];
                        value[e] += s.grad_values_SE[p * size + e];
                    }
                }
            }
        scratch_free(s);
    }
    memset(grad_query_gain, 0, (size_t)size * sizeof(float)), memset(grad_key_gain, 0, (size_t)size * sizeof(float));
    for (num n = 0; n < tokens; n++)
        for (num h = 0; h < both; h++)
            apply_rope_backward(qkv + (n * all + h) * size, h < asked ? query_gain : key_gain, cosine + n * size,
                                sine + n * size, grad_rotated + (n * both + h) * size, eps, grad_qkv + (n * all + h) * size,
                                h < asked ? grad_query_gain : grad_key_gain, size);
}
