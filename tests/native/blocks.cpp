#include "blocks.h"

#include "half.h"

namespace test {
namespace {

using furet::Type;

// Where a block keeps its float16 scale, and its float16 min or -1.
struct Halves { int scale, min; };

Halves halves_of(Type type) {
    switch (type) {
        case Type::Q4_1: case Type::Q5_1: case Type::Q4_K: case Type::Q5_K: return {0, 2};
        case Type::Q2_K: return {80, 82};
        case Type::Q3_K: return {108, -1};
        case Type::Q6_K: return {208, -1};
        case Type::TQ1_0: return {52, -1};
        case Type::TQ2_0: return {64, -1};
        default: return {0, -1};
    }
}

void put_half(uint8_t* at, float value) {
    const uint16_t bits = furet::float_to_half(value);
    std::memcpy(at, &bits, 2);
}

void set_scales(const furet::TypeInfo& info, uint8_t* block, float scale, float min) {
    if (info.type == Type::MXFP4) {
        block[0] = (uint8_t)(128 + std::ilogb(scale));
    } else if (info.type == Type::Q8_K) {
        std::memcpy(block, &scale, 4);
    } else {
        const Halves at = halves_of(info.type);
        put_half(block + at.scale, scale);
        if (at.min >= 0) put_half(block + at.min, min);
    }
}

void put_float(Type type, uint8_t* at, float value) {
    const uint32_t bits = furet::float_to_bits(value);
    if (type == Type::F32) std::memcpy(at, &bits, 4);
    else if (type == Type::F16) put_half(at, value);
    else std::memcpy(at, (const uint8_t*)&bits + 2, 2);
}

}  // namespace

void fill_blocks(const furet::TypeInfo& info, uint8_t* data, int64_t blocks, Scales scales, Random& random) {
    for (int64_t b = 0; b < blocks; ++b, data += info.bytes) {
        for (int i = 0; i < info.bytes; ++i) data[i] = (uint8_t)random.next();
        if (scales == Scales::Any) continue;
        const bool ones = scales == Scales::Ones;
        if (info.form == furet::Form::Float) {
            put_float(info.type, data, ones ? (float)random.between(-8, 8) : (float)random.uniform(-0.1, 0.1));
            continue;
        }
        const double sign = random.below(2) ? 1 : -1;
        set_scales(info, data, ones ? 1.0f : (float)(sign * random.uniform(0.001, 0.02)), ones ? 1.0f : (float)random.uniform(-0.05, 0.05));
    }
}

void set_scales_to_one(const furet::TypeInfo& info, uint8_t* block) { set_scales(info, block, 1, 1); }

std::string name_of(const furet::TypeInfo& info) {
    static const std::pair<Type, const char*> names[] = {
        {Type::F32, "F32"}, {Type::F16, "F16"}, {Type::BF16, "BF16"}, {Type::Q4_0, "Q4_0"}, {Type::Q4_1, "Q4_1"},
        {Type::Q5_0, "Q5_0"}, {Type::Q5_1, "Q5_1"}, {Type::Q8_0, "Q8_0"}, {Type::Q2_K, "Q2_K"}, {Type::Q3_K, "Q3_K"},
        {Type::Q4_K, "Q4_K"}, {Type::Q5_K, "Q5_K"}, {Type::Q6_K, "Q6_K"}, {Type::Q8_K, "Q8_K"}, {Type::IQ4_NL, "IQ4_NL"},
        {Type::IQ4_XS, "IQ4_XS"}, {Type::TQ1_0, "TQ1_0"}, {Type::TQ2_0, "TQ2_0"}, {Type::MXFP4, "MXFP4"}};
    for (const auto& [type, name] : names)
        if (type == info.type) return name;
    return "type " + std::to_string((int)info.type);
}

}  // namespace test
