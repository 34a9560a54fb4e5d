// The instructions of a program, one struct each; numbers of buffers where nothing else is said. See src/furet/_core.pyi.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "kernels.h"

namespace furet {

// Instructions that multiply hold a pointer to theirs: it may be packed between two steps.
struct Weight {
    const TypeInfo* info;
    const uint8_t* data;
    const uint8_t* packed;      // rows rounded up to 16, in the order of Kernels::pack; nullptr when not packed
    int64_t rows, columns, row_bytes;
    int64_t matrices = 1;       // of so many rows each, one after the other

    int64_t packed_bytes() const { return (rows + 15) / 16 * 16 * row_bytes; }  // of one matrix
};

using Floats = std::vector<float>;

enum class Style { Interleaved, Halves };

struct Embed { Weight weight; int out; };
struct EmbedPositions { Weight weight; int64_t offset; int out; };
struct TakeRows { int x, out; };
struct Linear { int x; std::vector<const Weight*> weights; std::vector<Floats> biases; std::vector<int> outs; int residual; };

struct RmsNorm { int x; Floats weight; float eps; int out; };
struct LayerNorm { int x; Floats weight, bias; int64_t groups; float eps; int out; };  // weight and bias [width]; bias may be empty
struct L2Norm { int x; int64_t heads; float eps; int out; };
struct HeadDot { int a, b; int64_t heads; int out; };
struct Quantise { int x, out; };
struct Affine { int x; Floats weight, bias; int out; };         // either may be empty
struct Activate { Function function; int x; float parameter; int out; };
struct Gated { Function function; int gate, up, out; };
struct GatedLinear { int x; const Weight *gate, *up; Function function; int out; };
struct Columns { int x; int64_t first; int out; };
struct Add { int a, b, out; };
struct Subtract { int a, b, out; };
struct Multiply { int a, b, out; };

struct Rope { int x; int head_dim, table; Style style; };
// Which keys: those of the cache's layer and a query's own past; those of the step, before and behind the query, for which the
// layer of an empty cache lends its room; those that an encoder left in the cache's memory.
enum class Keys { Past, Step, Memory };
// `bias` is what the keys of a quantised cache are held without, a number that Program::key_bias gave, or -1.
struct Append { int k, v, layer, head_dim; Keys keys; int bias = -1; };

struct Scores { float scale, soft_cap; Floats slopes, distances; int64_t first_distance; };     // see ScoreArgs; may be empty
struct Attention { int q; Keys keys; int layer, heads, kv_heads, head_dim; Scores scores; int64_t window; int out; int bias = -1; };

struct Route { int scores; bool normalise; int out; };
struct Dispatch { int x, route, out; };
struct ExpertLinear { int x; std::vector<const Weight*> weights; int route; std::vector<int> outs; };
struct Combine { int x, route, out; };

// `state` is a number in the cache. Convolve::weight is [taps, width], SelectiveScan::rates [size, width].
struct Shift { int state, x, out; };
struct Convolve { int state, x; Floats weight, bias; int out; };
struct SelectiveScan { int state, x, dt, b, c; Floats rates, skip; int out; };
struct Wkv4 { int state, k, v; Floats decay, first; int out; };
struct Wkv7 { int state, r, decay, k, v, a, b, heads, out; };

using Instruction = std::variant<Embed, EmbedPositions, TakeRows, Linear, RmsNorm, LayerNorm, L2Norm, HeadDot, Quantise, Affine,
                                 Activate, Gated, GatedLinear, Columns, Add, Subtract, Multiply, Rope, Append, Attention, Route,
                                 Dispatch, ExpertLinear, Combine, Shift, Convolve, SelectiveScan, Wkv4, Wkv7>;

}  // namespace furet
