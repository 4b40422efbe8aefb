/* Vectors of 16 floats, small matrix products and what queries and keys go through: shared by the kernels.

   Compiled for the machine at hand on first use and called through ctypes (__init__.py); plain C with GCC's vector types, no
   header of torch. All tensors are float32, contiguous, and the caller's, whose allocator says when memory runs out; counts are
   int64_t. The compiler splits vectors where registers are shorter. Sums over a row have one order whatever the number of
   threads, so a result does not depend on it.

   Shapes: N tokens, D hidden, F inner width, B and U rows, S positions, K key heads, J queries of a key head, H = K * J,
   E head size (a multiple of 16), O = (H + 2 K) * E. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define W 16   /* floats in a vector */
#define TILE 6 /* rows of a product that are held in registers at once, two vectors wide */

typedef float vec __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int64_t num;

static inline num up(num n) { return (n + W - 1) / W * W; }

/* Arrays that begin on a cache line. */
static inline float *allocate(num count) { return aligned_alloc(64, (size_t)up(count) * sizeof(float)); }

static inline vec splat(float x) { return x - (vec){0}; }

/* `set` where the mask is set, `unset` elsewhere. */
static inline vec blend(ivec mask, vec set, vec unset) { return (vec)(((ivec)set & mask) | ((ivec)unset & ~mask)); }

/* e^x = 2^n e^r with |r| <= ln 2 / 2, e^r by the polynomial of Cephes' expf; relative error below 2e-7 for x in [-87, 88]. */
static inline vec exp_vec(vec x) {
    x = blend(x < -87.0f, splat(-87.0f), x);
    x = blend(x > 88.0f, splat(88.0f), x);
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
typedef union {
    vec all;
    half halves[2];
} split;
typedef union {
    half all;
    quarter quarters[2];
} split_half;

static inline float sum_vec(vec x) {
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
    return sum_vec(sum);
}

/* Replaces scores (a multiple of W of them) by e^(score - top), and gives their sum. A score of -1e30 comes out as good as 0.
 */
static inline float exponentials(float *scores, num count, float *top_score) {
    vec tops = splat(-1e30f), sums = {0};
    for (num s = 0; s < count; s += W) tops = blend(*(vec *)(scores + s) > tops, *(vec *)(scores + s), tops);
    float top = most_of(tops);
    for (num s = 0; s < count; s += W) sums += *(vec *)(scores + s) = exp_vec(*(vec *)(scores + s) - top);
    *top_score = top;
    return sum_vec(sums);
}

/* rows x (W * wide) of C = A B, or C += A B. `apart`: from one vector of a row of B to the next, W in a plain matrix. */
static inline __attribute__((always_inline)) void tile(const int rows, const int wide, num inner, const float *a, num row,
                                                       num col, const float *b, num ldb, num apart, float *c, num ldc,
                                                       int add) {
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
static inline void product(num m, num n, num inner, const float *a, num row, num col, const float *b, num ldb, float *c,
                           num ldc, int add) {
    num j = 0;
    for (; j + 2 * W <= n; j += 2 * W) stripe(2, m, inner, a, row, col, b + j, ldb, W, c + j, ldc, add);
    if (j < n) stripe(1, m, inner, a, row, col, b + j, ldb, W, c + j, ldc, add);
}

/* ---- queries and keys: norm, gain, rotary embedding ---- */

static inline float inverse_rms(const float *x, num size, float eps) { return 1 / sqrtf(dot(x, x, size) / size + eps); }

/* to = rotation of (x * scale * gain) by the angles whose cosines and sines are given (Su et al. 2021, arXiv:2104.09864). */
static inline void apply_rope(const float *restrict x, float scale, const float *restrict gain, const float *restrict cosine,
                              const float *restrict sine, float *restrict to, num size) {
    num half = size / 2;
    for (num e = 0; e < half; e++) {
        float low = x[e] * scale * gain[e], high = x[e + half] * scale * gain[e + half];
        to[e] = low * cosine[e] - high * sine[e];
        to[e + half] = high * cosine[e + half] + low * sine[e + half];
    }
}
