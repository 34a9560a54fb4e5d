// The vector vocabulary on AVX-512 with VNNI. One F32, I32 or Bytes is one zmm register.
//
// Every instruction set defines the same names: F32 (16 floats), I32 (16 int32), Bytes (16 rows x 4 columns of int8), and the
// constants below. Kernels are written once over these names; see kernels/.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "inline.h"

namespace furet::FURET_ISA {

constexpr const char* kName = "avx512vnni";
constexpr bool kInParts = false;    // the matrix kernel takes vectors whole, not a register at a time (see neon_part.h)
struct Part;
constexpr int kRowVectors = 2;      // 16-row vectors that the matrix kernel works on together
constexpr int kFewTokens = 8;       // tokens that need no panel of weights; a power of two
constexpr int kTokens = 6;          // tokens that it works on together: 2 x 6 x 2 accumulators + 4 fit in 32 registers
// vpdpbusd multiplies unsigned by signed bytes, so signed codes are stored plus 128 and the sum starts at -128 * sum(x).
constexpr int kSignedBias = 128;
constexpr bool kFloatSums = true;  // sums of products are kept as the bits of floats (see multiply.h)

struct F32 { __m512 v; };
struct I32 { __m512i v; };
struct Bytes { __m512i v; };

FURET_INLINE F32 zero() { return {_mm512_setzero_ps()}; }
FURET_INLINE F32 splat(float x) { return {_mm512_set1_ps(x)}; }
FURET_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
FURET_INLINE void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
FURET_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
FURET_INLINE F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
FURET_INLINE F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
FURET_INLINE F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
FURET_INLINE F32 div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
FURET_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
FURET_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
// where a < b: x, elsewhere y; a NaN compares as not less.
FURET_INLINE F32 where_less(F32 a, F32 b, F32 x, F32 y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
FURET_INLINE F32 load_half(const uint16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p))}; }
FURET_INLINE F32 load_bfloat(const uint16_t* p) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16))};
}
FURET_INLINE void store_half(uint16_t* p, F32 a) {
    _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

FURET_INLINE I32 splat_int(int32_t x) { return {_mm512_set1_epi32(x)}; }
FURET_INLINE I32 load_int(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
// 16 bytes, each widened to a lane.
FURET_INLINE I32 load_int8(const int8_t* p) { return {_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p))}; }
FURET_INLINE I32 load_uint8(const uint8_t* p) { return {_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p))}; }
FURET_INLINE void store_int(int32_t* p, I32 a) { _mm512_storeu_si512(p, a.v); }
FURET_INLINE I32 add(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
FURET_INLINE I32 max(I32 a, I32 b) { return {_mm512_max_epi32(a.v, b.v)}; }
FURET_INLINE I32 bit_and(I32 a, I32 b) { return {_mm512_and_si512(a.v, b.v)}; }
FURET_INLINE I32 bit_or(I32 a, I32 b) { return {_mm512_or_si512(a.v, b.v)}; }
template <int n> FURET_INLINE I32 shift_left(I32 a) { return {_mm512_slli_epi32(a.v, n)}; }
template <int n> FURET_INLINE I32 shift_right(I32 a) { return {_mm512_srli_epi32(a.v, n)}; }
template <int n> FURET_INLINE I32 shift_right_signed(I32 a) { return {_mm512_srai_epi32(a.v, n)}; }
FURET_INLINE F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
FURET_INLINE I32 to_int_nearest(F32 a) { return {_mm512_cvtps_epi32(a.v)}; }
FURET_INLINE F32 as_float(I32 a) { return {_mm512_castsi512_ps(a.v)}; }
FURET_INLINE I32 as_int(F32 a) { return {_mm512_castps_si512(a.v)}; }
// float16 in the low half of every lane.
FURET_INLINE F32 half_lanes_to_float(I32 a) { return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(a.v))}; }
FURET_INLINE void store_int8(int8_t* p, I32 a) { _mm_storeu_si128((__m128i*)p, _mm512_cvtsepi32_epi8(a.v)); }

