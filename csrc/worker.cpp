#include "worker.h"

#include <algorithm>
#include <cstring>

#include "activations.h"
#include "decode.h"

namespace furet {

// What has one task, as most instructions have in a step of one token, is done by the thread that ends what comes before it,
// while the others wait for that anyway: one meeting instead of two.
void Worker::run() {
    const size_t count = program_.instructions_.size();
    for (size_t first = 0; first < count; first = end_) {
        for (end_ = first + 1; end_ < count && is_one_task(program_.instructions_[end_]);) ++end_;
        operate(current_ = first);
    }
}

void Worker::operate(size_t instruction) {
    std::visit([&](const auto& i) { operate(i, program_.tasks_[instruction]); }, program_.instructions_[instruction]);
}

float* Worker::floats(const Buffer& b, int64_t r) const {
    return b.kind == Kind::Out ? step_.out + r * b.width : (float*)row(b, r);
}

Worker::Place Worker::run_of(int64_t token) const {
    const Run* run = step_.runs.data();
    for (; token >= run->count; ++run) token -= run->count;
    return {run, token};
}

RowOut Worker::out(const Buffer& b, int64_t r) const {
    if (b.kind == Kind::Q8) return {nullptr, row(b, r)};
    return {floats(b, r), nullptr};
}

void Worker::operate(const Embed& i, Counter& next) {
    each_row(at(i.out), next, [&](int64_t t) {
        decode_row(*i.weight.info, i.weight.data + step_.tokens[t] * i.weight.row_bytes, i.weight.columns, floats(at(i.out), t));
    });
}

void Worker::operate(const EmbedPositions& i, Counter& next) {
    each_row(at(i.out), next, [&](int64_t t) {
        const auto [run, offset] = run_of(t);
        const int64_t position = run->cache->length + offset + i.offset;
        decode_row(*i.weight.info, i.weight.data + position * i.weight.row_bytes, i.weight.columns, floats(at(i.out), t));
    });
}

void Worker::operate(const TakeRows& i, Counter& next) {
    const Buffer& x = at(i.x);
    const Buffer& o = at(i.out);
    const size_t bytes = (size_t)(x.kind == Kind::Route ? x.row_bytes : x.width * 4);
    each_row(o, next, [&](int64_t r) { std::memcpy(floats(o, r), row(x, step_.rows[r / o.each] * x.each + r % o.each), bytes); });
}

LinearArgs Worker::linear_args(const Linear& i, size_t matrix) const {
    const Weight& w = *i.weights[matrix];
    const Buffer& x = at(i.x);
    const Buffer& y = at(i.outs[matrix]);
    const Floats& bias = i.biases[matrix];
    LinearArgs args{w.info, w.data, w.packed, w.row_bytes, w.rows, w.columns, row(x, 0), x.row_bytes, row_count(x),
                    floats(y, 0), floats_between_rows(y), bias.empty() ? nullptr : bias.data(), nullptr, 0};
    if (i.residual >= 0) {
        args.residual = floats(at(i.residual), 0);
        args.residual_stride = floats_between_rows(at(i.residual));
    }
    return args;
}

// Where tokens are few, a thread reads many KB of a matrix at once, but leaves the others as much: measured up to a tenth faster
// than small shares.
Grain Worker::grain(int64_t count, int64_t unit_bytes, int64_t tokens) const {
    constexpr int64_t few = 16, least_bytes = 96 << 10, most = 64;
    const int64_t least = tokens > few ? 1 : std::min(least_bytes / unit_bytes, count / pool_.threads());
    return {std::clamp<int64_t>(least, 1, most), most};
}

void Worker::operate(const Linear& i, Counter& next) {
    int64_t count = 0;
    if (row_count(at(i.x)) > 0)
        for (const Weight* w : i.weights) count += units(*w);
    share(next, count, grain(count, kernels_.row_tile * i.weights[0]->row_bytes, row_count(at(i.x))), [&](int64_t first, int64_t last) {
        int64_t begin = 0;
        for (size_t j = 0; j < i.weights.size(); ++j) {
            const int64_t end = begin + units(*i.weights[j]);
            const int64_t from = std::max(first, begin), to = std::min(last, end);
            if (from < to) kernels_.linear(linear_args(i, j), from - begin, to - begin, pool_.scratch(thread_));
            begin = end;
        }
    });
}

void Worker::multiply_blocks(const Weight& w, const Buffer& x, const Blocks& blocks, float* to) {
    const int64_t skipped = blocks.first * kActivationBlock * w.row_bytes, rows = blocks.count * kActivationBlock;
    const LinearArgs args{w.info, w.data ? w.data + skipped : nullptr, w.packed ? w.packed + skipped : nullptr, w.row_bytes, rows, w.columns,
                          row(x, 0), x.row_bytes, row_count(x), to, rows, nullptr, nullptr, 0};
    kernels_.linear(args, 0, (rows + kernels_.row_tile - 1) / kernels_.row_tile, pool_.scratch(thread_));
}

void Worker::gate_blocks(Function function, const Scratch& scratch, const Buffer& o, const Blocks& blocks, int64_t tokens) {
    const int64_t width = blocks.count * kActivationBlock;
    if (o.kind == Kind::Q8 && blocks.count == 1) {
        uint8_t* first = row(o, 0) + blocks.first * (int64_t)sizeof(Q8Block);
        return kernels_.gated(function, scratch.gate, scratch.up, 0, tokens * width, {nullptr, first, o.row_bytes});
    }
    for (int64_t t = 0; t < tokens; ++t) {
        RowOut to = out(o, t);
        if (to.q8) to.q8 += blocks.first * (int64_t)sizeof(Q8Block);
        else to.f32 += blocks.first * kActivationBlock;
        kernels_.gated(function, scratch.gate + t * width, scratch.up + t * width, 0, width, to);
    }
}

// Many tokens go through 32 rows of both weights at a time, so that what is between them stays in the nearest cache; of few
// tokens more rows share what a matrix begins with.
void Worker::operate(const GatedLinear& i, Counter& next) {
    constexpr int64_t few = 128;
    const Buffer& x = at(i.x);
    const Buffer& o = at(i.out);
    const int64_t tokens = row_count(x), most = tokens ? std::max<int64_t>(1, few / tokens) : 1;
    const int64_t count = tokens ? o.width / kActivationBlock : 0;
    share(next, count, grain(count, 2 * kActivationBlock * i.gate->row_bytes, tokens), [&](int64_t first, int64_t last) {
        Scratch& scratch = pool_.scratch(thread_);
        for (Blocks blocks{first, 0}; blocks.first < last; blocks.first += blocks.count) {
            blocks.count = std::min(most, last - blocks.first);
            multiply_blocks(*i.gate, x, blocks, scratch.gate);
            multiply_blocks(*i.up, x, blocks, scratch.up);
            gate_blocks(i.function, scratch, o, blocks, tokens);
        }
    });
}

}  // namespace furet
