// The vector vocabulary (see avx512.h) on AVX2 with FMA and F16C: two ymm registers each.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "inline.h"

namespace furet::FURET_ISA {

constexpr const char* kName = "avx2";
constexpr bool kInParts = false;    // the matrix kernel takes vectors whole, not a register at a time (see neon_part.h)
struct Part;
constexpr int kRowVectors = 1;
constexpr int kFewTokens = 1;
constexpr int kTokens = 2;          // 2 tokens x 2 halves x 2 accumulators + weights + temporaries fit in 16 registers
constexpr int kSignedBias = 0;
constexpr bool kFloatSums = true;  // sums of products are kept as the bits of floats (see multiply.h)

struct F32 { __m256 a, b; };
struct I32 { __m256i a, b; };
struct Bytes { __m256i a, b; };

#define FURET_PAIR(type, name, op) \
    FURET_INLINE type name(type x, type y) { return {op(x.a, y.a), op(x.b, y.b)}; }

FURET_INLINE F32 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
FURET_INLINE F32 splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
FURET_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
FURET_INLINE void store(float* p, F32 x) { _mm256_storeu_ps(p, x.a); _mm256_storeu_ps(p + 8, x.b); }
FURET_INLINE F32 fma(F32 x, F32 y, F32 z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
FURET_PAIR(F32, add, _mm256_add_ps)
FURET_PAIR(F32, sub, _mm256_sub_ps)
FURET_PAIR(F32, mul, _mm256_mul_ps)
FURET_PAIR(F32, div, _mm256_div_ps)
FURET_PAIR(F32, max, _mm256_max_ps)
FURET_PAIR(F32, min, _mm256_min_ps)
FURET_INLINE F32 where_less(F32 x, F32 y, F32 yes, F32 no) {
    return {_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
            _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))};
}
FURET_INLINE F32 load_half(const uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(p + 8)))};
}
FURET_INLINE __m256 widen_bfloats(const uint16_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16));
}
FURET_INLINE F32 load_bfloat(const uint16_t* p) { return {widen_bfloats(p), widen_bfloats(p + 8)}; }
FURET_INLINE void store_half(uint16_t* p, F32 x) {
    _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i*)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

FURET_INLINE I32 splat_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
FURET_INLINE I32 load_int(const int32_t* p) {
    return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 8))};
}
FURET_INLINE I32 load_int8(const int8_t* p) {
    return {_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)), _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)(p + 8)))};
}
FURET_INLINE I32 load_uint8(const uint8_t* p) {
    return {_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p)), _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)(p + 8)))};
}
FURET_INLINE void store_int(int32_t* p, I32 x) {
    _mm256_storeu_si256((__m256i*)p, x.a);
    _mm256_storeu_si256((__m256i*)(p + 8), x.b);
}
FURET_PAIR(I32, add, _mm256_add_epi32)
FURET_PAIR(I32, max, _mm256_max_epi32)
FURET_PAIR(I32, bit_and, _mm256_and_si256)
FURET_PAIR(I32, bit_or, _mm256_or_si256)
template <int n> FURET_INLINE I32 shift_left(I32 x) { return {_mm256_slli_epi32(x.a, n), _mm256_slli_epi32(x.b, n)}; }
template <int n> FURET_INLINE I32 shift_right(I32 x) { return {_mm256_srli_epi32(x.a, n), _mm256_srli_epi32(x.b, n)}; }
template <int n> FURET_INLINE I32 shift_right_signed(I32 x) { return {_mm256_srai_epi32(x.a, n), _mm256_srai_epi32(x.b, n)}; }
FURET_INLINE F32 to_float(I32 x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
FURET_INLINE I32 to_int_nearest(F32 x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
FURET_INLINE F32 as_float(I32 x) { return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
FURET_INLINE I32 as_int(F32 x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
FURET_INLINE __m128i low_halves(__m256i x) {
    const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(x, _mm256_set1_epi32(0xffff)), _mm256_setzero_si256());
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}
FURET_INLINE F32 half_lanes_to_float(I32 x) { return {_mm256_cvtph_ps(low_halves(x.a)), _mm256_cvtph_ps(low_halves(x.b))}; }
FURET_INLINE void store_int8(int8_t* p, I32 x) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i*)p, bytes);
}

FURET_INLINE Bytes as_bytes(I32 x) { return {x.a, x.b}; }
FURET_INLINE I32 as_int(Bytes x) { return {x.a, x.b}; }
FURET_INLINE Bytes load_bytes(const uint8_t* p) { return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 32))}; }
FURET_INLINE void store_bytes(uint8_t* p, Bytes x) {
    _mm256_storeu_si256((__m256i*)p, x.a);
    _mm256_storeu_si256((__m256i*)(p + 32), x.b);
}
FURET_INLINE Bytes and_byte(Bytes x, uint8_t mask) {
    const __m256i m = _mm256_set1_epi8((char)mask);
    return {_mm256_and_si256(x.a, m), _mm256_and_si256(x.b, m)};
}
FURET_PAIR(Bytes, bit_or, _mm256_or_si256)
FURET_PAIR(Bytes, add_bytes, _mm256_add_epi8)
FURET_INLINE Bytes add_byte(Bytes x, int y) {
    const __m256i m = _mm256_set1_epi8((char)y);
    return {_mm256_add_epi8(x.a, m), _mm256_add_epi8(x.b, m)};
}
template <int n> FURET_INLINE Bytes shift_and(Bytes x, uint8_t mask) {
    if constexpr (n >= 0) return and_byte({_mm256_srli_epi16(x.a, n), _mm256_srli_epi16(x.b, n)}, mask);
    else return and_byte({_mm256_slli_epi16(x.a, -n), _mm256_slli_epi16(x.b, -n)}, mask);
}
template <int g> FURET_INLINE __m256i fifth_bit_half(__m256i bits) {
    const __m256i lanes = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    const __m256i spread = _mm256_shuffle_epi8(bits, _mm256_add_epi8(lanes, _mm256_set1_epi8(g / 2)));
    const __m256i test = _mm256_set1_epi32((int)(0x08040201u << (4 * (g % 2))));
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, test), test), _mm256_set1_epi8(16));
}
template <int g> FURET_INLINE Bytes fifth_bit(I32 bits) { return {fifth_bit_half<g>(bits.a), fifth_bit_half<g>(bits.b)}; }

