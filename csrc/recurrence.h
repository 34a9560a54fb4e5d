// What the recurrent kernels read and write: the tokens of one sequence in one step, and the state that it keeps.
#pragma once

#include <cstdint>

namespace furet {

constexpr int kMaxStateSize = 512;      // values that a column, or a row of a head's matrix, keeps

// The rows of a value, one per token.
struct Series {
    float* first;
    int64_t apart;              // floats between rows

    float* operator[](int64_t token) const { return first + token * apart; }
};

struct ConvolveArgs {
    int64_t tokens, width, taps;
    Series x, y;
    const float* weight;        // [taps, width], the newest token's last
    const float* bias;          // [width] or nullptr
    float* state;               // [taps - 1, width]: the tokens before, the newest last
};

struct SelectiveScanArgs {
    int64_t tokens, width, size;
    Series x, dt, b, c, y;      // [tokens, width]; b and c [tokens, size]
    const float* rates;         // [size, width]
    const float* skip;          // [width]
    float* state;               // [size, width]
};

struct Wkv4Args {
    int64_t tokens, width;
    bool fresh;                 // nothing came before: the state is not read
    Series k, v, y;
    const float* decay;         // [width]
    const float* first;         // [width]
    float* state;               // [3, width]: numerator, denominator, and the exponent that both were divided by
};

struct Wkv7Args {
    int64_t tokens, heads, size;
    Series r, decay, k, v, a, b, y;
    float* state;               // [heads, keys, values], both of `size`
};

}  // namespace furet
