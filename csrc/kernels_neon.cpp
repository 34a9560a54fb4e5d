#define FURET_ISA neon
#include "simd/neon.h"
#include "kernels/table.h"

namespace furet {
const Kernels kNeon = neon::table;
}
