// The vector vocabulary (see avx512.h) on AArch64 with the dot product extension: four 128-bit registers each.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "../activations.h"
#include "inline.h"

namespace furet::FURET_ISA {

#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr const char* kName = "neon-i8mm";
#else
constexpr const char* kName = "neon-dotprod";
#endif
constexpr bool kInParts = true;     // the matrix kernel takes vectors a register at a time (see neon_part.h)
constexpr int kRowVectors = 1;
constexpr int kFewTokens = 1;
constexpr int kTokens = 4;          // 4 tokens x (4 outputs + 1 sum + 2 of codes) + weights fit in 32 registers
constexpr int kSignedBias = 0;
constexpr bool kFloatSums = false;  // sums of products are kept as the bits of floats (see multiply.h)

struct F32 { float32x4_t v[4]; };
struct I32 { int32x4_t v[4]; };
struct Bytes { int8x16_t v[4]; };

#define FURET_FOUR(type, expression) \
    type out;                        \
    for (int i = 0; i < 4; ++i) out.v[i] = (expression); \
    return out;

FURET_INLINE F32 splat(float x) { FURET_FOUR(F32, vdupq_n_f32(x)) }
FURET_INLINE F32 zero() { return splat(0.0f); }
FURET_INLINE F32 load(const float* p) { FURET_FOUR(F32, vld1q_f32(p + 4 * i)) }
FURET_INLINE void store(float* p, F32 a) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
FURET_INLINE F32 fma(F32 a, F32 b, F32 c) { FURET_FOUR(F32, vfmaq_f32(c.v[i], a.v[i], b.v[i])) }
FURET_INLINE F32 add(F32 a, F32 b) { FURET_FOUR(F32, vaddq_f32(a.v[i], b.v[i])) }
FURET_INLINE F32 sub(F32 a, F32 b) { FURET_FOUR(F32, vsubq_f32(a.v[i], b.v[i])) }
FURET_INLINE F32 mul(F32 a, F32 b) { FURET_FOUR(F32, vmulq_f32(a.v[i], b.v[i])) }
FURET_INLINE F32 div(F32 a, F32 b) { FURET_FOUR(F32, vdivq_f32(a.v[i], b.v[i])) }
FURET_INLINE F32 max(F32 a, F32 b) { FURET_FOUR(F32, vmaxq_f32(a.v[i], b.v[i])) }
FURET_INLINE F32 min(F32 a, F32 b) { FURET_FOUR(F32, vminq_f32(a.v[i], b.v[i])) }
FURET_INLINE F32 where_less(F32 a, F32 b, F32 x, F32 y) {
    FURET_FOUR(F32, vbslq_f32(vcltq_f32(a.v[i], b.v[i]), x.v[i], y.v[i]))
}
FURET_INLINE F32 load_half(const uint16_t* p) {
    FURET_FOUR(F32, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))))
}
FURET_INLINE F32 load_bfloat(const uint16_t* p) { FURET_FOUR(F32, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16))) }
FURET_INLINE void store_half(uint16_t* p, F32 a) {
    for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
}

