// float16, bfloat16 and E8M0 to float32 and back, in plain integer arithmetic. Exact; rounding is to nearest even.
#pragma once

#include <cstdint>
#include <cstring>

namespace furet {

static inline float bits_to_float(uint32_t u) {
    float f;
    std::memcpy(&f, &u, 4);
    return f;
}

static inline uint32_t float_to_bits(float f) {
    uint32_t u;
    std::memcpy(&u, &f, 4);
    return u;
}

static inline float half_to_float(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = (h >> 10) & 31;
    uint32_t mantissa = h & 0x3ff;
    if (exponent == 31) return bits_to_float(sign | 0x7f800000 | (mantissa << 13));
    if (exponent == 0) {
        const float value = (float)mantissa * 0x1p-24f;
        return bits_to_float(float_to_bits(value) | sign);
    }
    return bits_to_float(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

static inline uint16_t float_to_half(float f) {
    const uint32_t u = float_to_bits(f);
    const uint16_t sign = (uint16_t)((u >> 16) & 0x8000);
    const uint32_t magnitude = u & 0x7fffffff;
    if (magnitude > 0x7f800000) return sign | 0x7e00;
    if (magnitude >= 0x477ff000) return sign | 0x7c00;
    if (magnitude < 0x38800000) {
        // Adding 0.5 puts the subnormal's last bit at the float's last bit, so the adder does the rounding.
        const float shifted = bits_to_float(magnitude) + 0.5f;
        return sign | (uint16_t)(float_to_bits(shifted) - 0x3f000000);
    }
    const uint32_t odd = (magnitude >> 13) & 1;
    return sign | (uint16_t)((magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

static inline float bfloat_to_float(uint16_t b) { return bits_to_float((uint32_t)b << 16); }

// 2^(e - 128): half of the E8M0 scale, because the MXFP4 table holds doubled values.
static inline float e8m0_to_half_scale(uint8_t e) {
    return e < 2 ? bits_to_float(0x00200000u << e) : bits_to_float((uint32_t)(e - 1) << 23);
}

static inline uint16_t load_u16(const uint8_t* p) {
    uint16_t v;
    std::memcpy(&v, p, 2);
    return v;
}

static inline uint32_t load_u32(const uint8_t* p) {
    uint32_t v;
    std::memcpy(&v, p, 4);
    return v;
}

static inline float load_half(const uint8_t* p) { return half_to_float(load_u16(p)); }

}  // namespace furet
