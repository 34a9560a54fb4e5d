// Random weights of every type: codes are any bits, scales are what a file could hold.
#pragma once

#include "check.h"
#include "decode.h"

namespace test {

enum class Scales {
    Ordinary,       // small numbers of either sign
    Ones,           // 1, so that sums of products are whole numbers
    Any,            // random bits as well: infinities, NaNs, subnormals
};

// `blocks` blocks; float types get small numbers, or small whole ones.
void fill_blocks(const furet::TypeInfo& info, uint8_t* data, int64_t blocks, Scales scales, Random& random);
// Put a scale of 1 into a block that has been filled with some byte.
void set_scales_to_one(const furet::TypeInfo& info, uint8_t* block);
// A name for messages.
std::string name_of(const furet::TypeInfo& info);

}  // namespace test
