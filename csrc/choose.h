// What choosing a token asks of a row of logits, in as few passes over it as can be.
#pragma once

#include <cstdint>
#include <vector>

namespace furet {

// Whether no value is a NaN or an infinity.
bool all_finite(const float* values, int64_t count);

// Where the `wanted` largest values are, by falling value, then rising place. None may be a NaN.
std::vector<int64_t> largest(const float* values, int64_t count, int64_t wanted);

}  // namespace furet
