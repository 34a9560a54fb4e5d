// One thread's walk through a program.
#pragma once

#include <algorithm>

#include "program.h"

namespace furet {

struct Asked;

class Worker {
public:
    Worker(Program& program, const Step& step, Pool& pool, const Kernels& kernels, int thread)
        : program_(program), step_(step), pool_(pool), kernels_(kernels), thread_(thread) {}
    void run();

private:
    // Each does this thread's share of one instruction by one call of `share`; `next` counts the instruction's tasks.
    using Counter = Tasks;
    void operate(const Embed&, Counter& next);
    void operate(const EmbedPositions&, Counter& next);
    void operate(const TakeRows&, Counter& next);
    void operate(const Linear&, Counter& next);
    void operate(const RmsNorm&, Counter& next);
    void operate(const LayerNorm&, Counter& next);
    void operate(const L2Norm&, Counter& next);
    void operate(const HeadDot&, Counter& next);
    void operate(const Quantise&, Counter& next);
    void operate(const Affine&, Counter& next);
    void operate(const Activate&, Counter& next);
    void operate(const Gated&, Counter& next);
    void operate(const GatedLinear&, Counter& next);
    void operate(const Columns&, Counter& next);
    void operate(const Add&, Counter& next);
    void operate(const Subtract&, Counter& next);
    void operate(const Multiply&, Counter& next);
    void operate(const Rope&, Counter& next);
    void operate(const Append&, Counter& next);
    void operate(const Attention&, Counter& next);
    void operate(const Route&, Counter& next);
    void operate(const Dispatch&, Counter& next);
    void operate(const ExpertLinear&, Counter& next);
    void operate(const Combine&, Counter& next);
    void operate(const Shift&, Counter& next);
    void operate(const Convolve&, Counter& next);
    void operate(const SelectiveScan&, Counter& next);
    void operate(const Wkv4&, Counter& next);
    void operate(const Wkv7&, Counter& next);

    std::vector<Asked> asked_of(const Attention&) const;
    // Into tasks; returns how many.
    int64_t cut(std::vector<Asked>& asked) const;
    void attend_part(const Asked& asked, int kv, int64_t span);
    int64_t find_experts(const Buffer& route, int32_t* out) const;
    int64_t find_tokens(const Buffer& route, int32_t expert, int64_t x_each, Scratch& scratch) const;
    void multiply(const ExpertLinear&, int32_t expert, int64_t tokens, int64_t first, int64_t last);

    void operate(size_t instruction);
    bool is_one_task(const Instruction& instruction) const;
    // What keys of this layer are held without.
    KeyBias bias_of(int bias, const KeyValues& layer) const;
    LinearArgs linear_args(const Linear&, size_t matrix) const;
    // Of 32 columns of an output, that is rows of a weight.
    struct Blocks { int64_t first, count; };
    // Those rows of a weight, to [tokens, 32 * count] floats.
    void multiply_blocks(const Weight& w, const Buffer& x, const Blocks& blocks, float* to);
    void gate_blocks(Function function, const Scratch& scratch, const Buffer& out, const Blocks& blocks, int64_t tokens);
    int64_t units(const Weight& w) const { return (w.rows + kernels_.row_tile - 1) / kernels_.row_tile; }

    // Do tasks [first, last) of `count` with the other threads; where only this one is at it, all.
    template <class Task> void share(Counter& next, int64_t count, Grain grain, Task task);
    // Of the units of a matrix that tokens meet.
    Grain grain(int64_t count, int64_t unit_bytes, int64_t tokens) const;
    template <class Task> void each_row(const Buffer& b, Counter& next, Task task);
    // Row by row and, since a single token is one row, in pieces of columns too: task(row, begin, end).
    template <class Task> void each_piece(const Buffer& b, Counter& next, Task task);

    // Sequence by sequence: task(run, its first token, piece) or, in pieces of columns, task(run, its first token, begin, end).
    template <class Task> void each_sequence(Counter& next, int64_t pieces, Task task);
    template <class Task> void each_sequence_by_columns(const Buffer& b, Counter& next, Task task);

    const Buffer& at(int id) const { return program_.buffers_[(size_t)id]; }
    int64_t row_count(const Buffer& b) const { return b.each * (b.rows == Rows::Tokens ? step_.count : step_.row_count); }
    uint8_t* row(const Buffer& b, int64_t r) const { return program_.arena_ + b.offset + r * b.row_bytes; }
    // The run that a token of the step belongs to, and which of its tokens it is.
    struct Place { const Run* run; int64_t offset; };
    Place run_of(int64_t token) const;
    float* floats(const Buffer& b, int64_t r) const;
    RowOut out(const Buffer& b, int64_t r) const;
    Series series(int id, int64_t token) const;
    int64_t floats_between_rows(const Buffer& b) const { return b.kind == Kind::Out ? b.width : b.row_bytes / 4; }

    Program& program_;
    const Step& step_;
    Pool& pool_;
    const Kernels& kernels_;
    const int thread_;
    size_t current_ = 0, end_ = 0;      // the instructions at hand: the first is shared, the others follow it on one thread
    bool alone_ = false;
};

template <class Task> void Worker::share(Counter& next, int64_t count, Grain grain, Task task) {
    if (alone_) {
        if (count) task(0, count);
        return;
    }
    pool_.share(thread_, next, count, grain, task, [&] {
        alone_ = true;
        while (++current_ < end_) operate(current_);
        alone_ = false;
    });
}

template <class Task> void Worker::each_row(const Buffer& b, Counter& next, Task task) {
    const int64_t rows = row_count(b);
    const int64_t grain = std::max<int64_t>(1, rows / (pool_.threads() * 4));
    share(next, rows, grain, [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) task(r);
    });
}

}  // namespace furet
