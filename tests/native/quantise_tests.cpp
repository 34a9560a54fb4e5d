// The quantisation of activations, against what activations.h says of a block.
#include <algorithm>
#include <cstring>

#include "activations.h"
#include "check.h"

namespace test {

using namespace furet;

namespace {

using Block = std::vector<float>;

// The float of four significant bits that is no smaller than x, or next to one that is where x has been rounded.
void check_scale(float scale, double exact, double error) {
    int exponent;
    const double sixteenths = std::frexp((double)scale, &exponent) * 16;
    CHECK(sixteenths == std::floor(sixteenths));
    CHECK(scale >= exact - error);
    if (scale > kLeastScale) CHECK(scale - std::ldexp(sixteenths == 8 ? 1 / 32.0 : 1 / 16.0, exponent) <= exact + error);
}

// scale and mid round a few times; codes then lie within half a step, clamped.
void check_block(const Block& x, const Q8Block& q) {
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    const double lowest = *low, highest = *high, largest = std::max(std::fabs(lowest), std::fabs(highest));
    const double tiny = 0x1p-148;
    check_scale(q.scale, std::max(highest / 254 - lowest / 254, (double)kLeastScale), 3 * kRounding * largest / 127 + tiny);
    const double reach = 127.0 * q.scale, mid = std::fabs(lowest) < std::fabs(highest) ? lowest + reach : highest - reach;
    const bool flat = highest / 254 - lowest / 254 < kLeastScale;
    if (std::fabs(lowest) != std::fabs(highest)) CHECK_NEAR(q.mid, flat ? 0.5 * highest + 0.5 * lowest : mid, kRounding * (largest + reach) + tiny);
    int codes[2] = {};
    for (int i = 0; i < 32; ++i) {
        CHECK(q.code[i] >= -127 && q.code[i] <= 127);
        // Half a step, and the rounding of x - mid, of the inverse and of their product.
        const double step = q.scale;
        CHECK_NEAR(step * q.code[i] + q.mid, x[(size_t)i], step * (0.5 + 1e-4) + 4 * kRounding * largest + tiny);
        codes[i / 16] += q.code[i];
    }
    // The last bit of the base's float counts the power of two in the scale.
    float base;
    std::memcpy(&base, &q.base, sizeof base);
    int exponent;
    std::frexp((double)q.scale, &exponent);
    CHECK((double)base == std::ldexp(1.5, 23 + exponent - 1));
    auto bias = [&](int sum) { return q.base - 128 * sum; };
    CHECK(q.half_bias[0] == bias(codes[0]) && q.half_bias[1] == bias(codes[1]) && q.bias == bias(codes[0] + codes[1]));
    // Sums of the values as coded: a product and a sum.
    auto check_sum = [&](float sum, int total, int count) {
        const double part = (double)q.scale * total, rest = (double)count * q.mid;
        CHECK_NEAR(sum, part + rest, 2 * kRounding * (std::fabs(part) + std::fabs(rest)) + tiny);
    };
    check_sum(q.sum, codes[0] + codes[1], 32);
    check_sum(q.half_sum, codes[0], 16);
}

std::unique_ptr<uint8_t[]> quantised(const Kernels& table, const std::vector<Block>& blocks) {
    const int64_t width = 32 * (int64_t)blocks.size();
    auto x = exact<float>(width);
    for (size_t b = 0; b < blocks.size(); ++b) std::copy(blocks[b].begin(), blocks[b].end(), x.get() + 32 * b);
    auto out = exact<uint8_t>(q8_row_bytes(width));
    table.quantise(x.get(), width, out.get());
    return out;
}

const Q8Block* blocks_of(const std::unique_ptr<uint8_t[]>& row) { return (const Q8Block*)row.get(); }

Block random_block(double low, double high, Random& random) {
    Block x(32);
    for (float& value : x) value = (float)random.uniform(low, high);
    return x;
}

std::vector<Block> ordinary_blocks(Random& random) {
    std::vector<Block> out;
    for (double size : {1e-44, 1e-39, 1e-37, 1e-30, 1e-3, 1.0, 1e3, 1e10, 1e30, 1e32}) {
        out.push_back(random_block(-size, size, random));
        out.push_back(random_block(0, size, random));
        out.push_back(random_block(-size, -size / 2, random));
    }
    out.push_back(random_block(1e6, 1e6 + 1, random));
    out.push_back(random_block(1, 1 + 1e-6, random));
    out.push_back(random_block(-1, 1, random));
    out.back()[(size_t)random.below(32)] = 300;
    for (float value : {0.0f, -0.0f, 1.0f, -3.7f, 1e-45f, 1e30f, -1e30f}) out.push_back(Block(32, value));
    out.push_back(Block(32, 0.0f));
    out.back()[17] = -5;
    return out;
}

void test_ends(const Kernels& table) {
    Block x(32, 0.25f);
    x[3] = 2;
    x[30] = -1;
    const auto row = quantised(table, {x});
    const Q8Block& q = blocks_of(row)[0];
    CHECK(q.scale == 1.625f / 128 && q.code[30] == -127 && q.code[3] == 109 && q.scale * -127 + q.mid == -1);
    for (float& value : x) value = -value;
    const auto negative = quantised(table, {x});
    const Q8Block& n = blocks_of(negative)[0];
    CHECK(n.scale == q.scale && n.mid == -q.mid && n.code[30] == 127 && n.code[3] == -q.code[3]);
    for (float value : {0.0f, -0.0f, 1.5f, -3.7f, 1e30f, -1e30f}) {
        const auto same = quantised(table, {Block(32, value)});
        const Q8Block& flat = blocks_of(same)[0];
        CHECK(flat.scale == kLeastScale && flat.mid == value);
        for (int i = 0; i < 32; ++i) CHECK(flat.code[i] == 0);
    }
}

// A NaN or an infinity anywhere makes the block's mid a NaN, and leaves the blocks beside it alone.
void test_not_numbers(const Kernels& table, Random& random) {
    for (float bad : {NAN, -NAN, INFINITY, -INFINITY})
        for (size_t at = 0; at < 32; ++at) {
            std::vector<Block> blocks(3, random_block(-1, 1, random));
            blocks[1][at] = bad;
            if (at % 2) blocks[1][(at + 9) % 32] = -bad;
            const auto row = quantised(table, blocks);
            const Q8Block* q = blocks_of(row);
            CHECK(std::isnan(q[1].mid));
            CHECK(std::isfinite(q[0].mid) && std::isfinite(q[2].mid));
            check_block(blocks[0], q[0]);
        }
    // The sum of finite values may overflow: then it is infinite, never a finite wrong one.
    const auto row = quantised(table, {Block(32, 3e38f)});
    const Q8Block& q = blocks_of(row)[0];
    CHECK(q.mid == 3e38f && std::isinf(q.sum) && std::isinf(q.half_sum));
    // A range that no scale covers is no number either.
    Block wide(32, 0.0f);
    wide[5] = 4e32f;
    CHECK(std::isnan(blocks_of(quantised(table, {wide}))[0].mid));
    wide[5] = 3e32f;
    check_block(wide, blocks_of(quantised(table, {wide}))[0]);
}

}  // namespace

void test_quantise(const Tables& tables) {
    for (const Kernels* table : tables) {
        tally.where = std::string(table->name) + " quantise";
        Random random(31);
        for (int round = 0; round < (tally.quick ? 2 : 20); ++round) {
            const std::vector<Block> blocks = ordinary_blocks(random);
            const auto row = quantised(*table, blocks), portable = quantised(kPortable, blocks);
            for (size_t b = 0; b < blocks.size(); ++b) {
                const Q8Block &q = blocks_of(row)[b], &p = blocks_of(portable)[b];
                check_block(blocks[b], q);
                // The same operations in the same order on every machine: equal, but for the sign of a zero.
                CHECK(same_bits(q.code, p.code, 32) && q.scale == p.scale && q.mid == p.mid);
                CHECK(q.sum == p.sum && q.half_sum == p.half_sum && q.base == p.base);
            }
        }
        test_ends(*table);
        test_not_numbers(*table, random);
    }
}

}  // namespace test