FURET_INLINE I32 splat_int(int32_t x) { FURET_FOUR(I32, vdupq_n_s32(x)) }
FURET_INLINE I32 load_int(const int32_t* p) { FURET_FOUR(I32, vld1q_s32(p + 4 * i)) }
FURET_INLINE I32 load_int8(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return {{vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)), vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))}};
}
FURET_INLINE I32 load_uint8(const uint8_t* p) {
    const uint8x16_t bytes = vld1q_u8(p);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    const uint32x4_t four[4] = {vmovl_u16(vget_low_u16(low)), vmovl_u16(vget_high_u16(low)), vmovl_u16(vget_low_u16(high)), vmovl_u16(vget_high_u16(high))};
    FURET_FOUR(I32, vreinterpretq_s32_u32(four[i]))
}
FURET_INLINE void store_int(int32_t* p, I32 a) {
    for (int i = 0; i < 4; ++i) vst1q_s32(p + 4 * i, a.v[i]);
}
FURET_INLINE I32 add(I32 a, I32 b) { FURET_FOUR(I32, vaddq_s32(a.v[i], b.v[i])) }
FURET_INLINE I32 max(I32 a, I32 b) { FURET_FOUR(I32, vmaxq_s32(a.v[i], b.v[i])) }
FURET_INLINE I32 bit_and(I32 a, I32 b) { FURET_FOUR(I32, vandq_s32(a.v[i], b.v[i])) }
FURET_INLINE I32 bit_or(I32 a, I32 b) { FURET_FOUR(I32, vorrq_s32(a.v[i], b.v[i])) }
template <int n> FURET_INLINE I32 shift_left(I32 a) { FURET_FOUR(I32, vshlq_n_s32(a.v[i], n)) }
template <int n> FURET_INLINE I32 shift_right(I32 a) {
    if constexpr (n == 0) return a;
    else { FURET_FOUR(I32, vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.v[i]), n))) }
}
template <int n> FURET_INLINE I32 shift_right_signed(I32 a) { FURET_FOUR(I32, vshrq_n_s32(a.v[i], n)) }
FURET_INLINE F32 to_float(I32 a) { FURET_FOUR(F32, vcvtq_f32_s32(a.v[i])) }
FURET_INLINE I32 to_int_nearest(F32 a) { FURET_FOUR(I32, vcvtnq_s32_f32(a.v[i])) }
FURET_INLINE F32 as_float(I32 a) { FURET_FOUR(F32, vreinterpretq_f32_s32(a.v[i])) }
FURET_INLINE I32 as_int(F32 a) { FURET_FOUR(I32, vreinterpretq_s32_f32(a.v[i])) }
FURET_INLINE F32 half_lanes_to_float(I32 a) {
    FURET_FOUR(F32, vcvt_f32_f16(vreinterpret_f16_s16(vmovn_s32(a.v[i]))))
}
FURET_INLINE void store_int8(int8_t* p, I32 a) {
    const int16x8_t low = vcombine_s16(vqmovn_s32(a.v[0]), vqmovn_s32(a.v[1]));
    const int16x8_t high = vcombine_s16(vqmovn_s32(a.v[2]), vqmovn_s32(a.v[3]));
    vst1q_s8(p, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
}

FURET_INLINE Bytes as_bytes(I32 a) { FURET_FOUR(Bytes, vreinterpretq_s8_s32(a.v[i])) }
FURET_INLINE I32 as_int(Bytes a) { FURET_FOUR(I32, vreinterpretq_s32_s8(a.v[i])) }
FURET_INLINE Bytes load_bytes(const uint8_t* p) { FURET_FOUR(Bytes, vld1q_s8((const int8_t*)p + 16 * i)) }
FURET_INLINE void store_bytes(uint8_t* p, Bytes a) {
    for (int i = 0; i < 4; ++i) vst1q_s8((int8_t*)p + 16 * i, a.v[i]);
}
FURET_INLINE Bytes and_byte(Bytes a, uint8_t mask) { FURET_FOUR(Bytes, vandq_s8(a.v[i], vdupq_n_s8((int8_t)mask))) }
FURET_INLINE Bytes bit_or(Bytes a, Bytes b) { FURET_FOUR(Bytes, vorrq_s8(a.v[i], b.v[i])) }
FURET_INLINE Bytes add_bytes(Bytes a, Bytes b) { FURET_FOUR(Bytes, vaddq_s8(a.v[i], b.v[i])) }
FURET_INLINE I32 sum_bytes(Bytes a) {
    FURET_FOUR(I32, vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_s8(a.v[i])))))
}
FURET_INLINE I32 add_codes(I32 sum, Bytes codes) { FURET_FOUR(I32, vdotq_s32(sum.v[i], codes.v[i], vdupq_n_s8(1))) }
FURET_INLINE Bytes look_up(const uint8_t (&table)[16], Bytes index) {
    const int8x16_t entries = vld1q_s8((const int8_t*)table);
    FURET_FOUR(Bytes, vqtbl1q_s8(entries, vreinterpretq_u8_s8(index.v[i])))
}
FURET_INLINE Bytes at_least(Bytes a, uint8_t least) {
    FURET_FOUR(Bytes, vreinterpretq_s8_u8(vandq_u8(vcgeq_u8(vreinterpretq_u8_s8(a.v[i]), vdupq_n_u8(least)), vdupq_n_u8(1))))
}
FURET_INLINE Bytes add_byte(Bytes a, int b) { FURET_FOUR(Bytes, vaddq_s8(a.v[i], vdupq_n_s8((int8_t)b))) }
// Bytes are shifted one by one here, so a mask that keeps all that can be left is none.
template <int n> FURET_INLINE Bytes shift_and(Bytes a, uint8_t mask) {
    Bytes shifted = a;
    for (int i = 0; i < 4; ++i) {
        const uint8x16_t v = vreinterpretq_u8_s8(a.v[i]);
        if constexpr (n > 0) shifted.v[i] = vreinterpretq_s8_u8(vshrq_n_u8(v, n));
        if constexpr (n < 0) shifted.v[i] = vreinterpretq_s8_u8(vshlq_n_u8(v, -n));
    }
    const int kept = n >= 0 ? 0xff >> n : (0xff << -n) & 0xff;
    return (mask & kept) == kept ? shifted : and_byte(shifted, mask);
}
template <int g> FURET_INLINE Bytes fifth_bit(I32 bits) {
    const uint8_t base = g / 2;
    const uint8_t spread[16] = {base, base, base, base, (uint8_t)(base + 4), (uint8_t)(base + 4), (uint8_t)(base + 4), (uint8_t)(base + 4),
                                (uint8_t)(base + 8), (uint8_t)(base + 8), (uint8_t)(base + 8), (uint8_t)(base + 8),
                                (uint8_t)(base + 12), (uint8_t)(base + 12), (uint8_t)(base + 12), (uint8_t)(base + 12)};
    const uint8x16_t index = vld1q_u8(spread);
    const uint8x16_t test = vreinterpretq_u8_u32(vdupq_n_u32(0x08040201u << (4 * (g % 2))));
    FURET_FOUR(Bytes, vreinterpretq_s8_u8(vandq_u8(vtstq_u8(vqtbl1q_u8(vreinterpretq_u8_s32(bits.v[i]), index), test), vdupq_n_u8(16))))
}

