#define FURET_ISA i8mm
#include "simd/neon.h"
#include "kernels/table.h"

namespace furet {
const Kernels kI8mm = i8mm::table;
}
