// Norms, sums, products and conversions, against the same formulas in double precision.
#include <algorithm>

#include "activations.h"
#include "check.h"
#include "half.h"

namespace test {

using namespace furet;

namespace {

constexpr int64_t kWidths[] = {1, 5, 15, 16, 17, 31, 32, 33, 64, 100, 576, 1000};

void start(const Kernels& table, const char* what) { tally.where = std::string(table.name) + " " + what; }

// What a kernel writes as q8 is what `quantise` makes of what it writes as floats.
void check_quantised(const Kernels& table, const float* y, const uint8_t* q8, int64_t width) {
    auto wanted = exact<uint8_t>(q8_row_bytes(width));
    table.quantise(y, width, wanted.get());
    CHECK(same_bits(q8, wanted.get(), width + width));
}

void test_rms_norm(const Kernels& table, int64_t group, int64_t groups, double size, Random& random) {
    const int64_t width = group * groups;
    const auto x = random_floats(width, random, -size, size), weight = random_floats(group, random);
    auto y = exact<float>(width);
    const float eps = 1e-5f;
    table.rms_norm(x.get(), weight.get(), group, width, eps, {y.get(), nullptr});
    // The squares are summed in 16 lanes, whose relative error is that of the longest; root, division and two products follow.
    const double relative = ((double)(group + 15) / 16 + 4 + 5) * kRounding;
    for (int64_t g = 0; g < groups; ++g) {
        double sum = 0;
        for (int64_t i = 0; i < group; ++i) sum += (double)x[(size_t)(g * group + i)] * x[(size_t)(g * group + i)];
        const double scale = 1 / std::sqrt(sum / (double)group + eps);
        for (int64_t i = 0; i < group; ++i) {
            const double wanted = x[(size_t)(g * group + i)] * scale * weight[(size_t)i];
            CHECK_NEAR(y[(size_t)(g * group + i)], wanted, relative * std::fabs(wanted) + 1e-44);
        }
    }
    if (group % 32) return;
    auto q8 = exact<uint8_t>(q8_row_bytes(width));
    table.rms_norm(x.get(), weight.get(), group, width, eps, {nullptr, q8.get()});
    check_quantised(table, y.get(), q8.get(), width);
}

// Groups whose values lie far from zero: mean and variance must be taken in turn.
void test_layer_norm(const Kernels& table, int64_t group, int64_t groups, double far, Random& random) {
    const int64_t width = group * groups;
    const auto x = random_floats(width, random, far - 2, far + 2), weight = random_floats(width, random), bias = random_floats(width, random);
    auto y = exact<float>(width), plain = exact<float>(width);
    table.layer_norm(x.get(), weight.get(), bias.get(), group, width, 1e-5f, {y.get(), nullptr});
    table.layer_norm(x.get(), weight.get(), nullptr, group, width, 1e-5f, {plain.get(), nullptr});
    const double relative = ((double)(group + 15) / 8 + 12) * kRounding;
    for (int64_t g = 0; g < groups; ++g) {
        double mean = 0, square = 0;
        for (int64_t i = g * group; i < (g + 1) * group; ++i) mean += (double)x[(size_t)i] / (double)group;
        for (int64_t i = g * group; i < (g + 1) * group; ++i) square += (x[(size_t)i] - mean) * (x[(size_t)i] - mean) / (double)group;
        const double scale = 1 / std::sqrt(square + 1e-5);
        for (int64_t i = g * group; i < (g + 1) * group; ++i) {
            const double wanted = (x[(size_t)i] - mean) * scale * weight[(size_t)i];
            const double bound = relative * (std::fabs(wanted) + (std::fabs(far) + 2) * scale * std::fabs(weight[(size_t)i])) + 1e-44;
            CHECK_NEAR(plain[(size_t)i], wanted, bound);
            CHECK(y[(size_t)i] == plain[(size_t)i] + bias[(size_t)i]);
        }
    }
    if (group % 32) return;
    auto q8 = exact<uint8_t>(q8_row_bytes(width));
    table.layer_norm(x.get(), weight.get(), bias.get(), group, width, 1e-5f, {nullptr, q8.get()});
    check_quantised(table, y.get(), q8.get(), width);
}

void test_lengths_and_dots(const Kernels& table, int64_t group, int64_t groups, Random& random) {
    const int64_t width = group * groups;
    const auto a = random_floats(width, random), b = random_floats(width, random);
    auto unit = exact<float>(width), product = exact<float>(width);
    table.l2_norm(a.get(), group, width, 1e-6f, unit.get());
    table.head_dot(a.get(), b.get(), group, width, product.get());
    const double relative = ((double)(group + 15) / 16 + 8) * kRounding;
    for (int64_t g = 0; g < groups; ++g) {
        double square = 0, dot = 0, size = 0;
        for (int64_t i = g * group; i < (g + 1) * group; ++i) {
            square += (double)a[(size_t)i] * a[(size_t)i];
            dot += (double)a[(size_t)i] * b[(size_t)i];
            size += std::fabs((double)a[(size_t)i] * b[(size_t)i]);
        }
        for (int64_t i = g * group; i < (g + 1) * group; ++i) {
            const double wanted = a[(size_t)i] / std::sqrt(square);
            CHECK_NEAR(unit[(size_t)i], wanted, relative * std::fabs(wanted));
            CHECK_NEAR(product[(size_t)i], dot, relative * size);
        }
    }
}

void test_special_lengths(const Kernels& table) {
    start(table, "l2_norm of zeros and NaN");
    float x[32] = {}, y[32];
    table.l2_norm(x, 32, 32, 1e-6f, y);
    for (float v : y) CHECK(v == 0);
    x[7] = NAN;
    table.l2_norm(x, 32, 32, 1e-6f, y);
    CHECK(std::isnan(y[0]) && std::isnan(y[7]));
}

void test_affine(const Kernels& table, Random& random) {
    start(table, "affine");
    for (int64_t width : kWidths) {
        const auto x = random_floats(width, random), weight = random_floats(width, random), bias = random_floats(width, random);
        auto both = exact<float>(width), scaled = exact<float>(width), moved = exact<float>(width);
        table.affine(x.get(), weight.get(), bias.get(), width, {both.get(), nullptr});
        table.affine(x.get(), weight.get(), nullptr, width, {scaled.get(), nullptr});
        table.affine(x.get(), nullptr, bias.get(), width, {moved.get(), nullptr});
        for (size_t i = 0; i < (size_t)width; ++i)
            CHECK(scaled[i] == x[i] * weight[i] && moved[i] == x[i] + bias[i] && both[i] == scaled[i] + bias[i]);
        if (width % 32) continue;
        auto q8 = exact<uint8_t>(q8_row_bytes(width));
        table.affine(x.get(), weight.get(), bias.get(), width, {nullptr, q8.get()});
        check_quantised(table, both.get(), q8.get(), width);
    }
}

void test_sums_and_products(const Kernels& table, Random& random) {
    start(table, "add, subtract and multiply");
    for (int64_t width : kWidths) {
        const auto a = random_floats(width, random), b = random_floats(width, random);
        auto sum = exact<float>(width), product = exact<float>(width), rest = exact<float>(width);
        table.subtract(a.get(), b.get(), width, rest.get());
        table.add(a.get(), b.get(), width, sum.get());
        table.multiply(a.get(), b.get(), width, product.get());
        for (size_t i = 0; i < (size_t)width; ++i) CHECK(sum[i] == a[i] + b[i] && product[i] == a[i] * b[i] && rest[i] == a[i] - b[i]);
        table.add(sum.get(), b.get(), width, sum.get());
        for (size_t i = 0; i < (size_t)width; ++i) CHECK(sum[i] == (a[i] + b[i]) + b[i]);
    }
}

bool same_half(uint16_t a, uint16_t b) { return a == b || ((a & 0x7fff) > 0x7c00 && (b & 0x7fff) > 0x7c00); }

void check_halves(const Kernels& table, const std::vector<float>& x) {
    const int64_t n = (int64_t)x.size();
    auto out = exact<uint16_t>(n);
    table.encode(CacheType::F16, x.data(), (int)n, (uint8_t*)out.get());
    bool same = true;
    for (int64_t i = 0; i < n; ++i) same &= same_half(out[(size_t)i], float_to_half(x[(size_t)i]));
    CHECK(same);
}

// Every float16, every point between two of them and its neighbours: subnormals, ties and overflow among them.
void test_encode_half(const Kernels& table, Random& random) {
    start(table, "encode f16");
    const uint32_t step = tally.quick ? 97 : 1;
    for (uint32_t h = 0; h < 0x7c00; h += step) {
        const float here = half_to_float((uint16_t)h);
        const float next = h == 0x7bff ? 65536.0f : half_to_float((uint16_t)(h + 1)), between = 0.5f * here + 0.5f * next;
        const float above = std::nextafterf(between, INFINITY), below = std::nextafterf(between, 0);
        check_halves(table, {here, between, above, below, -here, -between, -above, -below, here, between, above, below, here, between, above, below, -above});
    }
    check_halves(table, {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 65504, 65519.99f, 65520, 1e30f, -1e30f, 1e-30f, 1e-45f, 5.9e-8f, 2.98e-8f, 2.99e-8f, 1, 2});
    for (int64_t width : kWidths) {
        const auto x = random_floats(width, random, -1000, 1000);
        check_halves(table, std::vector<float>(x.get(), x.get() + width));
    }
}

}  // namespace

void test_rows(const Tables& tables) {
    for (const Kernels* table : tables) {
        Random random(21);
        start(*table, "rms_norm");
        for (int64_t width : kWidths) test_rms_norm(*table, width, 1, 3, random);
        for (int64_t group : {8, 16, 20, 32, 64, 128}) test_rms_norm(*table, group, 9, 3, random);
        for (double size : {1e-30, 1e-6, 1e6, 1e17}) test_rms_norm(*table, 64, 3, size, random);
        start(*table, "layer_norm");
        for (int64_t width : kWidths) test_layer_norm(*table, width, 1, 0, random);
        for (int64_t group : {8, 20, 32, 64}) test_layer_norm(*table, group, 5, group, random);
        start(*table, "l2_norm and head_dot");
        for (int64_t group : {1, 8, 20, 64, 100}) test_lengths_and_dots(*table, group, 3, random);
        test_special_lengths(*table);
        test_affine(*table, random);
        test_sums_and_products(*table, random);
        test_encode_half(*table, random);
        CHECK(table->spin_int8(3) > 0);
    }
}

}  // namespace test
