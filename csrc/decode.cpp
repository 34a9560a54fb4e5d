#include "decode.h"

#include "half.h"

namespace furet {
namespace {

constexpr TypeInfo kTypes[] = {
    {Type::F32, 1, 4, Form::Float, 0},       {Type::F16, 1, 2, Form::Float, 0},
    {Type::BF16, 1, 2, Form::Float, 0},      {Type::Q4_0, 32, 18, Form::Signed, 32},
    {Type::Q4_1, 32, 20, Form::Minned, 32},  {Type::Q5_0, 32, 22, Form::Signed, 32},
    {Type::Q5_1, 32, 24, Form::Minned, 32},  {Type::Q8_0, 32, 34, Form::Signed, 32},
    {Type::Q2_K, 256, 84, Form::Minned, 16}, {Type::Q3_K, 256, 110, Form::Signed, 16},
    {Type::Q4_K, 256, 144, Form::Minned, 32},{Type::Q5_K, 256, 176, Form::Minned, 32},
    {Type::Q6_K, 256, 210, Form::Signed, 16},{Type::Q8_K, 256, 292, Form::Signed, 32},
    {Type::IQ4_NL, 32, 18, Form::Signed, 32},{Type::IQ4_XS, 256, 136, Form::Signed, 32},
    {Type::TQ1_0, 256, 54, Form::Signed, 32},{Type::TQ2_0, 256, 66, Form::Signed, 32},
    {Type::MXFP4, 32, 17, Form::Signed, 32},
};

// 32 nibbles: byte j holds value j low and value j + 16 high.
void nibbles(const uint8_t* q, int16_t* code, int offset) {
    for (int j = 0; j < 16; ++j) {
        code[j] = (int16_t)((q[j] & 15) - offset);
        code[j + 16] = (int16_t)((q[j] >> 4) - offset);
    }
}

void nibbles_by_table(const uint8_t* q, int16_t* code, const int8_t* table) {
    for (int j = 0; j < 16; ++j) {
        code[j] = table[q[j] & 15];
        code[j + 16] = table[q[j] >> 4];
    }
}

void fifth_bits(const uint8_t* q, int16_t* code) {
    const uint32_t bits = load_u32(q);
    for (int j = 0; j < 32; ++j) code[j] = (int16_t)(code[j] + (((bits >> j) & 1) << 4));
}

// The 12 bytes that hold eight 6-bit scales and eight 6-bit mins of Q4_K and Q5_K.
void six_bit_pairs(const uint8_t* s, int* scale, int* min) {
    for (int j = 0; j < 4; ++j) {
        scale[j] = s[j] & 63;
        min[j] = s[j + 4] & 63;
        scale[j + 4] = (s[j + 8] & 15) | ((s[j] >> 6) << 4);
        min[j + 4] = (s[j + 8] >> 4) | ((s[j + 4] >> 6) << 4);
    }
}

void read_q4_k_or_q5_k(const uint8_t* b, Codes& out, bool fifth) {
    const float d = load_half(b), dmin = load_half(b + 2);
    int scale[8], min[8];
    six_bit_pairs(b + 4, scale, min);
    const uint8_t* high = b + 16;
    const uint8_t* q = b + (fifth ? 48 : 16);
    for (int g = 0; g < 8; ++g) {
        out.scale[g] = d * (float)scale[g];
        out.min[g] = -(dmin * (float)min[g]);
        for (int l = 0; l < 32; ++l) {
            int code = (q[32 * (g / 2) + l] >> (4 * (g % 2))) & 15;
            if (fifth) code |= ((high[l] >> g) & 1) << 4;
            out.code[32 * g + l] = (int16_t)code;
        }
    }
}

void read_q2_k(const uint8_t* b, Codes& out) {
    const float d = load_half(b + 80), dmin = load_half(b + 82);
    for (int g = 0; g < 16; ++g) {
        out.scale[g] = d * (float)(b[g] & 15);
        out.min[g] = -(dmin * (float)(b[g] >> 4));
    }
    for (int i = 0; i < 256; ++i) out.code[i] = (b[16 + 32 * (i / 128) + i % 32] >> (2 * ((i % 128) / 32))) & 3;
}

void read_q3_k(const uint8_t* b, Codes& out) {
    const float d = load_half(b + 108);
    const uint8_t* s = b + 96;
    for (int g = 0; g < 16; ++g) {
        const int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
        const int high = (s[8 + g % 4] >> (2 * (g / 4))) & 3;
        out.scale[g] = d * (float)((low | (high << 4)) - 32);
    }
    for (int i = 0; i < 256; ++i) {
        const int low = (b[32 + 32 * (i / 128) + i % 32] >> (2 * ((i % 128) / 32))) & 3;
        const int high = (b[i % 32] >> (i / 32)) & 1;
        out.code[i] = (int16_t)(low - (high ? 0 : 4));
    }
}

void read_q6_k(const uint8_t* b, Codes& out) {
    const float d = load_half(b + 208);
    for (int g = 0; g < 16; ++g) out.scale[g] = d * (float)(int8_t)b[192 + g];
    for (int i = 0; i < 256; ++i) {
        const int half = i / 128, quarter = (i % 128) / 32, l = i % 32;
        const int low = (b[64 * half + 32 * (quarter % 2) + l] >> (4 * (quarter / 2))) & 15;
        const int high = (b[128 + 32 * half + l] >> (2 * quarter)) & 3;
        out.code[i] = (int16_t)((low | (high << 4)) - 32);
    }
}

void read_iq4_xs(const uint8_t* b, Codes& out) {
    const float d = load_half(b);
    const int high = load_u16(b + 2);
    for (int g = 0; g < 8; ++g) {
        const int low = (b[4 + g / 2] >> (4 * (g % 2))) & 15;
        out.scale[g] = d * (float)((low | (((high >> (2 * g)) & 3) << 4)) - 32);
        nibbles_by_table(b + 8 + 16 * g, out.code + 32 * g, kIQ4);
    }
}

// Five base-3 digits a byte, most significant first, stored as the byte fraction ceil(n * 256 / 243).
int trit(uint8_t byte, int digit) {
    constexpr uint8_t power[5] = {1, 3, 9, 27, 81};
    const uint8_t q = (uint8_t)(byte * power[digit]);
    return ((q * 3) >> 8) - 1;
}

void read_tq1_0(const uint8_t* b, Codes& out) {
    const float d = load_half(b + 52);
    for (int g = 0; g < 8; ++g) out.scale[g] = d;
    for (int n = 0; n < 5; ++n) {
        for (int m = 0; m < 32; ++m) out.code[32 * n + m] = (int16_t)trit(b[m], n);
        for (int m = 0; m < 16; ++m) out.code[160 + 16 * n + m] = (int16_t)trit(b[32 + m], n);
    }
    for (int n = 0; n < 4; ++n)
        for (int m = 0; m < 4; ++m) out.code[240 + 4 * n + m] = (int16_t)trit(b[48 + m], n);
}

void read_tq2_0(const uint8_t* b, Codes& out) {
    const float d = load_half(b + 64);
    for (int g = 0; g < 8; ++g) out.scale[g] = d;
    for (int i = 0; i < 256; ++i)
        out.code[i] = (int16_t)(((b[32 * (i / 128) + i % 32] >> (2 * ((i % 128) / 32))) & 3) - 1);
}

void read_q8_k(const uint8_t* b, Codes& out) {
    const float d = bits_to_float(load_u32(b));
    for (int g = 0; g < 8; ++g) out.scale[g] = d;
    for (int i = 0; i < 256; ++i) out.code[i] = (int8_t)b[4 + i];
}

}  // namespace

const TypeInfo* type_info(int id) {
    for (const TypeInfo& info : kTypes)
        if ((int)info.type == id) return &info;
    return nullptr;
}

void read_block(const TypeInfo& info, const uint8_t* b, Codes& out) {
    switch (info.type) {
        case Type::Q4_0:
            out.scale[0] = load_half(b);
            return nibbles(b + 2, out.code, 8);
        case Type::Q4_1:
            out.scale[0] = load_half(b);
            out.min[0] = load_half(b + 2);
            return nibbles(b + 4, out.code, 0);
        case Type::Q5_0:
            out.scale[0] = load_half(b);
            nibbles(b + 6, out.code, 16);
            return fifth_bits(b + 2, out.code);
        case Type::Q5_1:
            out.scale[0] = load_half(b);
            out.min[0] = load_half(b + 2);
            nibbles(b + 8, out.code, 0);
            return fifth_bits(b + 4, out.code);
        case Type::Q8_0:
            out.scale[0] = load_half(b);
            for (int i = 0; i < 32; ++i) out.code[i] = (int8_t)b[2 + i];
            return;
        case Type::IQ4_NL:
            out.scale[0] = load_half(b);
            return nibbles_by_table(b + 2, out.code, kIQ4);
        case Type::MXFP4:
            out.scale[0] = e8m0_to_half_scale(b[0]);
            return nibbles_by_table(b + 1, out.code, kFP4);
        case Type::Q2_K: return read_q2_k(b, out);
        case Type::Q3_K: return read_q3_k(b, out);
        case Type::Q4_K: return read_q4_k_or_q5_k(b, out, false);
        case Type::Q5_K: return read_q4_k_or_q5_k(b, out, true);
        case Type::Q6_K: return read_q6_k(b, out);
        case Type::Q8_K: return read_q8_k(b, out);
        case Type::IQ4_XS: return read_iq4_xs(b, out);
        case Type::TQ1_0: return read_tq1_0(b, out);
        case Type::TQ2_0: return read_tq2_0(b, out);
        case Type::F32: case Type::F16: case Type::BF16: return;
    }
}

void decode_row(const TypeInfo& info, const uint8_t* data, int64_t count, float* out) {
    if (info.type == Type::F32) {
        std::memcpy(out, data, (size_t)count * 4);
        return;
    }
    if (info.form == Form::Float) {
        const bool half = info.type == Type::F16;
        for (int64_t i = 0; i < count; ++i) {
            const uint16_t bits = load_u16(data + 2 * i);
            out[i] = half ? half_to_float(bits) : bfloat_to_float(bits);
        }
        return;
    }
    Codes codes;
    for (int64_t start = 0; start < count; start += info.block, data += info.bytes) {
        read_block(info, data, codes);
        for (int i = 0; i < info.block; ++i) {
            const int g = i / info.group;
            const float value = codes.scale[g] * (float)codes.code[i];
            out[start + i] = info.form == Form::Minned ? value + codes.min[g] : value;
        }
    }
}

}  // namespace furet