// Codes are below 128 in either form, so the signed instruction serves both.
FURET_INLINE I32 dot_signed(I32 sum, Bytes w, const int8_t* x) {
    int32_t four;
    std::memcpy(&four, x, 4);
    const int8x16_t xs = vreinterpretq_s8_s32(vdupq_n_s32(four));
    FURET_FOUR(I32, vdotq_s32(sum.v[i], w.v[i], xs))
}
FURET_INLINE I32 dot(I32 sum, Bytes w, const int8_t* x) { return dot_signed(sum, w, x); }
FURET_INLINE I32 dot_alone(I32 sum, Bytes w, const int8_t* x) { return dot(sum, w, x); }

FURET_INLINE void load_transposed(const uint8_t* const* row, int64_t offset, Bytes out[4]) {
    for (int i = 0; i < 4; ++i) {
        int32x4_t z[4];
        for (int j = 0; j < 4; ++j) z[j] = vreinterpretq_s32_u8(vld1q_u8(row[4 * i + j] + offset));
        const int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(z[0], z[1])), b = vreinterpretq_s64_s32(vtrn1q_s32(z[2], z[3]));
        const int64x2_t c = vreinterpretq_s64_s32(vtrn2q_s32(z[0], z[1])), d = vreinterpretq_s64_s32(vtrn2q_s32(z[2], z[3]));
        out[0].v[i] = vreinterpretq_s8_s64(vtrn1q_s64(a, b));
        out[1].v[i] = vreinterpretq_s8_s64(vtrn1q_s64(c, d));
        out[2].v[i] = vreinterpretq_s8_s64(vtrn2q_s64(a, b));
        out[3].v[i] = vreinterpretq_s8_s64(vtrn2q_s64(c, d));
    }
}

FURET_INLINE float sum_lanes(F32 a) {
    const float32x4_t s = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
    const float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}
FURET_INLINE float max_lanes(F32 a) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[1]), vmaxq_f32(a.v[2], a.v[3])));
}
FURET_INLINE int32_t sum_lanes(I32 a) {
    return vaddvq_s32(vaddq_s32(vaddq_s32(a.v[0], a.v[1]), vaddq_s32(a.v[2], a.v[3])));
}
FURET_INLINE int32_t max_lanes(I32 a) {
    return vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.v[0], a.v[1]), vmaxq_s32(a.v[2], a.v[3])));
}
// To the second-level cache, and to the first.
FURET_INLINE void prefetch(const void* p) { __builtin_prefetch(p, 0, 2); }
FURET_INLINE void prefetch_near(const void* p) { __builtin_prefetch(p, 0, 3); }

#undef FURET_FOUR

}  // namespace furet::FURET_ISA

#include "neon_part.h"

#include "each.h"
