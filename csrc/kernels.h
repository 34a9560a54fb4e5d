// What an instruction set offers to the program: one table of functions. Kernels know no Python and allocate nothing.
#pragma once

#include <cstdint>

#include "activations.h"
#include "key_bias.h"
#include "key_values.h"
#include "recurrence.h"
#include "types.h"

namespace furet {

// Where a kernel writes a row: exactly one of the two is set. Blocks of the latter begin `apart` bytes after one another.
struct RowOut {
    float* f32;
    uint8_t* q8;
    int64_t apart = sizeof(Q8Block);
};

constexpr int kPanelColumns = 320;                 // columns of weights that are unpacked at a time: two go over 576, three over 896
constexpr int kMaxTokens = 1024;                   // tokens of one step
constexpr int kHeadLimit = 512;                    // widest attention head
constexpr int kMaxExperts = 1024;                  // experts of one layer
constexpr int kSpan = 256;                         // keys between whose softmax and the next span's there is a merge
constexpr int kQueryRows = 96;                     // most (token, head) pairs that one task of attention covers
constexpr int kSplitRows = 48;                     // and of those whose keys several tasks share
constexpr int64_t kQueryStride = kHeadLimit + kBiasLines + 16;  // floats between rows of queries, and of scores: off powers of two, so that
constexpr int64_t kScoreStride = kSpan + 16;       // rows do not meet in one set of the cache

// Bytes between where packed weights are read and where they are fetched from memory meanwhile: by few tokens, which take them as
// fast as they come, and to a panel, which all tokens meet before more is read.
extern const int64_t kFetchAhead;
constexpr int64_t kPanelAhead = 3 << 10;

// Floats of what one query gathers from keys: the highest score, the sum of the weights, 14 unused, and D sums of values.
constexpr int64_t part_floats(int dim) { return 16 + (dim + 15) / 16 * 16; }

// Private working memory of one thread.
struct Scratch {
    alignas(64) uint8_t panel[2 * 16 * kPanelColumns * 4];   // unpacked weights of up to 32 rows
    alignas(64) float sums[kMaxTokens * 32];                 // partial results of those rows
    alignas(64) float gate[kMaxTokens * 32], up[kMaxTokens * 32];       // columns of a gate, and of what goes through it
    alignas(64) float held[(kHeadLimit + kBiasLines) * kTile];   // attention: keys or values of a tile, as floats
    alignas(64) float queries[kQueryRows * kQueryStride];    // attention: queries, scaled
    alignas(64) float scores[kQueryRows * kScoreStride];     // attention: scores of one span of keys
    alignas(64) float parts[kQueryRows * part_floats(kHeadLimit)];      // attention: what comes of it
    alignas(64) float wholes[kQueryRows * part_floats(kHeadLimit)];     // attention: and of all spans before
    int32_t experts[kMaxExperts];                            // experts that a step's tokens go to
    int32_t x_rows[kMaxTokens], y_rows[kMaxTokens];          // where the tokens of one expert are read and written
};

struct LinearArgs {
    const TypeInfo* info;
    const uint8_t* weight;      // [rows, columns] in blocks
    const uint8_t* packed;      // the same as `pack` writes it, or nullptr
    int64_t row_bytes;
    int64_t rows, columns;
    const uint8_t* x;           // [tokens, columns]: q8 rows for a quantised weight, float rows otherwise
    int64_t x_stride;           // bytes between tokens
    int64_t tokens;
    float* y;                   // [tokens, rows]
    int64_t y_stride;           // floats between tokens
    const float* bias;          // [rows] or nullptr
    const float* residual;      // like y (may be y) or nullptr
    int64_t residual_stride;    // floats
    const int32_t* x_rows = nullptr;    // [tokens] rows of x and of y that a token stands for; nullptr: its own number
    const int32_t* y_rows = nullptr;
};

inline int64_t row_of(const int32_t* rows, int64_t token) { return rows ? rows[token] : token; }

// What else a score is made of besides scale * q . k.
struct ScoreArgs {
    float scale;
    float soft_cap;             // last of all, cap * tanh(score / cap); 0: not
    const float* slopes;        // [heads] added per token from the query to the key, or nullptr
    const float* distances;     // [heads, span] added by distance, the first for `first_distance` and all before, or nullptr
    int64_t first_distance, span;
    bool plain() const { return !soft_cap && !slopes && !distances; }
};

struct AttentionArgs {
    const float* q;             // [tokens, H * D]
    int64_t q_stride;
    KeyValues cache;
    int64_t key_count;
    int64_t start;              // position of the first of `tokens`
    int64_t tokens;
    int heads;
    bool causal;                // a query sees keys up to its own position; otherwise all
    int64_t window;             // keys further back than this are not seen; 0: all are
    ScoreArgs scores;
    RowOut out;                 // row of the first token, [tokens, H * D]
    int64_t out_stride;         // bytes
    int64_t out_width;
    KeyBias bias = {};          // what the cache's keys are held without
};

// The (token, head) pairs that share a kv head.
inline int64_t rows_of(const AttentionArgs& a) { return a.tokens * (a.heads / a.cache.heads); }

// The spans [first, last) that any query of the args sees.
struct Spans {
    int64_t first, last;
    int64_t count() const { return last - first; }
};
inline Spans spans_of(const AttentionArgs& a) {
    const int64_t newest = a.causal ? a.start + a.tokens - 1 : a.key_count - 1;
    const int64_t oldest = a.window > 0 && a.start >= a.window ? a.start - a.window + 1 : 0;
    return {oldest / kSpan, newest / kSpan + 1};
}

// Functions of single values; the last three have a parameter: x * p, p tanh(x / p), x within [-p, p].
enum class Function { Silu, Gelu, GeluTanh, Relu, Sigmoid, Tanh, Exp, Softplus, Scale, SoftCap, Clamp };
constexpr bool has_parameter(Function f) { return f >= Function::Scale; }

struct Kernels {
    const char* name;
    int row_tile;               // rows that one unit of `linear` covers

