// The vector vocabulary (see avx512.h) in plain C++: arrays of 16, which the compiler vectorises as far as it can.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "../half.h"

#include "inline.h"

namespace furet::FURET_ISA {

constexpr const char* kName = "portable";
constexpr bool kInParts = false;    // the matrix kernel takes vectors whole, not a register at a time (see neon_part.h)
struct Part;
constexpr int kRowVectors = 1;
constexpr int kFewTokens = 1;
constexpr int kTokens = 2;
constexpr int kSignedBias = 0;
constexpr bool kFloatSums = false;  // sums of products are kept as the bits of floats (see multiply.h)

struct F32 { float v[16]; };
struct I32 { int32_t v[16]; };
struct Bytes { uint8_t v[64]; };

#define FURET_LANES(type, expression) \
    type out;                         \
    for (int i = 0; i < 16; ++i) out.v[i] = (expression); \
    return out;

FURET_INLINE F32 zero() { FURET_LANES(F32, 0.0f) }
FURET_INLINE F32 splat(float x) { FURET_LANES(F32, x) }
FURET_INLINE F32 load(const float* p) { FURET_LANES(F32, p[i]) }
FURET_INLINE void store(float* p, F32 a) { std::memcpy(p, a.v, sizeof a.v); }
// Fused where every processor of the architecture can (AArch64), and then equal to the other instruction sets bit for bit.
// Elsewhere two roundings: without the instruction it would be a slow library call.
#if defined(__FP_FAST_FMAF) || defined(__aarch64__)
FURET_INLINE F32 fma(F32 a, F32 b, F32 c) { FURET_LANES(F32, __builtin_fmaf(a.v[i], b.v[i], c.v[i])) }
#else
FURET_INLINE F32 fma(F32 a, F32 b, F32 c) { FURET_LANES(F32, a.v[i] * b.v[i] + c.v[i]) }
#endif
FURET_INLINE F32 add(F32 a, F32 b) { FURET_LANES(F32, a.v[i] + b.v[i]) }
FURET_INLINE F32 sub(F32 a, F32 b) { FURET_LANES(F32, a.v[i] - b.v[i]) }
FURET_INLINE F32 mul(F32 a, F32 b) { FURET_LANES(F32, a.v[i] * b.v[i]) }
FURET_INLINE F32 div(F32 a, F32 b) { FURET_LANES(F32, a.v[i] / b.v[i]) }
FURET_INLINE F32 max(F32 a, F32 b) { FURET_LANES(F32, a.v[i] > b.v[i] ? a.v[i] : b.v[i]) }
FURET_INLINE F32 min(F32 a, F32 b) { FURET_LANES(F32, a.v[i] < b.v[i] ? a.v[i] : b.v[i]) }
FURET_INLINE F32 where_less(F32 a, F32 b, F32 x, F32 y) { FURET_LANES(F32, a.v[i] < b.v[i] ? x.v[i] : y.v[i]) }
FURET_INLINE F32 load_half(const uint16_t* p) { FURET_LANES(F32, half_to_float(p[i])) }
FURET_INLINE F32 load_bfloat(const uint16_t* p) { FURET_LANES(F32, bfloat_to_float(p[i])) }
FURET_INLINE void store_half(uint16_t* p, F32 a) {
    for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.v[i]);
}

FURET_INLINE I32 splat_int(int32_t x) { FURET_LANES(I32, x) }
FURET_INLINE I32 load_int(const int32_t* p) { FURET_LANES(I32, p[i]) }
FURET_INLINE I32 load_int8(const int8_t* p) { FURET_LANES(I32, p[i]) }
FURET_INLINE I32 load_uint8(const uint8_t* p) { FURET_LANES(I32, p[i]) }
FURET_INLINE void store_int(int32_t* p, I32 a) { std::memcpy(p, a.v, sizeof a.v); }
FURET_INLINE I32 add(I32 a, I32 b) { FURET_LANES(I32, a.v[i] + b.v[i]) }
FURET_INLINE I32 max(I32 a, I32 b) { FURET_LANES(I32, a.v[i] > b.v[i] ? a.v[i] : b.v[i]) }
FURET_INLINE I32 bit_and(I32 a, I32 b) { FURET_LANES(I32, a.v[i] & b.v[i]) }
FURET_INLINE I32 bit_or(I32 a, I32 b) { FURET_LANES(I32, a.v[i] | b.v[i]) }
template <int n> FURET_INLINE I32 shift_left(I32 a) { FURET_LANES(I32, (int32_t)((uint32_t)a.v[i] << n)) }
template <int n> FURET_INLINE I32 shift_right(I32 a) { FURET_LANES(I32, (int32_t)((uint32_t)a.v[i] >> n)) }
template <int n> FURET_INLINE I32 shift_right_signed(I32 a) { FURET_LANES(I32, a.v[i] >> n) }
FURET_INLINE F32 to_float(I32 a) { FURET_LANES(F32, (float)a.v[i]) }
// Adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low bits; exact for |x| < 2^22. Beyond, and for NaN,
// the result is some integer: callers clamp or have a non-finite scale.
FURET_INLINE int32_t nearest(float x) {
    const float bounded = x > 4e6f ? 4e6f : (x < -4e6f ? -4e6f : x);
    return (int32_t)(float_to_bits(bounded + 12582912.0f) & 0x7fffff) - 0x400000;
}
FURET_INLINE I32 to_int_nearest(F32 a) { FURET_LANES(I32, nearest(a.v[i])) }
FURET_INLINE F32 as_float(I32 a) { FURET_LANES(F32, bits_to_float((uint32_t)a.v[i])) }
FURET_INLINE I32 as_int(F32 a) { FURET_LANES(I32, (int32_t)float_to_bits(a.v[i])) }
FURET_INLINE F32 half_lanes_to_float(I32 a) { FURET_LANES(F32, half_to_float((uint16_t)a.v[i])) }
FURET_INLINE void store_int8(int8_t* p, I32 a) {
    for (int i = 0; i < 16; ++i) p[i] = (int8_t)(a.v[i] > 127 ? 127 : (a.v[i] < -128 ? -128 : a.v[i]));
}

