#define FURET_ISA portable
#include "simd/portable.h"
#include "kernels/table.h"

namespace furet {
const Kernels kPortable = portable::table;
}
