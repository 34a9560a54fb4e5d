// Packing: a copy of a weight in the order in which the matrix kernel reads it, as one stream.
#pragma once

#include <cstdint>

#include "pool.h"
#include "program.h"

namespace furet {

// Panels of 16 rows that a weight's matrices have together.
int64_t panels(const Weight& weight);

// Write some panels of the packed form, whose matrices take `packed_bytes` each, to where they lie in `out`. Throws FileCutShort.
void pack(const Weight& weight, Pool& pool, int64_t first, int64_t last, uint8_t* out);

}  // namespace furet
