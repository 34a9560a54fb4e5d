// A part of a vector: the 4 rows that one NEON register holds (see kernels/multiply_parts.h).
//
// With the dot product extension a register is 4 rows by 4 columns, and meets 4 codes of one token. With i8mm it is 2 rows by
// 8 columns and meets 8 codes of each of two tokens, which makes 2 x 2 sums; for this, `pair_lines` rearranges a panel once. A
// single token goes the first way.
#pragma once

namespace furet::FURET_ISA {

struct Part {
    static constexpr int kCount = 4, kRows = 4;
#if defined(__ARM_FEATURE_MATMUL_INT8)
    static constexpr bool kPairs = true;
#else
    static constexpr bool kPairs = false;
#endif
    using Float = float32x4_t;
    using Int = int32x4_t;
    using Factors = float32x4_t;        // four floats of a token's block

    FURET_INLINE_MEMBER static Float& of(F32& vector, int part) { return vector.v[part]; }
    FURET_INLINE_MEMBER static Float load(const float* p) { return vld1q_f32(p); }
    FURET_INLINE_MEMBER static Factors factors(const float* p) { return vld1q_f32(p); }
    FURET_INLINE_MEMBER static Float to_float(Int a) { return vcvtq_f32_s32(a); }
    FURET_INLINE_MEMBER static Float splat(float x) { return vdupq_n_f32(x); }
    FURET_INLINE_MEMBER static Float fma(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }
    template <int lane> FURET_INLINE_MEMBER static Float mul_by(Float a, Factors f) { return vmulq_laneq_f32(a, f, lane); }
    template <int lane> FURET_INLINE_MEMBER static Float fma_by(Float a, Factors f, Float c) { return vfmaq_laneq_f32(c, a, f, lane); }

    // The 32 codes of each token, or of each pair of tokens 8 columns of one and of the other by turns. An odd last token is
    // paired with itself.
    template <int NT> struct Codes {
        static constexpr bool kPaired = kPairs && NT > 1;
        int8x16_t v[kPaired ? (NT + 1) / 2 : NT][kPaired ? 4 : 2];

        FURET_INLINE_MEMBER explicit Codes(const Q8Block* const (&x)[NT]) {
            for (int half = 0; half < 2; ++half) {
                int8x16_t code[NT];
                for (int t = 0; t < NT; ++t) code[t] = vld1q_s8(x[t]->code + 16 * half);
                if constexpr (kPaired) {
                    for (int t = 0; t < NT; t += 2) {
                        const int64x2_t a = vreinterpretq_s64_s8(code[t]), b = vreinterpretq_s64_s8(code[t + 1 < NT ? t + 1 : t]);
                        v[t / 2][2 * half] = vreinterpretq_s8_s64(vzip1q_s64(a, b));
                        v[t / 2][2 * half + 1] = vreinterpretq_s8_s64(vzip2q_s64(a, b));
                    }
                } else {
                    for (int t = 0; t < NT; ++t) v[t][half] = code[t];
                }
            }
        }
    };

    // The dot products of `lines` lines of 4 columns from `first` on with each token, for the rows of one part.
    template <int first, int lines, int NT>
    FURET_INLINE_MEMBER static void dot(const uint8_t (&codes)[8][64], int part, const Codes<NT>& x, Int (&sum)[NT]) {
        if constexpr (Codes<NT>::kPaired) return dot_pairs<first, lines>(codes, part, x, sum);
        for (int t = 0; t < NT; ++t) sum[t] = vdupq_n_s32(0);
#pragma GCC unroll 2
        for (int line = first; line < first + lines; line += 4) {
            const int8_t* at = (const int8_t*)codes[line] + 16 * part;
            const int8x16_t w[4] = {vld1q_s8(at), vld1q_s8(at + 64), vld1q_s8(at + 128), vld1q_s8(at + 192)};
            for (int t = 0; t < NT; ++t) {
                sum[t] = vdotq_laneq_s32(sum[t], w[0], x.v[t][line / 4], 0);
                sum[t] = vdotq_laneq_s32(sum[t], w[1], x.v[t][line / 4], 1);
                sum[t] = vdotq_laneq_s32(sum[t], w[2], x.v[t][line / 4], 2);
                sum[t] = vdotq_laneq_s32(sum[t], w[3], x.v[t][line / 4], 3);
            }
        }
    }

#if defined(__ARM_FEATURE_MATMUL_INT8)
    // Two lines become eight registers of 2 rows by 8 columns: their 4 columns of a row side by side.
    static void pair_lines(uint8_t (&codes)[8][64]) {
        for (int line = 0; line < 8; line += 2) {
            int32x4x2_t rows[4];
            for (int part = 0; part < 4; ++part)
                rows[part] = {vld1q_s32((const int32_t*)codes[line] + 4 * part), vld1q_s32((const int32_t*)codes[line + 1] + 4 * part)};
            for (int part = 0; part < 4; ++part) vst2q_s32((int32_t*)codes[line] + 8 * part, rows[part]);
        }
    }

    template <int first, int lines, int NT>
    FURET_INLINE_MEMBER static void dot_pairs(const uint8_t (&codes)[8][64], int part, const Codes<NT>& x, Int (&sum)[NT]) {
        constexpr int pairs = (NT + 1) / 2;
        Int upper[pairs], lower[pairs];             // of the part's first two rows and of its last two
        for (int p = 0; p < pairs; ++p) upper[p] = lower[p] = vdupq_n_s32(0);
#pragma GCC unroll 4
        for (int line = first; line < first + lines; line += 2) {
            const int8_t* at = (const int8_t*)codes[line] + 32 * part;
            const int8x16_t w[2] = {vld1q_s8(at), vld1q_s8(at + 16)};
            for (int p = 0; p < pairs; ++p) {
                upper[p] = vmmlaq_s32(upper[p], w[0], x.v[p][line / 2]);
                lower[p] = vmmlaq_s32(lower[p], w[1], x.v[p][line / 2]);
            }
        }
        for (int p = 0; p < pairs; ++p) {
            sum[2 * p] = vuzp1q_s32(upper[p], lower[p]);
            if (2 * p + 1 < NT) sum[2 * p + 1] = vuzp2q_s32(upper[p], lower[p]);
        }
    }
#endif
};

}  // namespace furet::FURET_ISA
