// 16 vectors to one whose lane i is made of all lanes of vector i, for instruction sets with nothing better than one by one.
// Whatever the order, sums of whole numbers, of zeros and of NaNs are the same.
#pragma once

#include "inline.h"

namespace furet::FURET_ISA {

template <class Reduce> FURET_INLINE F32 floats_of_each(const F32 (&v)[16], Reduce reduce) {
    float lane[16];
    for (int i = 0; i < 16; ++i) lane[i] = reduce(v[i]);
    return load(lane);
}
FURET_INLINE F32 max_of_each(const F32 (&v)[16]) { return floats_of_each(v, [](F32 x) { return max_lanes(x); }); }
FURET_INLINE F32 sum_of_each(const F32 (&v)[16]) { return floats_of_each(v, [](F32 x) { return sum_lanes(x); }); }
FURET_INLINE I32 sum_of_each(const I32 (&v)[16]) {
    int32_t lane[16];
    for (int i = 0; i < 16; ++i) lane[i] = sum_lanes(v[i]);
    return load_int(lane);
}

}  // namespace furet::FURET_ISA
