// The portable decoders and the float formats. What a block means is checked from Python against hand-computed blocks
// (tests/quant); here: no bytes trap, nothing outside a block is read, and the promises that the integer kernels build on.
#include "blocks.h"
#include "half.h"

namespace test {

using namespace furet;

namespace {

// types.h promises the kernels these ranges.
void check_codes(const TypeInfo& info, const uint8_t* block) {
    Codes codes{};
    read_block(info, block, codes);
    const int low = info.form == Form::Minned ? 0 : -128, high = info.form == Form::Minned ? 31 : 127;
    bool inside = true;
    for (int i = 0; i < info.block; ++i) inside &= codes.code[i] >= low && codes.code[i] <= high;
    CHECK(inside);
    auto values = exact<float>(info.block);
    decode_row(info, block, info.block, values.get());
    for (int i = 0; i < info.block; ++i) {
        const int g = i / info.group;
        float wanted = codes.scale[g] * (float)codes.code[i];
        if (info.form == Form::Minned) wanted = wanted + codes.min[g];
        CHECK(values[(size_t)i] == wanted || (std::isnan(values[(size_t)i]) && std::isnan(wanted)));
    }
}

void test_hostile_blocks(const TypeInfo& info) {
    const OddBytes block(info.bytes);
    auto value = exact<float>(info.block);
    auto look = [&] {
        if (info.form != Form::Float) check_codes(info, block.data());
        else decode_row(info, block.data(), info.block, value.get());
    };
    for (int byte : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
        std::memset(block.data(), byte, (size_t)info.bytes);
        look();
    }
    Random random(7 + (uint64_t)info.type);
    for (int i = 0; i < (tally.quick ? 20 : 200); ++i) {
        fill_blocks(info, block.data(), 1, Scales::Any, random);
        look();
    }
}

}  // namespace

void test_decode() {
    CHECK(type_info(4) == nullptr && type_info(-1) == nullptr && type_info(1000) == nullptr);
    for (int id : kTypeIds) {
        const TypeInfo* info = type_info(id);
        if (!CHECK(info != nullptr)) continue;
        tally.where = "decode " + name_of(*info);
        CHECK((int)info->type == id && info->block > 0 && info->bytes > 0);
        CHECK(info->form == Form::Float || info->group == 16 || info->group == 32);
        test_hostile_blocks(*info);
        // Several blocks are the blocks one after the other.
        Random random(11);
        const OddBytes row(5 * info->bytes);
        fill_blocks(*info, row.data(), 5, Scales::Ordinary, random);
        auto whole = exact<float>(5 * info->block), part = exact<float>(info->block);
        decode_row(*info, row.data(), 5 * info->block, whole.get());
        for (int b = 0; b < 5; ++b) {
            decode_row(*info, row.data() + b * info->bytes, info->block, part.get());
            CHECK(same_bits(part.get(), whole.get() + b * info->block, 4 * info->block));
        }
    }
}

void test_half() {
    tally.where = "half.h";
    for (uint32_t h = 0; h < 0x10000; ++h) {
        const int exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
        const float got = half_to_float((uint16_t)h);
        if (exponent == 31) {
            CHECK(mantissa ? std::isnan(got) : std::isinf(got));
            CHECK(std::signbit(got) == (h >> 15 != 0));
            CHECK(mantissa ? (float_to_half(got) & 0x7fff) > 0x7c00 : float_to_half(got) == h);
            continue;
        }
        const double magnitude = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
        CHECK(got == (h >> 15 ? -magnitude : magnitude) && std::signbit(got) == (h >> 15 != 0));
        CHECK(float_to_half(got) == h);
    }
    CHECK(bfloat_to_float(0x3fc0) == 1.5f && bfloat_to_float(0xc000) == -2.0f && std::isnan(bfloat_to_float(0x7fc0)));
    for (int e = 0; e < 256; ++e) CHECK(e8m0_to_half_scale((uint8_t)e) == (float)std::ldexp(1.0, e - 128));
}

}  // namespace test