FURET_INLINE Bytes as_bytes(I32 a) { Bytes out; std::memcpy(out.v, a.v, 64); return out; }
FURET_INLINE I32 as_int(Bytes a) { I32 out; std::memcpy(out.v, a.v, 64); return out; }
FURET_INLINE Bytes load_bytes(const uint8_t* p) { Bytes out; std::memcpy(out.v, p, 64); return out; }
FURET_INLINE void store_bytes(uint8_t* p, Bytes a) { std::memcpy(p, a.v, 64); }
#define FURET_BYTES(expression) \
    Bytes out;                  \
    for (int i = 0; i < 64; ++i) out.v[i] = (uint8_t)(expression); \
    return out;
FURET_INLINE Bytes and_byte(Bytes a, uint8_t mask) { FURET_BYTES(a.v[i] & mask) }
FURET_INLINE Bytes bit_or(Bytes a, Bytes b) { FURET_BYTES(a.v[i] | b.v[i]) }
FURET_INLINE Bytes add_bytes(const Bytes& a, const Bytes& b) { FURET_BYTES(a.v[i] + b.v[i]) }
FURET_INLINE I32 sum_bytes(const Bytes& a) { FURET_LANES(I32, a.v[4 * i] + a.v[4 * i + 1] + a.v[4 * i + 2] + a.v[4 * i + 3]) }
FURET_INLINE I32 add_codes(I32 sum, const Bytes& a) {
    for (int i = 0; i < 64; ++i) sum.v[i / 4] += (int8_t)a.v[i];
    return sum;
}
FURET_INLINE Bytes look_up(const uint8_t (&table)[16], const Bytes& index) { FURET_BYTES(table[index.v[i]]) }
FURET_INLINE Bytes at_least(const Bytes& a, uint8_t least) { FURET_BYTES(a.v[i] >= least) }
FURET_INLINE Bytes add_byte(Bytes a, int b) { FURET_BYTES(a.v[i] + b) }
template <int n> FURET_INLINE Bytes shift_and(Bytes a, uint8_t mask) {
    if constexpr (n >= 0) { FURET_BYTES((a.v[i] >> n) & mask) }
    else { FURET_BYTES((a.v[i] << -n) & mask) }
}
template <int g> FURET_INLINE Bytes fifth_bit(I32 bits) { FURET_BYTES((((uint32_t)bits.v[i / 4] >> (4 * g + i % 4)) & 1) << 4) }

FURET_INLINE I32 dot(I32 sum, const Bytes& w, const int8_t* x) {
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 4; ++j) sum.v[i] += w.v[4 * i + j] * x[j];
    return sum;
}
FURET_INLINE I32 dot_alone(I32 sum, Bytes w, const int8_t* x) { return dot(sum, w, x); }
FURET_INLINE I32 dot_signed(I32 sum, const Bytes& w, const int8_t* x) {
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 4; ++j) sum.v[i] += (int8_t)w.v[4 * i + j] * x[j];
    return sum;
}
FURET_INLINE void load_transposed(const uint8_t* const* row, int64_t offset, Bytes out[4]) {
    for (int g = 0; g < 4; ++g)
        for (int i = 0; i < 16; ++i) std::memcpy(out[g].v + 4 * i, row[i] + offset + 4 * g, 4);
}

// The same tree as the vector versions: 16 -> 8 -> 4 -> 2 -> 1.
FURET_INLINE float sum_lanes(F32 a) {
    for (int n = 8; n; n /= 2)
        for (int i = 0; i < n; ++i) a.v[i] += a.v[i + n];
    return a.v[0];
}
FURET_INLINE float max_lanes(F32 a) {
    float top = a.v[0];
    for (int i = 1; i < 16; ++i) top = a.v[i] > top ? a.v[i] : top;
    return top;
}
FURET_INLINE int32_t sum_lanes(I32 a) {
    int32_t sum = 0;
    for (int i = 0; i < 16; ++i) sum += a.v[i];
    return sum;
}
FURET_INLINE int32_t max_lanes(I32 a) {
    int32_t top = a.v[0];
    for (int i = 1; i < 16; ++i) top = a.v[i] > top ? a.v[i] : top;
    return top;
}
FURET_INLINE void prefetch(const void*) {}
FURET_INLINE void prefetch_near(const void*) {}

#undef FURET_LANES
#undef FURET_BYTES

}  // namespace furet::FURET_ISA

#include "each.h"
