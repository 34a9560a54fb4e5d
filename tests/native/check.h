// What the kernel tests stand on: a check that counts, a seeded generator, and blocks of memory that end where their data
// ends, so that AddressSanitizer sees a read of one byte too many.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels.h"

namespace test {

struct Tally {
    int64_t passed = 0, failed = 0;
    std::string where;          // what is being tested, for the message of a failure
    bool quick = false;         // fewer shapes, for an emulated machine
};
inline Tally tally;

inline bool check(bool holds, const char* what, const char* file, int line, const std::string& more = "") {
    ++(holds ? tally.passed : tally.failed);
    constexpr int64_t kShown = 40;
    if (!holds && tally.failed <= kShown)
        std::printf("%s:%d: %s: %s%s\n", std::strrchr(file, '/') ? std::strrchr(file, '/') + 1 : file, line, tally.where.c_str(), what, more.c_str());
    return holds;
}

inline std::string got_and_wanted(double got, double wanted, double bound) {
    char text[120];
    std::snprintf(text, sizeof text, " (got %.9g, wanted %.9g, off by %.3g of %.3g)", got, wanted, std::fabs(got - wanted), bound);
    return text;
}

#define CHECK(condition) ::test::check((condition), #condition, __FILE__, __LINE__)
#define CHECK_NEAR(got, wanted, bound) ::test::check_near((got), (wanted), (bound), #got, __FILE__, __LINE__)

inline bool check_near(double got, double wanted, double bound, const char* what, const char* file, int line) {
    const bool holds = std::fabs(got - wanted) <= bound;
    return check(holds, what, file, line, holds ? "" : got_and_wanted(got, wanted, bound));
}

inline bool same_bits(const void* a, const void* b, int64_t bytes) { return std::memcmp(a, b, (size_t)bytes) == 0; }

// Like same_bits, except that any NaN is as good as another.
inline bool same_values(const float* a, const float* b, int64_t n) {
    bool same = true;
    for (int64_t i = 0; i < n; ++i) same &= same_bits(a + i, b + i, 4) || (std::isnan(a[i]) && std::isnan(b[i]));
    return same;
}

// Half the distance from 1 to the next float: the relative error of one rounding.
constexpr double kRounding = 0x1p-24;

// splitmix64 (Steele, Lea and Flood, 2014).
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    int64_t below(int64_t n) { return (int64_t)(next() % (uint64_t)n); }
    int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
    double uniform(double low, double high) { return low + (high - low) * (double)(next() >> 11) * 0x1p-53; }

private:
    uint64_t state_;
};

// n values, zeroed.
template <class T> std::unique_ptr<T[]> exact(int64_t n) { return std::make_unique<T[]>((size_t)n); }

inline std::unique_ptr<float[]> random_floats(int64_t n, Random& random, double low = -2, double high = 2) {
    auto out = exact<float>(n);
    for (int64_t i = 0; i < n; ++i) out[(size_t)i] = (float)random.uniform(low, high);
    return out;
}

// Bytes that begin at an odd address, as a tensor of a file may.
class OddBytes {
public:
    explicit OddBytes(int64_t n) : memory_(exact<uint8_t>(n + 1)) {}
    uint8_t* data() const { return memory_.get() + 1; }

private:
    std::unique_ptr<uint8_t[]> memory_;
};

// The working memory of kernels, filled so that a value read before it is written shows up as a NaN.
inline furet::Scratch& dirty_scratch() {
    static const auto scratch = std::make_unique<furet::Scratch>();
    std::memset((void*)scratch.get(), 0xff, sizeof *scratch);
    return *scratch;
}

using Tables = std::vector<const furet::Kernels*>;

void test_decode();
void test_half();
void test_linear(const Tables& tables);
void test_rows(const Tables& tables);
void test_functions(const Tables& tables);
void test_quantise(const Tables& tables);
void test_attention(const Tables& tables);
void test_cached_rows(const Tables& tables);
void test_experts(const Tables& tables);
void test_recurrent(const Tables& tables);
void test_equality(const Tables& tables);
void test_pool();
void test_program(const Tables& tables);
void test_refusals();

}  // namespace test
