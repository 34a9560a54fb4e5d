// What choosing a token asks of a row of logits, in as few passes over it as can be.
#pragma once

#include <cstdint>
#include <vector>

namespace furet {

// Whether no value is a NaN or an infinity.
bool all_finite(const float* values, int64_t count);

// Where the `wanted` largest values are, by falling value, then rising place, or fewer where `bits` admits fewer; without
// bits all are. Value i has bit i % 32 of word i / 32. None may be a NaN.
std::vector<int64_t> largest(const float* values, int64_t count, int64_t wanted, const uint32_t* bits = nullptr);

// The places of the bits that are set, when they are at most `few`; otherwise nothing, and `out` gets the values whose
// bit is set and minus infinity for all others; `values` and `out` may be the same.
bool admit(const float* values, const uint32_t* bits, int64_t count, int64_t few, float* out, std::vector<int64_t>& places);

}  // namespace furet