FURET_INLINE __m256i splat_four(const int8_t* x) {
    int32_t four;
    std::memcpy(&four, x, 4);
    return _mm256_set1_epi32(four);
}
FURET_INLINE __m256i pair_sums(__m256i unsigned_bytes, __m256i signed_bytes) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned_bytes, signed_bytes), _mm256_set1_epi16(1));
}
FURET_INLINE I32 sum_bytes(Bytes x) {
    const __m256i ones = _mm256_set1_epi8(1);
    return {pair_sums(x.a, ones), pair_sums(x.b, ones)};
}
FURET_INLINE I32 add_codes(I32 sum, Bytes codes) {
    const __m256i ones = _mm256_set1_epi8(1);
    return {_mm256_add_epi32(sum.a, pair_sums(ones, codes.a)), _mm256_add_epi32(sum.b, pair_sums(ones, codes.b))};
}
FURET_INLINE Bytes look_up(const uint8_t (&table)[16], Bytes index) {
    const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)table));
    return {_mm256_shuffle_epi8(both, index.a), _mm256_shuffle_epi8(both, index.b)};
}
FURET_INLINE __m256i at_least(__m256i x, __m256i least) { return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_max_epu8(x, least), x), _mm256_set1_epi8(1)); }
FURET_INLINE Bytes at_least(Bytes x, uint8_t least) {
    const __m256i y = _mm256_set1_epi8((char)least);
    return {at_least(x.a, y), at_least(x.b, y)};
}
// Codes up to 31 and |x| <= 127: two products stay below 2^15, so maddubs does not saturate.
FURET_INLINE I32 dot(I32 sum, Bytes w, const int8_t* x) {
    const __m256i four = splat_four(x);
    return {_mm256_add_epi32(sum.a, pair_sums(w.a, four)), _mm256_add_epi32(sum.b, pair_sums(w.b, four))};
}
FURET_INLINE I32 dot_alone(I32 sum, Bytes w, const int8_t* x) { return dot(sum, w, x); }
// |w| * sign(x, w): 2 * 128 * 127 = 32512 still fits.
FURET_INLINE I32 dot_signed(I32 sum, Bytes w, const int8_t* x) {
    const __m256i four = splat_four(x);
    return {_mm256_add_epi32(sum.a, pair_sums(_mm256_abs_epi8(w.a), _mm256_sign_epi8(four, w.a))),
            _mm256_add_epi32(sum.b, pair_sums(_mm256_abs_epi8(w.b), _mm256_sign_epi8(four, w.b)))};
}

FURET_INLINE void load_transposed_half(const uint8_t* const* row, int64_t offset, __m256i out[4]) {
    __m256i z[4];
    for (int j = 0; j < 4; ++j)
        z[j] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i*)(row[j] + offset))),
                                       _mm_loadu_si128((const __m128i*)(row[4 + j] + offset)), 1);
    const __m256i a = _mm256_unpacklo_epi32(z[0], z[1]), b = _mm256_unpacklo_epi32(z[2], z[3]);
    const __m256i c = _mm256_unpackhi_epi32(z[0], z[1]), d = _mm256_unpackhi_epi32(z[2], z[3]);
    out[0] = _mm256_unpacklo_epi64(a, b);
    out[1] = _mm256_unpackhi_epi64(a, b);
    out[2] = _mm256_unpacklo_epi64(c, d);
    out[3] = _mm256_unpackhi_epi64(c, d);
}
FURET_INLINE void load_transposed(const uint8_t* const* row, int64_t offset, Bytes out[4]) {
    __m256i low[4], high[4];
    load_transposed_half(row, offset, low);
    load_transposed_half(row + 8, offset, high);
    for (int g = 0; g < 4; ++g) out[g] = {low[g], high[g]};
}

FURET_INLINE float sum_lanes(F32 x) {
    const __m256 half = _mm256_add_ps(x.a, x.b);
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
FURET_INLINE float max_lanes(F32 x) {
    const __m256 half = _mm256_max_ps(x.a, x.b);
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
FURET_INLINE int32_t sum_lanes(I32 x) {
    int32_t v[16], sum = 0;
    store_int(v, x);
    for (int i = 0; i < 16; ++i) sum += v[i];
    return sum;
}
FURET_INLINE int32_t max_lanes(I32 x) {
    int32_t v[16];
    store_int(v, x);
    int32_t top = v[0];
    for (int i = 1; i < 16; ++i) top = v[i] > top ? v[i] : top;
    return top;
}
// To the second-level cache, and to the first.
FURET_INLINE void prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T1); }
FURET_INLINE void prefetch_near(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }

#undef FURET_PAIR

}  // namespace furet::FURET_ISA

#include "each.h"