FURET_INLINE Bytes as_bytes(I32 a) { return {a.v}; }
FURET_INLINE I32 as_int(Bytes a) { return {a.v}; }
FURET_INLINE Bytes load_bytes(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
FURET_INLINE void store_bytes(uint8_t* p, Bytes a) { _mm512_storeu_si512(p, a.v); }
FURET_INLINE Bytes and_byte(Bytes a, uint8_t mask) { return {_mm512_and_si512(a.v, _mm512_set1_epi8((char)mask))}; }
FURET_INLINE Bytes bit_or(Bytes a, Bytes b) { return {_mm512_or_si512(a.v, b.v)}; }
FURET_INLINE Bytes add_bytes(Bytes a, Bytes b) { return {_mm512_add_epi8(a.v, b.v)}; }
// The sum of each lane's 4 unsigned bytes.
FURET_INLINE I32 sum_bytes(Bytes a) { return {_mm512_dpbusd_epi32(_mm512_setzero_si512(), a.v, _mm512_set1_epi8(1))}; }
// sum + each lane's 4 signed codes, as stored: with their bias.
FURET_INLINE I32 add_codes(I32 sum, Bytes codes) { return {_mm512_dpbusd_epi32(sum.v, codes.v, _mm512_set1_epi8(1))}; }
// table[index] of every byte; an index is below 16.
FURET_INLINE Bytes look_up(const uint8_t (&table)[16], Bytes index) {
    return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)table)), index.v)};
}
// 1 where the unsigned byte is `least` or more, else 0.
FURET_INLINE Bytes at_least(Bytes a, uint8_t least) {
    return {_mm512_maskz_mov_epi8(_mm512_cmpge_epu8_mask(a.v, _mm512_set1_epi8((char)least)), _mm512_set1_epi8(1))};
}
FURET_INLINE Bytes add_byte(Bytes a, int b) { return {_mm512_add_epi8(a.v, _mm512_set1_epi8((char)b))}; }
// (byte >> n) & mask, or << for negative n; bits that cross from the neighbouring byte must fall outside the mask.
template <int n> FURET_INLINE Bytes shift_and(Bytes a, uint8_t mask) {
    if constexpr (n >= 0) return and_byte({_mm512_srli_epi16(a.v, n)}, mask);
    else return and_byte({_mm512_slli_epi16(a.v, -n)}, mask);
}
// Byte j of lane r becomes 16 where bit 4 * g + j of lane r is set, else 0.
template <int g> FURET_INLINE Bytes fifth_bit(I32 bits) {
    const __m512i spread = _mm512_shuffle_epi8(bits.v, _mm512_add_epi8(_mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0), _mm512_set1_epi8(g / 2)));
    const __mmask64 set = _mm512_test_epi8_mask(spread, _mm512_set1_epi32((int)(0x08040201u << (4 * (g % 2)))));
    return {_mm512_maskz_mov_epi8(set, _mm512_set1_epi8(16))};
}

// sum += w . x over 4 columns: x is 4 int8 values of one token, the same for all 16 rows.
FURET_INLINE I32 dot(I32 sum, Bytes w, const int8_t* x) {
    int32_t four;
    std::memcpy(&four, x, 4);
    return {_mm512_dpbusd_epi32(sum.v, w.v, _mm512_set1_epi32(four))};
}
// The same where no other rows meet x: without a register for it, which the compiler would spend.
FURET_INLINE I32 dot_alone(I32 sum, Bytes w, const int8_t* x) {
    asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum.v) : "v"(w.v), "m"(*(const int8_t(*)[4])x));
    return sum;
}
FURET_INLINE I32 dot_signed(I32 sum, Bytes w, const int8_t* x) { return dot(sum, w, x); }