    // Rows [unit * row_tile, (unit + 1) * row_tile) of y = x W^T (+ bias) (+ residual), for units first <= unit < last.
    void (*linear)(const LinearArgs&, int64_t first, int64_t last, Scratch&);
    // Rows [16 * panel, 16 * panel + 16) of args.weight in the order in which `linear` reads them fastest: 16 * row_bytes
    // bytes. Rows past the end repeat the last.
    void (*pack)(const LinearArgs&, int64_t panel, uint8_t* out, Scratch&);
    void (*quantise)(const float* x, int64_t width, uint8_t* out);
    // x / sqrt(mean(x^2) + eps) * weight for each group of `group` values of a row.
    void (*rms_norm)(const float* x, const float* weight, int64_t group, int64_t width, float eps, RowOut out);
    // (x - mean) / sqrt(variance + eps) * weight (+ bias), in each group of `group` values; weight and bias [width].
    void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t group, int64_t width, float eps, RowOut out);
    // x / max(|x|, eps) for each group of `group` values.
    void (*l2_norm)(const float* x, int64_t group, int64_t width, float eps, float* out);
    // The dot product of a and b in each group of `group` values, at each of its places.
    void (*head_dot)(const float* a, const float* b, int64_t group, int64_t width, float* out);
    // x * weight + bias, either of which may be nullptr.
    void (*affine)(const float* x, const float* weight, const float* bias, int64_t width, RowOut out);
    // Columns [begin, end), multiples of 32 (or the row's end for float output), of f(x) and of f(gate) * up.
    void (*activate)(Function, float parameter, const float* x, int64_t begin, int64_t end, RowOut out);
    void (*gated)(Function, const float* gate, const float* up, int64_t begin, int64_t end, RowOut out);
    void (*add)(const float* a, const float* b, int64_t n, float* out);
    void (*subtract)(const float* a, const float* b, int64_t n, float* out);
    void (*multiply)(const float* a, const float* b, int64_t n, float* out);
    // Rows [first, first + count) of the (token, head) pairs that share kv head `kv`, at most kQueryRows.
    void (*attend)(const AttentionArgs&, int kv, int64_t first, int64_t count, Scratch&);
    // All rows, at most kQueryRows, in pieces: what they gather from one span, as [rows, part_floats], and the result from
    // [spans, rows, part_floats].
    void (*attend_span)(const AttentionArgs&, int kv, int64_t span, float* parts, Scratch&);
    void (*merge_spans)(const AttentionArgs&, int kv, const float* parts, Scratch&);
    // The `used` experts of highest softmax(score), best first and of equal scores the lower one, and their weights, which are
    // made to add up to 1 with `normalise`.
    void (*route)(const float* scores, int64_t experts, int64_t used, bool normalise, int32_t* chosen, float* weights, Scratch&);
    // out = sum over `used` rows of x, `stride` floats apart, of weight * row, in order.
    void (*combine)(const float* x, int64_t stride, const float* weights, int64_t used, int64_t width, float* out);
    // Columns [begin, end), multiples of 16 or the row's end, of a recurrent rule over the tokens of one sequence.
    void (*convolve)(const ConvolveArgs&, int64_t begin, int64_t end);
    void (*selective_scan)(const SelectiveScanArgs&, int64_t begin, int64_t end);
    void (*wkv4)(const Wkv4Args&, int64_t begin, int64_t end);
    // Values [i, i + 16), a multiple of 16 or the head's end, of one head.
    void (*wkv7)(const Wkv7Args&, int64_t head, int64_t i);
    // The key or value of one position and head as the cache holds it, in encoded_bytes(type, dim) bytes.
    void (*encode)(CacheType type, const float* x, int dim, uint8_t* out);
    // Multiply-accumulate as fast as the machine can, from registers; returns the operations done (for measuring the peak).
    int64_t (*spin_int8)(int64_t rounds);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#elif defined(__aarch64__)
extern const Kernels kNeon;
extern const Kernels kI8mm;
#endif

}  // namespace furet
