/* Attention of one new token a row. Shapes: vectors.h. */

#include "vectors.h"

/* The new tokens. qkv_UO: for each key head of a row its queries, its key, its value. cosine, sine: of row u from u *
   rope_stride on. gain_KJ1E: of the queries and the key of each key head. eps < 0: no norm. */
typedef struct {
    const float *qkv, *cosine, *sine, *gain;
    num rope_stride, heads, queries, size;
    float eps;
} step;

/* Rotated queries of one key head of one row, and its new key and value written to where they stay. */
static void ask(const step *t, num u, num k, float *asked_JE, float *key, float *value) {
    num n = u * t->heads + k, size = t->size;
    const float *from = t->qkv + n * (t->queries + 2) * size, *gain = t->gain + k * (t->queries + 1) * size;
    const float *cosine = t->cosine + u * t->rope_stride, *sine = t->sine + u * t->rope_stride;
    float rotated[size];
    for (num j = 0; j <= t->queries; j++) {
        const float *x = from + j * size;
        apply_rope(x, t->eps < 0 ? 1 : inverse_rms(x, size, t->eps), gain + j * size, cosine, sine,
                   j < t->queries ? asked_JE + j * size : rotated, size);
    }
    for (num e = 0; e < size; e++) key[e * W] = rotated[e];
    memcpy(value, from + (t->queries + 1) * size, (size_t)size * sizeof(float));
}

/* Scores of a head's queries over `blocks` blocks of keys, `apart` floats from one to the next. */
static inline void score(const float *asked_JE, num queries, num size, const float *keys, num blocks, num apart, float *scores,
                         num lds) {
    num i = 0;
    for (; i + 2 <= blocks; i += 2)
        stripe(2, queries, size, asked_JE, size, 1, keys + i * apart, W, apart, scores + i * W, lds, 0);
    if (i < blocks) stripe(1, queries, size, asked_JE, size, 1, keys + i * apart, W, W, scores + i * W, lds, 0);
}

#define TOGETHER 16 /* rows whose cache is read in one pass */

/* Attention of one new token a row, over its prompt and over what it has drawn since (`used` positions and this one). out_UHE.

   Blocks of keys are E x W, of values W x E. A prompt's lie one after the other for each key head; its positions starts_P ..
   prompt - 1 count. owners_U: each row's prompt. Blocks that rows have drawn lie by place, then row (`capacity` of them), then
   key head, so that a pass over rows reads memory in its order: a cache is larger than what is near the core. begins_U: the
   first place at which a row has drawn; what lies before it is not read. */
void decode_attention(const float *qkv, const float *cosine, const float *sine, num rope_stride, const float *gain,
                      const float *prompt_keys, const float *prompt_values, const num *starts, const num *owners, num prompt,
                      float *keys, float *values, const num *begins, num capacity, num used, float *out, num rows,
                      num heads, num queries, num size, float eps, int threads) {
    num prompt_blocks = up(prompt) / W, blocks = used / W + 1, block = W * size, apart = capacity * heads * block;
    step t = {qkv, cosine, sine, gain, rope_stride, heads, queries, size, eps};
    num width = (prompt_blocks + blocks) * W, begin = prompt_blocks * W, per_head = queries * width, late = 0;
    for (num u = 0; u < rows; u++) late |= begins[u];
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        float *asked = allocate(TOGETHER * heads * queries * size), *scores = allocate(TOGETHER * heads * per_head);
#pragma omp for
        for (num first = 0; first < rows; first += TOGETHER) {
            num last = first + TOGETHER < rows ? first + TOGETHER : rows, from = first * heads, to = last * heads;
            for (num n = from; n < to; n++) {
                num at = n * block + used / W * apart, owner = owners[n / heads] * heads + n % heads;
                float *mine = asked + (n - from) * queries * size;
                ask(&t, n / heads, n % heads, mine, keys + at + used % W, values + at + used % W * size);
                score(mine, queries, size, prompt_keys + owner * prompt_blocks * block, prompt_blocks, block,
                      scores + (n - from) * per_head, width);
            }
            for (num i = 0; i < blocks; i += 2)
                for (num n = from; n < to; n++)
                    if (!late || (i + 2) * W > begins[n / heads])
                        score(asked + (n - from) * queries * size, queries, size, keys + n * block + i * apart,
                              blocks - i < 2 ? blocks - i : 2, apart, scores + (n - from) * per_head + begin + i * W,
                              width);
            for (num n = from; n < to; n++) {
                num start = starts[owners[n / heads]], owner = owners[n / heads] * heads + n % heads;
                for (num j = 0; j < queries; j++) {
                    float top, *row = scores + (n - from) * per_head + j * width;
                    for (num s = 0; s < start; s++) row[s] = -1e30f;
                    for (num s = prompt; s < begin + begins[n / heads]; s++) row[s] = -1e30f;
                    for (num s = begin + used + 1; s < width; s++) row[s] = -1e30f;
                    float scale = 1 / exponentials(row, width, &top);
                    for (num s = 0; s < width; s += W) *(vec *)(row + s) *= scale;
                }
                product(queries, size, prompt - start, scores + (n - from) * per_head + start, width, 1,
                        prompt_values + owner * prompt_blocks * block + start * size, size, out + n * queries * size, size, 0);
            }
            for (num i = 0; i < blocks; i++)
                for (num n = from; n < to; n++) {
                    num last = used + 1 - i * W < W ? used + 1 - i * W : W;
                    num ahead = late ? begins[n / heads] - i * W : 0;
                    num first = ahead > 0 ? ahead : 0;
                    if (first < last)
                        product(queries, size, last - first, scores + (n - from) * per_head + begin + i * W + first, width, 1,
                                values + n * block + i * apart + first * size, size, out + n * queries * size, size, 1);
                }
        }
        free(asked), free(scores);
    }
}