// 16 bytes of each of 16 rows; out[g] lane r holds bytes 4g .. 4g+3 of row r.
FURET_INLINE void load_transposed(const uint8_t* const* row, int64_t offset, Bytes out[4]) {
    __m512i z[4];
    for (int j = 0; j < 4; ++j) {
        z[j] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i*)(row[j] + offset)));
        z[j] = _mm512_inserti32x4(z[j], _mm_loadu_si128((const __m128i*)(row[4 + j] + offset)), 1);
        z[j] = _mm512_inserti32x4(z[j], _mm_loadu_si128((const __m128i*)(row[8 + j] + offset)), 2);
        z[j] = _mm512_inserti32x4(z[j], _mm_loadu_si128((const __m128i*)(row[12 + j] + offset)), 3);
    }
    const __m512i a = _mm512_unpacklo_epi32(z[0], z[1]), b = _mm512_unpacklo_epi32(z[2], z[3]);
    const __m512i c = _mm512_unpackhi_epi32(z[0], z[1]), d = _mm512_unpackhi_epi32(z[2], z[3]);
    out[0].v = _mm512_unpacklo_epi64(a, b);
    out[1].v = _mm512_unpackhi_epi64(a, b);
    out[2].v = _mm512_unpacklo_epi64(c, d);
    out[3].v = _mm512_unpackhi_epi64(c, d);
}

FURET_INLINE float sum_lanes(F32 a) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
FURET_INLINE float max_lanes(F32 a) { return _mm512_reduce_max_ps(a.v); }
FURET_INLINE int32_t sum_lanes(I32 a) { return _mm512_reduce_add_epi32(a.v); }
FURET_INLINE int32_t max_lanes(I32 a) { return _mm512_reduce_max_epi32(a.v); }
// 16 vectors to one whose lane i is made of all lanes of vector i: pairs of vectors become one of half as many lanes each.
template <class Join> FURET_INLINE __m512i of_each(__m512i (&v)[16], Join join) {
    __m512i half[8], quarter[4], eighth[2];
    for (int i = 0; i < 8; ++i) half[i] = join(_mm512_unpacklo_epi32(v[i], v[i + 8]), _mm512_unpackhi_epi32(v[i], v[i + 8]));
    for (int i = 0; i < 4; ++i) quarter[i] = join(_mm512_unpacklo_epi32(half[i], half[i + 4]), _mm512_unpackhi_epi32(half[i], half[i + 4]));
    for (int i = 0; i < 2; ++i) eighth[i] = join(_mm512_shuffle_i32x4(quarter[i], quarter[i + 2], 0x88), _mm512_shuffle_i32x4(quarter[i], quarter[i + 2], 0xdd));
    return join(_mm512_shuffle_i32x4(eighth[0], eighth[1], 0x88), _mm512_shuffle_i32x4(eighth[0], eighth[1], 0xdd));
}
// Where vector i has to stand so that lane i is made of it.
constexpr int place_of_each(int i) { return i / 4 / 2 + i / 4 % 2 * 2 + i % 4 * 4; }
FURET_INLINE F32 max_of_each(const F32 (&v)[16]) {
    __m512i in[16];
    for (int i = 0; i < 16; ++i) in[place_of_each(i)] = _mm512_castps_si512(v[i].v);
    return as_float(I32{of_each(in, [](__m512i a, __m512i b) { return as_int(max(as_float(I32{a}), as_float(I32{b}))).v; })});
}
FURET_INLINE F32 sum_of_each(const F32 (&v)[16]) {
    __m512i in[16];
    for (int i = 0; i < 16; ++i) in[place_of_each(i)] = _mm512_castps_si512(v[i].v);
    return as_float(I32{of_each(in, [](__m512i a, __m512i b) { return as_int(add(as_float(I32{a}), as_float(I32{b}))).v; })});
}
FURET_INLINE I32 sum_of_each(const I32 (&v)[16]) {
    __m512i in[16];
    for (int i = 0; i < 16; ++i) in[place_of_each(i)] = v[i].v;
    return {of_each(in, [](__m512i a, __m512i b) { return _mm512_add_epi32(a, b); })};
}

// To the second-level cache, and to the first.
FURET_INLINE void prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T1); }
FURET_INLINE void prefetch_near(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }

}  // namespace furet::FURET_ISA
