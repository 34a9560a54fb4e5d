// Functions of single values, alone and as gates, against double precision.
#include <algorithm>

#include "activations.h"
#include "check.h"

namespace test {

using namespace furet;

namespace {

constexpr float kParameter = 2.5f;

double exact_value(Function f, double x) {
    switch (f) {
        case Function::Silu: return x / (1 + std::exp(-x));
        case Function::Gelu: return x * std::erfc(-x / std::sqrt(2.0)) / 2;
        case Function::GeluTanh: return x / (1 + std::exp(-2 * std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
        case Function::Relu: return std::max(x, 0.0);
        case Function::Sigmoid: return 1 / (1 + std::exp(-x));
        case Function::Tanh: return std::tanh(x);
        case Function::Exp: return std::exp(x);
        case Function::Softplus: return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
        case Function::Scale: return x * (double)kParameter;
        case Function::SoftCap: return kParameter * std::tanh(x / kParameter);
        case Function::Clamp: return std::clamp(x, -(double)kParameter, (double)kParameter);
    }
    return NAN;
}

// Some ulp; more where a rounded power of e stands, by the size of its exponent. Below e^-87 a power is 0.
double bound(Function f, double x) {
    double ulps = 8, tail = 1.7e-38;
    if (f == Function::Exp) ulps = 12;      // a square doubles the error of its root
    if (f == Function::Gelu) ulps = 12 + x * x / 2;
    if (f == Function::GeluTanh) ulps = 8 + 8 * std::fabs(x + 0.044715 * x * x * x);
    if (f == Function::Gelu || f == Function::GeluTanh || f == Function::Silu) tail *= std::max(1.0, std::fabs(x));
    return ulps * kRounding * std::fabs(exact_value(f, x)) + tail;
}

constexpr Function kAll[] = {Function::Silu, Function::Gelu, Function::GeluTanh, Function::Relu, Function::Sigmoid, Function::Tanh,
                             Function::Exp, Function::Softplus, Function::Scale, Function::SoftCap, Function::Clamp};

void check_sixteen(const Kernels& table, Function f, const float* x) {
    float y[16];
    table.activate(f, kParameter, x, 0, 16, {y, nullptr});
    for (int i = 0; i < 16; ++i) CHECK_NEAR(y[i], exact_value(f, x[i]), bound(f, x[i]));
}

// Every magnitude closely, then the smallest, and what is no number.
void test_values(const Kernels& table, Function f) {
    const double step = tally.quick ? 0.25 : 0.004;
    const double most = f == Function::Exp ? 88.7 : 110;
    for (double from = -120; from + 15 * step < most; from += 16 * step) {
        float x[16];
        for (int i = 0; i < 16; ++i) x[i] = (float)(from + i * step);
        check_sixteen(table, f, x);
    }
    const float small[16] = {0.0f, -0.0f, 1e-45f, -1e-45f, 1e-40f, -1e-40f, 1e-20f, -1e-20f, 1e-6f, -1e-6f, 1e-3f, -1e-3f, 0.0625f, -0.0625f, 0.62499f, -0.62501f};
    check_sixteen(table, f, small);
    const float special[16] = {NAN, INFINITY, 1e4f, -1e4f, 1e30f};
    float y[16];
    table.activate(f, kParameter, special, 0, 16, {y, nullptr});
    CHECK(std::isnan(y[0]));
    const double high = exact_value(f, 1e4);
    CHECK(std::isinf(high) ? y[2] == INFINITY : std::fabs(y[2] - high) <= kRounding * high * 4);
    CHECK_NEAR(y[3], exact_value(f, -1e4), bound(f, -1e4));
    CHECK(f == Function::Tanh || f == Function::Sigmoid || f == Function::SoftCap || f == Function::Clamp ? std::isfinite(y[1]) : y[1] == INFINITY);
}

void test_rows_of(const Kernels& table, Function f, int64_t width, Random& random) {
    const auto x = random_floats(width, random, -9, 9), up = random_floats(width, random);
    auto y = exact<float>(width), gated = exact<float>(width), part = exact<float>(width);
    table.activate(f, kParameter, x.get(), 0, width, {y.get(), nullptr});
    for (int64_t i = 0; i < width; ++i) CHECK_NEAR(y[(size_t)i], exact_value(f, x[(size_t)i]), bound(f, x[(size_t)i]));
    for (int64_t begin = 0; begin < width; begin += 32)
        table.activate(f, kParameter, x.get(), begin, std::min(begin + 32, width), {part.get(), nullptr});
    CHECK(same_bits(part.get(), y.get(), 4 * width));
    auto q8 = exact<uint8_t>(q8_row_bytes(width));
    if (width % 32 == 0) {
        for (int64_t begin = width - 32; begin >= 0; begin -= 32) table.activate(f, kParameter, x.get(), begin, begin + 32, {nullptr, q8.get()});
        auto wanted = exact<uint8_t>(q8_row_bytes(width));
        table.quantise(y.get(), width, wanted.get());
        CHECK(same_bits(q8.get(), wanted.get(), width + width));
    }
    if (has_parameter(f)) return;
    table.gated(f, x.get(), up.get(), 0, width, {gated.get(), nullptr});
    for (size_t i = 0; i < (size_t)width; ++i) CHECK(gated[i] == y[i] * up[i]);
    for (int64_t begin = 0; begin < width; begin += 32)
        table.gated(f, x.get(), up.get(), begin, std::min(begin + 32, width), {part.get(), nullptr});
    CHECK(same_bits(part.get(), gated.get(), 4 * width));
    if (width % 32) return;
    for (int64_t begin = 0; begin < width; begin += 32) table.gated(f, x.get(), up.get(), begin, begin + 32, {nullptr, q8.get()});
    auto wanted = exact<uint8_t>(q8_row_bytes(width));
    table.quantise(gated.get(), width, wanted.get());
    CHECK(same_bits(q8.get(), wanted.get(), width + width));
}

}  // namespace

void test_functions(const Tables& tables) {
    for (const Kernels* table : tables)
        for (Function f : kAll) {
            Random random(31);
            tally.where = std::string(table->name) + " function " + std::to_string((int)f);
            test_values(*table, f);
            for (int64_t width : {1, 5, 16, 17, 32, 33, 64, 100, 1000}) test_rows_of(*table, f, width, random);
        }
}

}  // namespace test
