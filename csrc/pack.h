// Packing: a copy of a weight in the order in which the matrix kernel reads it, as one stream.
#pragma once

#include <cstdint>

#include "pool.h"
#include "program.h"

namespace furet {

// Write the packed form of all matrices of a weight, `matrices` times `packed_bytes`.
void pack(const Weight& weight, Pool& pool, uint8_t* out);

}  // namespace furet
