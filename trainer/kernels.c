/* What a processor spends its time on beside matrix products: norms, gates, and attention over a tree of tokens.

   Compiled for the machine at hand on first use and called through ctypes (kernels.py); plain C with GCC's vector types, no
   header of torch. All tensors are float32, contiguous, and caller-owned; counts are int64_t. Vectors have 16 floats on any
   machine: the compiler splits them where registers are shorter. Sums over a row are in a fixed order, whatever the number
   of threads, so a result does not depend on it.

   Shapes: N tokens, D hidden, F inner width, B rows, S positions, K key heads, J queries of a key head, H = K * J,
   E head size (a multiple of 16), O = (H + 2 K) * E. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define W 16        /* floats in a vector */
#define TILE 6      /* rows of a product that are held in registers at once, two vectors wide */
#define QUERIES 16  /* positions whose queries are attended at once */

typedef float vec __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int64_t num;

static inline num up(num n) { return (n + W - 1) / W * W; }

/* Arrays that begin on a cache line. */
static float *floats(num count) { return aligned_alloc(64, (size_t)up(count) * sizeof(float)); }

static inline vec splat(float x) { return x - (vec){0}; }

/* Where the mask is set the one, elsewhere the other. */
static inline vec chosen(ivec mask, vec one, vec other) { return (vec)(((ivec)one & mask) | ((ivec)other & ~mask)); }

/* e^x = 2^n e^r with |r| <= ln 2 / 2, e^r by the polynomial of Cephes' expf; relative error below 2e-7 for x in [-87, 88]. */
static inline vec exp_of(vec x) {
    x = chosen(x < -87.0f, splat(-87.0f), x);
    x = chosen(x > 88.0f, splat(88.0f), x);
    vec shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer, which is left in the low bits */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    ivec scale = ((ivec)shifted - 0x4B400000 + 127) << 23;
    return p * (vec)scale;
}

/* Sum and largest of a vector's floats: halves on halves. */
typedef float half __attribute__((vector_size(2 * W)));
typedef float quarter __attribute__((vector_size(W)));
typedef union { vec all; half halves[2]; } split;
typedef union { half all; quarter quarters[2]; } split_half;

static inline float sum_of(vec x) {
    split a = {x};
    split_half b = {a.halves[0] + a.halves[1]};
    quarter c = b.quarters[0] + b.quarters[1];
    return (c[0] + c[2]) + (c[1] + c[3]);
}

static inline float larger(float a, float b) { return a > b ? a : b; }

static inline float most_of(vec x) {
    split a = {x};
    float most = -1e30f;
    for (int i = 0; i < W / 2; i++) a.halves[0][i] = larger(a.halves[0][i], a.halves[1][i]);
    for (int i = 0; i < W / 2; i++) most = larger(most, a.halves[0][i]);
    return most;
}

/* The last vector of a row may be shorter than W. */
static inline vec load(const float *from, num count) {
    if (count >= W) return *(const vec *)from;
    vec part = {0};
    memcpy(&part, from, (size_t)count * sizeof(float));
    return part;
}

static inline void store(float *to, vec what, num count) {
    if (count >= W) *(vec *)to = what;
    else memcpy(to, &what, (size_t)count * sizeof(float));
}

static inline float dot(const float *a, const float *b, num n) {
    vec sum = {0};
    for (num i = 0; i < n; i += W) sum += load(a + i, n - i) * load(b + i, n - i);
    return sum_of(sum);
}

/* Replaces scores (a multiple of W of them) by e^(score - top), and gives their sum. A score of -1e30 comes out as good as 0. */
static inline float exponentials(float *scores, num count, float *top_score) {
    vec tops = splat(-1e30f), sums = {0};
    for (num s = 0; s < count; s += W) tops = chosen(*(vec *)(scores + s) > tops, *(vec *)(scores + s), tops);
    float top = most_of(tops);
    for (num s = 0; s < count; s += W) sums += *(vec *)(scores + s) = exp_of(*(vec *)(scores + s) - top);
    *top_score = top;
    return sum_of(sums);
}

/* rows x (W * wide) of C = A B, or C += A B. `apart`: from one vector of a row of B to the next, W in a plain matrix. */
static inline __attribute__((always_inline)) void tile(const int rows, const int wide, num inner, const float *a, num row, num col,
                                                       const float *b, num ldb, num apart, float *c, num ldc, int add) {
    vec sums[TILE][2];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < wide; v++) sums[i][v] = add ? *(const vec *)(c + i * ldc + W * v) : (vec){0};
    for (num k = 0; k < inner; k++) {
        vec right[2];
        for (int v = 0; v < wide; v++) right[v] = *(const vec *)(b + k * ldb + apart * v);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < wide; v++) sums[i][v] += a[i * row + k * col] * right[v];
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < wide; v++) *(vec *)(c + i * ldc + W * v) = sums[i][v];
}

