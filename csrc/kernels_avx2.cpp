#define FURET_ISA avx2
#include "simd/avx2.h"
#include "kernels/table.h"

namespace furet {
const Kernels kAvx2 = avx2::table;
}
