// What a cache holds of a key or value, decoded in double precision.
#pragma once

#include "check.h"
#include "key_values.h"

namespace test {

const char* name_of(furet::CacheType type);
// Whether blocks are held times the Hadamard matrix.
bool is_turned(furet::CacheType type);
// Turns them back, or there.
void turn_back(furet::CacheType type, int dim, float* x);
// The values that an encoded row stands for, turned as they are held.
void decode(furet::CacheType type, int dim, const uint8_t* row, float* out);

}  // namespace test
