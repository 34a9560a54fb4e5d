#include "choose.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <utility>

namespace furet {
namespace {

constexpr int64_t kGroup = 64;      // values that are looked at together

// Four lanes are what every machine has; what the compiler makes of plain loops takes half as long again.
typedef float Lanes __attribute__((vector_size(16), aligned(4)));
typedef int32_t Bits __attribute__((vector_size(16)));

float largest_of(Lanes top) { return std::max(std::max(top[0], top[1]), std::max(top[2], top[3])); }

float largest_of_group(const float* values) {
    Lanes top = *(const Lanes*)values;
    for (int64_t i = 4; i < kGroup; i += 4) {
        const Lanes next = *(const Lanes*)(values + i);
        top = top > next ? top : next;
    }
    return largest_of(top);
}

constexpr float kNo = -std::numeric_limits<float>::infinity();
constexpr Lanes kNone = {kNo, kNo, kNo, kNo};

// Four values from the i-th of a word on, without those whose bit is not set.
Lanes admitted(const float* values, uint32_t word, int i) {
    const Bits lanes = {1, 2, 4, 8};
    const int32_t four = (int32_t)(word >> i & 15);
    const Bits set = (Bits{four, four, four, four} & lanes) == lanes;
    return set ? *(const Lanes*)(values + i) : kNone;
}

float largest_admitted_of_group(const float* values, const uint32_t* words) {
    if ((words[0] & words[1]) == ~0u) return largest_of_group(values);
    Lanes top = kNone;
    for (int64_t i = 0; i < kGroup; i += 4) {
        const Lanes next = admitted(values + i / 32 * 32, words[i / 32], (int)(i % 32));
        top = top > next ? top : next;
    }
    return largest_of(top);
}

bool is_set(const uint32_t* bits, int64_t i) { return !bits || (bits[i / 32] >> (i % 32) & 1); }

float nth_largest(std::vector<float> values, int64_t n) {
    std::nth_element(values.begin(), values.begin() + (n - 1), values.end(), std::greater<float>());
    return values[(size_t)(n - 1)];
}

// Those of a word of bits, for the last of a row.
uint32_t within(uint32_t word, int64_t left) { return left >= 32 ? word : word & ((1u << left) - 1); }

void admit_word(const float* values, uint32_t word, float* out) {
    for (int i = 0; i < 32; i += 4) *(Lanes*)(out + i) = admitted(values, word, i);
}

}  // namespace

bool all_finite(const float* values, int64_t count) {
    // x - x is 0 for a finite x and a NaN for all others; lanes of a fixed number, so that the compiler may keep them apart.
    float sum[16] = {};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (int lane = 0; lane < 16; ++lane) sum[lane] += values[i + lane] - values[i + lane];
    for (; i < count; ++i) sum[0] += values[i] - values[i];
    for (int lane = 1; lane < 16; ++lane) sum[0] += sum[lane];
    return sum[0] == 0;
}

std::vector<int64_t> largest(const float* values, int64_t count, int64_t wanted, const uint32_t* bits) {
    wanted = std::clamp<int64_t>(wanted, 0, count);
    const int64_t groups = count / kGroup;
    std::vector<int64_t> found;
    if (wanted > 0 && wanted <= groups) {
        // The largest of so many groups are at least this; so nothing below it is wanted.
        std::vector<float> tops((size_t)groups);
        for (int64_t g = 0; g < groups; ++g)
            tops[(size_t)g] = bits ? largest_admitted_of_group(values + g * kGroup, bits + g * kGroup / 32)
                                   : largest_of_group(values + g * kGroup);
        const float least = nth_largest(tops, wanted);
        for (int64_t g = 0; g <= groups; ++g) {
            if (g < groups && tops[(size_t)g] < least) continue;
            for (int64_t i = g * kGroup; i < std::min((g + 1) * kGroup, count); ++i)
                if (values[i] >= least && is_set(bits, i)) found.push_back(i);
        }
    } else if (wanted > 0) {
        for (int64_t i = 0; i < count; ++i)
            if (is_set(bits, i)) found.push_back(i);
    }
    wanted = std::min(wanted, (int64_t)found.size());
    std::partial_sort(found.begin(), found.begin() + wanted, found.end(),
                      [&](int64_t a, int64_t b) { return values[a] > values[b] || (values[a] == values[b] && a < b); });
    found.resize((size_t)wanted);
    return found;
}

bool admit(const float* values, const uint32_t* bits, int64_t count, int64_t few, float* out, std::vector<int64_t>& places) {
    const int64_t words = (count + 31) / 32;
    int64_t set = 0;
    for (int64_t w = 0; w < words; ++w) set += std::popcount(within(bits[w], count - 32 * w));
    if (set <= few) {
        places.reserve((size_t)set);
        for (int64_t w = 0; w < words; ++w)
            for (uint32_t word = within(bits[w], count - 32 * w); word; word &= word - 1)
                places.push_back(32 * w + std::countr_zero(word));
        return true;
    }
    int64_t w = 0;
    for (; 32 * w + 32 <= count; ++w) admit_word(values + 32 * w, bits[w], out + 32 * w);
    for (int64_t i = 32 * w; i < count; ++i)
        out[i] = is_set(bits, i) ? values[i] : kNo;
    return false;
}

}  // namespace furet
