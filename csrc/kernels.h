// What an instruction set offers to the program: one table of functions. Kernels know no Python and allocate nothing.
#pragma once

#include <cstdint>

#include "recurrence.h"
#include "types.h"

namespace furet {

// Where a kernel writes a row: exactly one of the two is set.
struct RowOut {
    float* f32;
    uint8_t* q8;
};

constexpr int kPanelColumns = 256;                 // columns of weights that are unpacked at a time
constexpr int kMaxTokens = 1024;                   // tokens of one step
constexpr int kHeadLimit = 512;                    // widest attention head
constexpr int kMaxExperts = 1024;                  // experts of one layer

// Private working memory of one thread.
struct Scratch {
    alignas(64) uint8_t panel[2 * 16 * kPanelColumns * 4];   // unpacked weights of up to 32 rows
    alignas(64) float sums[kMaxTokens * 32];                 // partial results of those rows
    alignas(64) float heads[16 * kHeadLimit];                // attention: outputs in the making
    alignas(64) float scores[16 * 64];                       // attention: scores of one block of keys
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

// Keys lie as [K, capacity / 16, D, 16] and values as [K, capacity, D padded to 16], both float16: so that 16 keys, or 16
// channels of a value, are one vector.
struct AttentionArgs {
    const float* q;             // [tokens, H * D]
    int64_t q_stride;
    const uint16_t* keys;
    const uint16_t* values;
    int64_t capacity;           // a multiple of 64
    int64_t key_count;
    int64_t start;              // position of the first of `tokens`
    int64_t tokens;
    int heads, kv_heads, head_dim;
    bool causal;                // a query sees keys up to its own position; otherwise all
    int64_t window;             // keys further back than this are not seen; 0: all are
    ScoreArgs scores;
    RowOut out;                 // row of the first token, [tokens, H * D]
    int64_t out_stride;         // bytes
    int64_t out_width;
};

// Functions of single values; the last three have a parameter: x * p, p tanh(x / p), x within [-p, p].
enum class Function { Silu, Gelu, GeluTanh, Relu, Sigmoid, Tanh, Exp, Softplus, Scale, SoftCap, Clamp };
constexpr bool has_parameter(Function f) { return f >= Function::Scale; }

struct Kernels {
    const char* name;
    int row_tile;               // rows that one unit of `linear` covers
    int query_tile;             // (token, head) pairs that one task of `attend` covers

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
    void (*activate)(Function, float parameter, const float* x, int64_t begin, int64_t end, int64_t width, RowOut out);
    void (*gated)(Function, const float* gate, const float* up, int64_t begin, int64_t end, int64_t width, RowOut out);
    void (*add)(const float* a, const float* b, int64_t n, float* out);
    void (*subtract)(const float* a, const float* b, int64_t n, float* out);
    void (*multiply)(const float* a, const float* b, int64_t n, float* out);
    // Query rows [first, first + query_tile) of the (token, head) pairs that share kv head `kv`.
    void (*attend)(const AttentionArgs&, int kv, int64_t first, Scratch&);
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
    // Floats to float16, as the cache holds them.
    void (*store_half)(const float* x, int64_t n, uint16_t* out);
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
