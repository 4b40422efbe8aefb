/* Norms and gates, forwards and backwards. Shapes: vectors.h. */

#include "vectors.h"

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
            store(out + n * inner + f, gate * value / (1.0f + exp_vec(-gate)), inner - f);
        }
}

void gate_backward(const float *grad, const float *both, float *grad_both, num rows, num inner, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (num n = 0; n < rows; n++)
        for (num f = 0; f < inner; f += W) {
            num at = 2 * n * inner + f;
            vec g = load(grad + n * inner + f, inner - f), gate = load(both + at, inner - f);
            vec value = load(both + at + inner, inner - f), sigmoid = 1.0f / (1.0f + exp_vec(-gate));
            store(grad_both + at, g * value * sigmoid * (1.0f + gate * (1.0f - sigmoid)), inner - f);
            store(grad_both + at + inner, g * gate * sigmoid, inner - f);
        }
}
