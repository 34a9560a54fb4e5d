// The part of a key projection's bias that is kept out of a quantised cache.
//
// Some models have a bias that dwarfs, in a few channels, what it is added to. It would widen the scale of every block that it
// is in, and it is known without the cache. So keys are held without it, and it has its share of the scores apart:
//
//   q . k_j = q . (k_j - R_j b) + q . R_j b
//
// where b has only those few channels, and R_j turns pairs of them as position j does.
#pragma once

#include <cstdint>

namespace furet {

constexpr int kBiasLines = 128;     // most channels of a head that are kept out

// Two channels that turn together, by one angle; or one that does not turn, with `second` -1.
struct BiasedPair {
    int first, second, angle;
    float a, b;
    int lines() const { return second < 0 ? 1 : 2; }
};

// cos and sin of every angle, at positions 0 to 31 and at every 32nd; the latter times the magnitude of the rope.
struct TileAngles {
    int64_t count;
    const float* near_cos;      // [angles, 32]
    const float* near_sin;
    const float* far_cos;       // [positions / 32, angles]
    const float* far_sin;
};

struct KeyBias {
    const BiasedPair* pairs;    // head after head; nullptr: nothing is kept out
    const int* begin;           // [K + 1] the first of each head
    TileAngles angles;

    int lines(int head) const {
        int count = 0;
        if (pairs)
            for (int i = begin[head]; i < begin[head + 1]; ++i) count += pairs[i].lines();
        return count;
    }
};

}  // namespace furet