static inline __attribute__((always_inline)) void stripe(const int wide, num m, num inner, const float *a, num row, num col,
                                                         const float *b, num ldb, num apart, float *c, num ldc, int add) {
    num i = 0;
    for (; i + TILE <= m; i += TILE) tile(TILE, wide, inner, a + i * row, row, col, b, ldb, apart, c + i * ldc, ldc, add);
    a += i * row, c += i * ldc;
    switch (m - i) {
        case 5: tile(5, wide, inner, a, row, col, b, ldb, apart, c, ldc, add); break;
        case 4: tile(4, wide, inner, a, row, col, b, ldb, apart, c, ldc, add); break;
        case 3: tile(3, wide, inner, a, row, col, b, ldb, apart, c, ldc, add); break;
        case 2: tile(2, wide, inner, a, row, col, b, ldb, apart, c, ldc, add); break;
        case 1: tile(1, wide, inner, a, row, col, b, ldb, apart, c, ldc, add); break;
    }
}

/* C (m x n) = A (m x inner) B, or C += A B where `add`. A[i][k] is a[i * row + k * col]; n is a multiple of W. */
static void product(num m, num n, num inner, const float *a, num row, num col, const float *b, num ldb, float *c, num ldc, int add) {
    num j = 0;
    for (; j + 2 * W <= n; j += 2 * W) stripe(2, m, inner, a, row, col, b + j, ldb, W, c + j, ldc, add);
    if (j < n) stripe(1, m, inner, a, row, col, b + j, ldb, W, c + j, ldc, add);
}

/* ---- RMSNorm without its weight ---- */

/* out_ND = x_ND * scale_N, scale = 1 / sqrt(mean of x^2 + eps). scale_N may be null. */
void norm_forward(const float *x, float *out, float *scale, num rows, num width, float eps, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (num n = 0; n < rows; n++) {
        const float *from = x + n * width;
        float *to = out + n * width, factor = 1 / sqrtf(dot(from, from, width) / width + eps);
        if (scale) scale[n] = factor;
        for (num d = 0; d < width; d++) to[d] = from[d] * factor;
    }
}

/* grad_x = (grad - out * mean(grad * out)) * scale, where out is what the forward pass gave. */
void norm_backward(const float *grad, const float *out, const float *scale, float *grad_x, num rows, num width, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (num n = 0; n < rows; n++) {
        const float *g = grad + n * width, *o = out + n * width;
        float *to = grad_x + n * width, factor = scale[n], share = dot(g, o, width) / width;
        for (num d = 0; d < width; d++) to[d] = (g[d] - o[d] * share) * factor;
    }
}

/* ---- silu(gate) * up, of both side by side ---- */

/* out_NF = silu(gate) * up of both_N2F. */
void gate_forward(const float *both, float *out, num rows, num inner, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (num n = 0; n < rows; n++)
        for (num f = 0; f < inner; f += W) {
            vec gate = load(both + 2 * n * inner + f, inner - f), value = load(both + (2 * n + 1) * inner + f, inner - f);
            store(out + n * inner + f, gate * value / (1.0f + exp_of(-gate)), inner - f);
        }
}

void gate_backward(const float *grad, const float *both, float *grad_both, num rows, num inner, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (num n = 0; n < rows; n++)
        for (num f = 0; f < inner; f += W) {
            num at = 2 * n * inner + f;
            vec g = load(grad + n * inner + f, inner - f), gate = load(both + at, inner - f);
            vec value = load(both + at + inner, inner - f), sigmoid = 1.0f / (1.0f + exp_of(-gate));
            store(grad_both + at, g * value * sigmoid * (1.0f + gate * (1.0f - sigmoid)), inner - f);
            store(grad_both + at + inner, g * gate * sigmoid, inner - f);
        }
}

/* ---- queries and keys: norm, gain, rotary embedding ---- */

static inline float inverse_rms(const float *x, num size, float eps) { return 1 / sqrtf(dot(x, x, size) / size + eps); }

/* to = rotation of (x * scale * gain) by the angles whose cosines and sines are given (Su et al. 2021, arXiv:2104.09864). */
static inline void turn(const float *restrict x, float scale, const float *restrict gain, const float *restrict cosine,
                        const float *restrict sine, float *restrict to, num size) {
    num half = size / 2;
    for (num e = 0; e < half; e++) {
        float low = x[e] * scale * gain[e], high = x[e + half] * scale * gain[e + half];
        to[e] = low * cosine[e] - high * sine[e];
        to[e + half] = high * cosine[e + half] + low * sine[e + half];
    }
}

