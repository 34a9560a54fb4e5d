#include "worker.h"

#include <algorithm>
#include <cstring>

#include "decode.h"

namespace furet {

void Worker::run() {
    for (size_t i = 0; i < program_.instructions_.size(); ++i) {
        std::visit([&](const auto& instruction) { operate(instruction, program_.next_[i]); }, program_.instructions_[i]);
        pool_.barrier();
    }
}

template <class Task> void Worker::share(Counter& next, int64_t count, int64_t grain, Task task) {
    for (;;) {
        const int64_t first = next.fetch_add(grain, std::memory_order_relaxed);
        if (first >= count) return;
        task(first, std::min(first + grain, count));
    }
}

template <class Task> void Worker::each_row(const Buffer& b, Counter& next, Task task) {
    const int64_t rows = row_count(b);
    const int64_t grain = std::max<int64_t>(1, rows / (pool_.threads() * 4));
    share(next, rows, grain, [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) task(r);
    });
}

float* Worker::floats(const Buffer& b, int64_t r) const {
    return b.kind == Kind::Out ? step_.out + r * b.width : (float*)row(b, r);
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

void Worker::operate(const TakeRows& i, Counter& next) {
    const Buffer& x = at(i.x);
    each_row(at(i.out), next, [&](int64_t r) { std::memcpy(floats(at(i.out), r), floats(x, step_.rows[r]), (size_t)x.width * 4); });
}

void Worker::operate(const RmsNorm& i, Counter& next) {
    const Buffer& x = at(i.x);
    each_row(x, next, [&](int64_t r) {
        kernels_.rms_norm(floats(x, r), i.weight.data(), (int64_t)i.weight.size(), x.width, i.eps, out(at(i.out), r));
    });
}

void Worker::operate(const Quantise& i, Counter& next) {
    const Buffer& x = at(i.x);
    each_row(x, next, [&](int64_t r) { kernels_.quantise(floats(x, r), x.width, row(at(i.out), r)); });
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

void Worker::operate(const Rope& i, Counter& next) {
    const Buffer& x = at(i.x);
    const RopeTable& table = program_.tables_[(size_t)i.table];
    const int64_t half = (int64_t)table.inverse_frequencies.size();
    const bool interleaved = i.style == Style::Interleaved;
    const int64_t step = interleaved ? 2 : 1, partner = interleaved ? 1 : half;
    each_row(x, next, [&](int64_t t) {
        const float* cos = table.cos.data() + t * half;
        const float* sin = table.sin.data() + t * half;
        for (float* head = floats(x, t), *last = head + x.width; head < last; head += i.head_dim)
            for (int64_t d = 0; d < half; ++d) {
                float& a = head[step * d];
                float& b = head[step * d + partner];
                const float turned = a * cos[d] - b * sin[d];
                b = a * sin[d] + b * cos[d];
                a = turned;
            }
    });
}

void Worker::operate(const Append& i, Counter& next) {
    const Buffer& k = at(i.k);
    const Buffer& v = at(i.v);
    each_row(k, next, [&](int64_t t) {
        const Run* run = step_.runs.data();
        int64_t offset = t;
        for (; offset >= run->count; ++run) offset -= run->count;
        uint16_t key[kHeadLimit], value[kHeadLimit];
        const KeyValues& cached = run->cache->layers[(size_t)i.layer];
        for (int head = 0; head < cached.heads; ++head) {
            kernels_.store_half(floats(k, t) + (int64_t)head * i.head_dim, i.head_dim, key);
            kernels_.store_half(floats(v, t) + (int64_t)head * i.head_dim, i.head_dim, value);
            cached.put(head, run->cache->length + offset, key, value);
        }
    });
}

void Worker::operate(const Attention& i, Counter& next) {
    const Buffer& q = at(i.q);
    const Buffer& o = at(i.out);
    const int group = i.heads / i.kv_heads;
    int64_t count = 0;
    for (const Run& run : step_.runs) count += i.kv_heads * ((run.count * group + kernels_.query_tile - 1) / kernels_.query_tile);
    share(next, count, 1, [&](int64_t task, int64_t) {
        int64_t token = 0;
        for (const Run& run : step_.runs) {
            const int64_t tiles = (run.count * group + kernels_.query_tile - 1) / kernels_.query_tile;
            if (task >= i.kv_heads * tiles) {
                task -= i.kv_heads * tiles;
                token += run.count;
                continue;
            }
            const KeyValues& cached = run.cache->layers[(size_t)i.layer];
            const AttentionArgs args = {floats(q, token), q.row_bytes / 4, cached.keys, cached.values, cached.room, run.cache->length, run.count, i.heads, i.kv_heads, i.head_dim,
                                        i.scale, i.window, out(o, token), o.row_bytes, o.width};
            // The last queries see the most keys: take them first, so that the end of the instruction is even.
            const int64_t tile = tiles - 1 - task / i.kv_heads;
            return kernels_.attend(args, (int)(task % i.kv_heads), tile * kernels_.query_tile, pool_.scratch(thread_));
        }
    });
}

void Worker::operate(const Swiglu& i, Counter& next) {
    const Buffer& gate = at(i.gate);
    // A single token is one row: cut it by columns too.
    constexpr int64_t kColumns = 1024;
    const int64_t pieces = (gate.width + kColumns - 1) / kColumns;
    share(next, row_count(gate) * pieces, 1, [&](int64_t task, int64_t) {
        const int64_t r = task / pieces, begin = task % pieces * kColumns;
        kernels_.swiglu(floats(gate, r), floats(at(i.up), r), begin, std::min(begin + kColumns, gate.width), gate.width, out(at(i.out), r));
    });
}

void Worker::operate(const Silu& i, Counter& next) {
    each_row(at(i.x), next, [&](int64_t r) { kernels_.silu(floats(at(i.x), r), at(i.x).width, floats(at(i.out), r)); });
}

void Worker::operate(const Add& i, Counter& next) {
    each_row(at(i.a), next, [&](int64_t r) { kernels_.add(floats(at(i.a), r), floats(at(i.b), r), at(i.a).width, floats(at(i.out), r)); });
}

void Worker::operate(const Multiply& i, Counter& next) {
    each_row(at(i.a), next, [&](int64_t r) { kernels_.multiply(floats(at(i.a), r), floats(at(i.b), r), at(i.a).width, floats(at(i.out), r)); });
}

}  // namespace furet
