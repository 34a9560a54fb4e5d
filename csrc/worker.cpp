#include "worker.h"

#include <cstring>

#include "decode.h"

namespace furet {

void Worker::run() {
    for (size_t i = 0; i < program_.instructions_.size(); ++i)
        std::visit([&](const auto& instruction) { operate(instruction, program_.tasks_[i]); }, program_.instructions_[i]);
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

void Worker::operate(const Linear& i, Counter& next) {
    const Buffer& x = at(i.x);
    const int64_t tokens = row_count(x);
    if (tokens == 0) return;
    std::vector<LinearArgs> matrix(i.weights.size());
    std::vector<int64_t> end(i.weights.size());
    int64_t units = 0;
    for (size_t j = 0; j < i.weights.size(); ++j) {
        const Weight& w = i.weights[j];
        const Buffer& y = at(i.outs[j]);
        const float* bias = i.biases[j].empty() ? nullptr : i.biases[j].data();
        const float* residual = i.residual >= 0 ? floats(at(i.residual), 0) : nullptr;
        const int64_t residual_stride = i.residual >= 0 ? floats_between_rows(at(i.residual)) : 0;
        matrix[j] = {w.info, w.data, w.packed, w.row_bytes, w.rows, w.columns, row(x, 0), x.row_bytes, tokens,
                     floats(y, 0), floats_between_rows(y), bias, residual, residual_stride};
        units += (w.rows + kernels_.row_tile - 1) / kernels_.row_tile;
        end[j] = units;
    }
    const int64_t grain = std::clamp<int64_t>(units / (pool_.threads() * 8), 1, 64);
    share(next, units, grain, [&](int64_t first, int64_t last) {
        for (size_t j = 0; j < matrix.size(); ++j) {
            const int64_t begin = j ? end[j - 1] : 0;
            const int64_t from = std::max(first, begin), to = std::min(last, end[j]);
            if (from < to) kernels_.linear(matrix[j], from - begin, to - begin, pool_.scratch(thread_));
        }
    });
}

}  // namespace furet