/* Through `turn` and the norm back to x; adds to the gain's gradient. eps < 0: no norm. */
static inline void turn_back(const float *x, const float *gain, const float *cosine, const float *sine, const float *grad, float eps,
                             float *grad_x, float *grad_gain, num size) {
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

/* ---- one step of decoding ---- */

/* The new tokens. qkv_UO: for each key head of a row its queries, its key, its value. cosine, sine: of row u from u * angle_step
   on. gain_KJ1E: of the queries and the key of each key head. eps < 0: no norm. */
typedef struct {
    const float *qkv, *cosine, *sine, *gain;
    num angle_step, heads, queries, size;
    float eps;
} step;

/* Rotated queries of one key head of one row, and its new key and value written to where they stay. */
static void ask(const step *t, num u, num k, float *asked_JE, float *key, float *value) {
    num n = u * t->heads + k, size = t->size;
    const float *from = t->qkv + n * (t->queries + 2) * size, *gain = t->gain + k * (t->queries + 1) * size;
    const float *cosine = t->cosine + u * t->angle_step, *sine = t->sine + u * t->angle_step;
    float turned[size];
    for (num j = 0; j <= t->queries; j++) {
        const float *x = from + j * size;
        turn(x, t->eps < 0 ? 1 : inverse_rms(x, size, t->eps), gain + j * size, cosine, sine,
             j < t->queries ? asked_JE + j * size : turned, size);
    }
    for (num e = 0; e < size; e++) key[e * W] = turned[e];
    memcpy(value, from + (t->queries + 1) * size, (size_t)size * sizeof(float));
}

/* Scores of a head's queries over `blocks` blocks of keys, `apart` floats from one to the next. */
static inline void score(const float *asked_JE, num queries, num size, const float *keys, num blocks, num apart, float *scores, num lds) {
    num i = 0;
    for (; i + 2 <= blocks; i += 2) stripe(2, queries, size, asked_JE, size, 1, keys + i * apart, W, apart, scores + i * W, lds, 0);
    if (i < blocks) stripe(1, queries, size, asked_JE, size, 1, keys + i * apart, W, W, scores + i * W, lds, 0);
}

#define TOGETHER 16 /* rows whose cache is read in one pass */

/* Attention of one new token a row, over its prompt and over what it has drawn since (`used` positions and this one). out_UHE.

   Blocks of keys are E x W, of values W x E. A prompt's lie one after the other for each key head; its positions starts_P ..
   prompt - 1 count. owners_U: each row's prompt. Blocks that rows have drawn lie by place, then row (`capacity` of them), then
   key head, so that a pass over rows reads memory in its order: a cache is larger than what is near the core. */
void decode_attention(const float *qkv, const float *cosine, const float *sine, num angle_step, const float *gain,
                      const float *prompt_keys, const float *prompt_values, const num *starts, const num *owners, num prompt,
                      float *keys, float *values, num capacity, num used, float *out, num rows, num heads, num queries, num size,
                      float eps, int threads) {
    num prompt_blocks = up(prompt) / W, blocks = used / W + 1, block = W * size, apart = capacity * heads * block;
    step t = {qkv, cosine, sine, gain, angle_step, heads, queries, size, eps};
    num width = (prompt_blocks + blocks) * W, begin = prompt_blocks * W, per_head = queries * width;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        float *asked = floats(TOGETHER * heads * queries * size), *scores = floats(TOGETHER * heads * per_head);
#pragma omp for
        for (num first = 0; first < rows; first += TOGETHER) {
            num last = first + TOGETHER < rows ? first + TOGETHER : rows, from = first * heads, to = last * heads;
            for (num n = from; n < to; n++) {
                num at = n * block + used / W * apart, owner = owners[n / heads] * heads + n % heads;
                float *mine = asked + (n - from) * queries * size;
                ask(&t, n / heads, n % heads, mine, keys + at + used % W, values + at + used % W * size);
                score(mine, queries, size, prompt_keys + owner * prompt_blocks * block, prompt_blocks, block, scores + (n - from) * per_head, width);
            }
            for (num i = 0; i < blocks; i += 2)
                for (num n = from; n < to; n++)
                    score(asked + (n - from) * queries * size, queries, size, keys + n * block + i * apart,
                          blocks - i < 2 ? blocks - i : 2, apart, scores + (n - from) * per_head + begin + i * W, width);
            for (num n = from; n < to; n++) {
                num start = starts[owners[n / heads]], owner = owners[n / heads] * heads + n % heads;
                for (num j = 0; j < queries; j++) {
                    float top, *row = scores + (n - from) * per_head + j * width;
                    for (num s = 0; s < start; s++) row[s] = -1e30f;
                    for (num s = prompt; s < begin; s++) row[s] = -1e30f;
                    for (num s = begin + used + 1; s < width; s++) row[s] = -1e30f;
                    float scale = 1 / exponentials(row, width, &top);
                    for (num s = 0; s < width; s += W) *(vec *)(row + s) *= scale;
                }
                product(queries, size, prompt - start, scores + (n - from) * per_head + start, width, 1,
                        prompt_values + owner * prompt_blocks * block + start * size, size, out + n * queries * size, size, 0);
            }
            for (num i = 0; i < blocks; i++)
                for (num n = from; n < to; n++)
                    product(queries, size, used + 1 - i * W < W ? used + 1 - i * W : W, scores + (n - from) * per_head + begin + i * W,
                            width, 1, values + n * block + i * apart, size, out + n * queries * size, size, 1);
        }
        free(asked), free(scores);
    }
}

