#include "choose.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace furet {
namespace {

constexpr int64_t kGroup = 64;      // values that are looked at together

// Four lanes are what every machine has; what the compiler makes of plain loops takes half as long again.
typedef float Lanes __attribute__((vector_size(16), aligned(4)));

float largest_of_group(const float* values) {
    Lanes top = *(const Lanes*)values;
    for (int64_t i = 4; i < kGroup; i += 4) {
        const Lanes next = *(const Lanes*)(values + i);
        top = top > next ? top : next;
    }
    return std::max(std::max(top[0], top[1]), std::max(top[2], top[3]));
}

float nth_largest(std::vector<float> values, int64_t n) {
    std::nth_element(values.begin(), values.begin() + (n - 1), values.end(), std::greater<float>());
    return values[(size_t)(n - 1)];
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

std::vector<int64_t> largest(const float* values, int64_t count, int64_t wanted) {
    wanted = std::clamp<int64_t>(wanted, 0, count);
    const int64_t groups = count / kGroup;
    std::vector<int64_t> found;
    if (wanted > 0 && wanted <= groups) {
        // The largest of so many groups are at least this; so nothing below it is wanted.
        std::vector<float> tops((size_t)groups);
        for (int64_t g = 0; g < groups; ++g) tops[(size_t)g] = largest_of_group(values + g * kGroup);
        const float least = nth_largest(tops, wanted);
        for (int64_t g = 0; g <= groups; ++g) {
            if (g < groups && tops[(size_t)g] < least) continue;
            for (int64_t i = g * kGroup; i < std::min((g + 1) * kGroup, count); ++i)
                if (values[i] >= least) found.push_back(i);
        }
    } else if (wanted > 0) {
        for (int64_t i = 0; i < count; ++i) found.push_back(i);
    }
    std::partial_sort(found.begin(), found.begin() + wanted, found.end(),
                      [&](int64_t a, int64_t b) { return values[a] > values[b] || (values[a] == values[b] && a < b); });
    found.resize((size_t)wanted);
    return found;
}

}  // namespace furet
