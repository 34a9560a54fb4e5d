// The program: a flat list of instructions over the buffers of one arena, run for all tokens of a step in one call.
//
// Every thread of the pool walks the same list. An instruction is cut into tasks that threads take from a shared counter, so
// an uneven machine is used evenly; all go on when its tasks are done. Which thread does a task never changes a result.
//
// A thread may be late by any time: it then walks through instructions that are done. So nothing of the arena may be read
// but within a task, and how many tasks there are must follow from the step alone.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cache.h"
#include "cpu.h"
#include "instructions.h"
#include "pool.h"

namespace furet {

enum class Kind { F32, Q8, Route, Out };
enum class Rows { Tokens, Rows };

int64_t buffer_row_bytes(Kind kind, int64_t width);

struct Run {
    Cache* cache;
    int64_t count;
};

struct Buffer {
    int64_t width;
    Kind kind;
    Rows rows;
    int64_t offset, row_bytes;
    int64_t each;               // rows per token, or per row of logits, one after the other
    int64_t experts = 0;        // of a route that an instruction writes
};

struct RopeTable {
    std::vector<double> inverse_frequencies;
    double magnitude;
    Floats cos, sin;            // [max_tokens, D/2], filled at the start of a step
    // Of tiles, see TileAngles; empty unless a bias of keys turns by them. The far ones grow with the longest sequence.
    Floats near_cos, near_sin, far_cos, far_sin;
};

// What a KeyBias is a view of.
struct StoredKeyBias {
    int table;                  // -1: nothing turns
    std::vector<BiasedPair> pairs;
    std::vector<int> begin;
    int channels = 0;           // of a head that it wants at least
};

// What one step brings: the caller's arrays and which sequence each token belongs to.
struct Step {
    const int32_t* tokens;
    int64_t count;
    std::vector<Run> runs;
    const int32_t* rows;
    int64_t row_count;
    float* out;
};

// A decoder continues its sequences. An encoder reads each as a whole: it leaves their lengths as they are, and perhaps
// what later attention is to remember.
enum class Reader { Decoder, Encoder, Remembering };

// Where threads that share the keys of one query leave what they gathered from their spans.
struct Parts {
    std::unique_ptr<float[]> floats;
    std::unique_ptr<std::atomic<int64_t>[]> done;       // zeros between instructions
    int64_t float_count = 0, done_count = 0;
};

// Floats of the parts of `rows` (token, head) pairs over a cache of so many tokens.
constexpr int64_t parts_of(int64_t rows, int dim, int64_t capacity) { return rows * ((capacity + kSpan - 1) / kSpan) * part_floats(dim); }

class Program {
public:
    Program(int64_t max_tokens, int64_t max_rows, int64_t arena_bytes);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    int buffer(int64_t width, Kind kind, Rows rows, int64_t offset, int64_t each = 1);
    int rope_table(std::vector<double> inverse_frequencies, double magnitude);
    // What keys are to be held without: `counts` pairs of each kv head, one after the other; table -1: none of them turns.
    int key_bias(int table, const std::vector<int>& counts, std::vector<BiasedPair> pairs);
    // Throws std::invalid_argument for an instruction that does not fit the buffers; `add` checks as well.
    void check(const Instruction& instruction) const;
    void add(Instruction instruction);
    int64_t width(int buffer) const;
    // What the last step has left in a buffer of floats, of its first so many rows of logits. -> [rows, width]
    void read(int buffer, int64_t rows, float* out) const;
    // Throws std::invalid_argument before anything is changed. One step at a time: a second thread waits.
    void step(Pool& pool, Step step);

private:
    friend class Worker;
    void fill_tables(const Step& step);
    // The angles of tiles, as far as the step's sequences reach.
    void fill_tiles(const Step& step);
    KeyBias view(const StoredKeyBias& bias) const;
    // Room for the parts of every attention of the step, should it be split.
    void make_room(const Step& step);
    // What the program becomes with one more instruction that keeps keys.
    Reader reader_with(const Append& append) const;

    int64_t max_tokens_, max_rows_;
    Reader reader_ = Reader::Decoder;
    size_t arena_bytes_;
    uint8_t* arena_;
    std::vector<Buffer> buffers_;
    std::vector<RopeTable> tables_;
    std::vector<StoredKeyBias> key_biases_;
    std::vector<Instruction> instructions_;
    std::deque<Tasks> tasks_;           // of each instruction
    Parts parts_;
    std::mutex stepping_;
};

}  // namespace furet