/* ---- attention of the update, over packed rows ---- */

/* A batch: row b has `lengths[b]` positions, whose tokens are index[b * width ...]; those from `firsts[b]` on are asked for in
   this row, the others in one before it. qkv_NO: queries of all heads, then keys, then values. */
typedef struct {
    const float *qkv, *cosine, *sine, *query_gain, *key_gain;
    const num *index, *firsts, *lengths;
    num tokens, rows, width, heads, queries, size;
    float eps;
} batch;

/* Rotated queries and keys of every token: turned_N(H+K)E. */
static void turn_all(const batch *t, float *turned, int threads) {
    num asked = t->heads * t->queries, both = asked + t->heads, out = both + t->heads;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (num n = 0; n < t->tokens; n++)
        for (num h = 0; h < both; h++) {
            const float *x = t->qkv + (n * out + h) * t->size;
            turn(x, t->eps < 0 ? 1 : inverse_rms(x, t->size, t->eps), h < asked ? t->query_gain : t->key_gain,
                 t->cosine + n * t->size, t->sine + n * t->size, turned + (n * both + h) * t->size, t->size);
        }
}

/* What one key head of one row works on. Tables by position S or by query M, of which there are J for each position. */
typedef struct {
    float *keys_SE, *keys_ES, *values_SE, *values_ES, *queries_ME, *scores_MS, *outs_ME, *totals_M;
    float *grads_MS, *grad_keys_SE, *grad_values_SE, *grad_queries_ME;
} scratch;

static scratch scratch_of(const batch *t) {
    num table = up(t->width) * t->size, asked = QUERIES * t->queries, scores = asked * up(t->width), block = asked * t->size;
    return (scratch){floats(table), floats(table), floats(table), floats(table), floats(block), floats(scores),
                     floats(block), floats(asked), floats(scores), floats(table), floats(table), floats(block)};
}

static void scratch_free(scratch s) {
    free(s.keys_SE), free(s.keys_ES), free(s.values_SE), free(s.values_ES), free(s.queries_ME), free(s.scores_MS), free(s.outs_ME), free(s.totals_M);
    free(s.grads_MS), free(s.grad_keys_SE), free(s.grad_values_SE), free(s.grad_queries_ME);
}

