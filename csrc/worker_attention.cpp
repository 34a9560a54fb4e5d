// What knows positions: rotation, and attention over the cache.
#include "worker.h"

namespace furet {

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

static const KeyValues& cached(const Cache& cache, Keys keys, int layer) {
    return (keys == Keys::Memory ? cache.memory : cache.layers)[(size_t)layer];
}

void Worker::operate(const Append& i, Counter& next) {
    const Buffer& k = at(i.k);
    const Buffer& v = at(i.v);
    each_row(k, next, [&](int64_t t) {
        const auto [run, offset] = run_of(t);
        uint16_t key[kHeadLimit], value[kHeadLimit];
        const KeyValues& layer = cached(*run->cache, i.keys, i.layer);
        for (int head = 0; head < layer.heads; ++head) {
            kernels_.store_half(floats(k, t) + (int64_t)head * i.head_dim, i.head_dim, key);
            kernels_.store_half(floats(v, t) + (int64_t)head * i.head_dim, i.head_dim, value);
            layer.put(head, run->cache->length + offset, key, value);
        }
    });
}

static ScoreArgs score_args(const Scores& s, int heads) {
    return {s.scale, s.soft_cap, s.slopes.empty() ? nullptr : s.slopes.data(), s.distances.empty() ? nullptr : s.distances.data(),
            s.first_distance, (int64_t)s.distances.size() / heads};
}

void Worker::operate(const Attention& i, Counter& next) {
    const Buffer& q = at(i.q);
    const Buffer& o = at(i.out);
    const int group = i.heads / i.kv_heads;
    const ScoreArgs scores = score_args(i.scores, i.heads);
    auto tiles_of = [&](const Run& run) { return (run.count * group + kernels_.query_tile - 1) / kernels_.query_tile; };
    int64_t count = 0;
    for (const Run& run : step_.runs) count += i.kv_heads * tiles_of(run);
    share(next, count, 1, [&](int64_t task, int64_t) {
        int64_t token = 0;
        for (const Run& run : step_.runs) {
            const int64_t tiles = tiles_of(run);
            if (task >= i.kv_heads * tiles) {
                task -= i.kv_heads * tiles;
                token += run.count;
                continue;
            }
            const KeyValues& layer = cached(*run.cache, i.keys, i.layer);
            const int64_t keys = i.keys == Keys::Memory ? run.cache->memory_length : run.cache->length + run.count;
            const AttentionArgs args = {floats(q, token), q.row_bytes / 4, layer.keys, layer.values, layer.room, keys,
                                        run.cache->length, run.count, i.heads, i.kv_heads, i.head_dim, i.keys == Keys::Past,
                                        i.window, scores, out(o, token), o.row_bytes, o.width};
            // The last queries see the most keys: take them first, so that the end of the instruction is even.
            const int64_t tile = tiles - 1 - task / i.kv_heads;
            return kernels_.attend(args, (int)(task % i.kv_heads), tile * kernels_.query_tile, pool_.scratch(thread_));
        }
    });
}

}  // namespace furet
