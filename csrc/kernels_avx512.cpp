#define FURET_ISA avx512
#include "simd/avx512.h"
#include "kernels/table.h"

namespace furet {
const Kernels kAvx512 = avx512::table;
}