/* The row's keys and values, also transposed; positions up to the next multiple of W are 0. */
static void gather(const batch *t, const float *turned, num b, num k, const scratch *s) {
    num asked = t->heads * t->queries, size = t->size, length = t->lengths[b], span = up(length);
    for (num p = 0; p < span; p++) {
        num n = t->index[b * t->width + (p < length ? p : 0)];
        const float *key = turned + (n * (asked + t->heads) + asked + k) * size;
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

/* out_NHE, and logs_NH: the logarithm of the sum over keys of e^score, of every token. */
void attention_forward(const float *qkv, const float *cosine, const float *sine, const float *query_gain, const float *key_gain,
                       const num *index, const num *firsts, const num *lengths, num tokens, num rows, num width, num heads,
                       num queries, num size, float eps, float *out, float *logs, int threads) {
    batch t = {qkv, cosine, sine, query_gain, key_gain, index, firsts, lengths, tokens, rows, width, heads, queries, size, eps};
    num asked = heads * queries;
    float *turned = floats(tokens * (asked + heads) * size);
    turn_all(&t, turned, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        scratch s = scratch_of(&t);
#pragma omp for schedule(dynamic)
        for (num task = 0; task < rows * heads; task++) {
            num b = task / heads, k = task % heads, length = lengths[b], span = up(length);
            if (firsts[b] >= length) continue;
            gather(&t, turned, b, k, &s);
            for (num from = firsts[b]; from < length; from += QUERIES) {
                num to = from + QUERIES < length ? from + QUERIES : length, many = (to - from) * queries, seen = up(to);
                pick(&t, turned, asked + heads, b, k, from, to, s.queries_ME, 0);
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
    free(turned);
}

/* grad_qkv_NO, and the gradients of the gains (E each). Key heads go to threads whole, so every sum has one order. */
void attention_backward(const float *grad, const float *qkv, const float *cosine, const float *sine, const float *query_gain,
                        const float *key_gain, const num *index, const num *firsts, const num *lengths, num tokens, num rows,
                        num width, num heads, num queries, num size, float eps, const float *out, const float *logs,
                        float *grad_qkv, float *grad_query_gain, float *grad_key_gain, int threads) {
    batch t = {qkv, cosine, sine, query_gain, key_gain, index, firsts, lengths, tokens, rows, width, heads, queries, size, eps};
    num asked = heads * queries, both = asked + heads, all = both + heads;
    float *turned = floats(tokens * both * size), *grad_turned = floats(tokens * both * size);
    turn_all(&t, turned, threads);
    memset(grad_turned, 0, (size_t)(tokens * both * size) * sizeof(float));
    for (num n = 0; n < tokens; n++) memset(grad_qkv + (n * all + both) * size, 0, (size_t)(heads * size) * sizeof(float));
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        scratch s = scratch_of(&t);
#pragma omp for
        for (num k = 0; k < heads; k++)
            for (num b = 0; b < rows; b++) {
                num length = lengths[b], span = up(length);
                if (firsts[b] >= length) continue;
                gather(&t, turned, b, k, &s);
                memset(s.grad_keys_SE, 0, (size_t)(length * size) * sizeof(float));
                memset(s.grad_values_SE, 0, (size_t)(length * size) * sizeof(float));
                for (num from = firsts[b]; from < length; from += QUERIES) {
                    num to = from + QUERIES < length ? from + QUERIES : length, many = (to - from) * queries, seen = up(to);
                    pick(&t, turned, both, b, k, from, to, s.queries_ME, 0);
                    pick(&t, (float *)grad, asked, b, k, from, to, s.outs_ME, 0);
                    product(many, seen, size, s.queries_ME, size, 1, s.keys_ES, span, s.scores_MS, seen, 0);
                    product(many, seen, size, s.outs_ME, size, 1, s.values_ES, span, s.grads_MS, seen, 0);
                    for (num m = 0; m < many; m++) {
                        num p = from + m / queries, place = index[b * width + p] * asked + k * queries + m % queries;
                        float *score = s.scores_MS + m * seen, *g = s.grads_MS + m * seen, log = logs[place];
                        float share = dot(s.outs_ME + m * size, out + place * size, size);
                        for (num i = p + 1; i < seen; i++) score[i] = -1e30f;
                        for (num i = 0; i < seen; i += W) {
                            vec weight = exp_of(*(vec *)(score + i) - log);
                            *(vec *)(score + i) = weight;
                            *(vec *)(g + i) = weight * (*(vec *)(g + i) - share);
                        }
                        for (num i = p + 1; i < seen; i++) score[i] = g[i] = 0;
                    }
                    product(to, size, many, s.scores_MS, 1, seen, s.outs_ME, size, s.grad_values_SE, size, 1);
                    product(to, size, many, s.grads_MS, 1, seen, s.queries_ME, size, s.grad_keys_SE, size, 1);
                    product(many, size, to, s.grads_MS, seen, 1, s.keys_SE, size, s.grad_queries_ME, size, 0);
                    pick(&t, grad_turned, both, b, k, from, to, s.grad_queries_ME, 1);
                }
                for (num p = 0; p < length; p++) {
                    num n = index[b * width + p];
                    float *key = grad_turned + (n * both + asked + k) * size, *value = grad_qkv + (n * all + both + k) * size;
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
            turn_back(qkv + (n * all + h) * size, h < asked ? query_gain : key_gain, cosine + n * size, sine + n * size,
                      grad_turned + (n * both + h) * size, eps, grad_qkv + (n * all + h) * size,
                      h < asked ? grad_query_gain : grad_key_gain, size);
    free(turned), free(grad_turned);
}
