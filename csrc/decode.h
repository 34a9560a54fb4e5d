// The portable reading of every quantised block: codes, scales and mins. It serves embedding rows, types without a vector
// unpacker, and as the reference for those that have one.
#pragma once

#include <cstdint>

#include "types.h"

namespace furet {

// What the codes of IQ4_NL and IQ4_XS, and of MXFP4 (doubled), stand for.
inline constexpr int8_t kIQ4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr int8_t kFP4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 256 columns of one row at most: value[i] = scale[i / group] * code[i] + min[i / group].
struct Codes {
    int16_t code[256];
    float scale[16];
    float min[16];
};

// Read one block (info.block values) of a quantised type.
void read_block(const TypeInfo& info, const uint8_t* block, Codes& out);

// Decode `count` values (whole blocks) to float; any readable type.
void decode_row(const TypeInfo& info, const uint8_t* data, int64_t count, float* out);

}  // namespace furet
