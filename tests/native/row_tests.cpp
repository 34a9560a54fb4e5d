// Norm, activation functions and conversions, against the same formulas in double precision.
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

double silu_of(double x) { return x / (1 + std::exp(-x)); }

// e^-x is good to 2 ulp above -87, then come a sum and a quotient; beyond, it stops growing, so that the result is below
// |x| * e^-87 instead of even less.
double silu_bound(double x) { return (4 + 1 + 1) * kRounding * std::fabs(silu_of(x)) + std::fabs(x) * 1.2e-38; }

void test_silu(const Kernels& table, Random& random) {
    start(table, "silu");
    for (int64_t width : kWidths) {
        const auto x = random_floats(width, random, -30, 30);
        auto y = exact<float>(width);
        table.silu(x.get(), width, y.get());
        for (int64_t i = 0; i < width; ++i) CHECK_NEAR(y[(size_t)i], silu_of(x[(size_t)i]), silu_bound(x[(size_t)i]));
    }
    // Every magnitude, closely: 16 at a time.
    const double step = tally.quick ? 0.5 : 0.01;
    for (double from = -120; from < 120; from += 16 * step) {
        auto x = exact<float>(16), y = exact<float>(16);
        for (int i = 0; i < 16; ++i) x[(size_t)i] = (float)(from + i * step);
        table.silu(x.get(), 16, y.get());
        for (int i = 0; i < 16; ++i) CHECK_NEAR(y[(size_t)i], silu_of(x[(size_t)i]), silu_bound(x[(size_t)i]));
    }
    const float special[] = {0.0f, -0.0f, 1e-40f, -1e-40f, 1e30f, -1e4f, NAN, INFINITY};
    auto y = exact<float>(8);
    table.silu(special, 8, y.get());
    for (int i = 0; i < 6; ++i) CHECK_NEAR(y[(size_t)i], silu_of(special[i]), silu_bound(special[i]));
    CHECK(std::isnan(y[6]) && y[7] == INFINITY);
}

void test_swiglu(const Kernels& table, Random& random) {
    start(table, "swiglu");
    for (int64_t width : kWidths) {
        const auto gate = random_floats(width, random, -20, 20), up = random_floats(width, random);
        auto y = exact<float>(width), part = exact<float>(width);
        table.swiglu(gate.get(), up.get(), 0, width, width, {y.get(), nullptr});
        for (int64_t i = 0; i < width; ++i) {
            const double bound = (silu_bound(gate[(size_t)i]) + kRounding * std::fabs(silu_of(gate[(size_t)i]))) * std::fabs(up[(size_t)i]);
            CHECK_NEAR(y[(size_t)i], silu_of(gate[(size_t)i]) * up[(size_t)i], bound * 1.01 + 1e-44);
        }
        for (int64_t begin = 0; begin < width; begin += 32)
            table.swiglu(gate.get(), up.get(), begin, std::min(begin + 32, width), width, {part.get(), nullptr});
        CHECK(same_bits(part.get(), y.get(), 4 * width));
        if (width % 32) continue;
        auto q8 = exact<uint8_t>(q8_row_bytes(width));
        for (int64_t begin = width - 32; begin >= 0; begin -= 32) table.swiglu(gate.get(), up.get(), begin, begin + 32, width, {nullptr, q8.get()});
        check_quantised(table, y.get(), q8.get(), width);
    }
}

void test_sums_and_products(const Kernels& table, Random& random) {
    start(table, "add and multiply");
    for (int64_t width : kWidths) {
        const auto a = random_floats(width, random), b = random_floats(width, random);
        auto sum = exact<float>(width), product = exact<float>(width);
        table.add(a.get(), b.get(), width, sum.get());
        table.multiply(a.get(), b.get(), width, product.get());
        for (size_t i = 0; i < (size_t)width; ++i) CHECK(sum[i] == a[i] + b[i] && product[i] == a[i] * b[i]);
        table.add(sum.get(), b.get(), width, sum.get());
        for (size_t i = 0; i < (size_t)width; ++i) CHECK(sum[i] == (a[i] + b[i]) + b[i]);
    }
}

bool same_half(uint16_t a, uint16_t b) { return a == b || ((a & 0x7fff) > 0x7c00 && (b & 0x7fff) > 0x7c00); }

void check_halves(const Kernels& table, const std::vector<float>& x) {
    const int64_t n = (int64_t)x.size();
    auto out = exact<uint16_t>(n);
    table.store_half(x.data(), n, out.get());
    bool same = true;
    for (int64_t i = 0; i < n; ++i) same &= same_half(out[(size_t)i], float_to_half(x[(size_t)i]));
    CHECK(same);
}

// Every float16, every point between two of them and its neighbours: subnormals, ties and overflow among them.
void test_store_half(const Kernels& table, Random& random) {
    start(table, "store_half");
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
        test_silu(*table, random);
        test_swiglu(*table, random);
        test_sums_and_products(*table, random);
        test_store_half(*table, random);
        CHECK(table->spin_int8(3) > 0);
    }
}

}  // namespace test
