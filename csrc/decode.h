// The portable reading of every quantised block: codes, scales and mins. It serves embedding rows, types without a vector
// unpacker, and as the reference for those that have one.
#pragma once

#include <cstdint>

#include "types.h"

namespace furet {

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
