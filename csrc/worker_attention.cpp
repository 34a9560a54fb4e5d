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

KeyBias Worker::bias_of(int bias, const KeyValues& layer) const {
    return bias < 0 || layer.type == CacheType::F16 ? KeyBias{} : program_.view(program_.key_biases_[(size_t)bias]);
}

// The key of one head without its bias, as the position of cos and sin turns it.
static const float* without(const KeyBias& bias, int head, int dim, const float* key, const float* cos, const float* sin, float* out) {
    if (!bias.pairs) return key;
    std::copy_n(key, dim, out);
    for (int i = bias.begin[head]; i < bias.begin[head + 1]; ++i) {
        const BiasedPair& pair = bias.pairs[i];
        if (pair.second < 0) {
            out[pair.first] -= pair.a;
            continue;
        }
        out[pair.first] -= pair.a * cos[pair.angle] - pair.b * sin[pair.angle];
        out[pair.second] -= pair.a * sin[pair.angle] + pair.b * cos[pair.angle];
    }
    return out;
}

void Worker::operate(const Append& i, Counter& next) {
    const Buffer& k = at(i.k);
    const Buffer& v = at(i.v);
    const int turned_by = i.bias < 0 ? -1 : program_.key_biases_[(size_t)i.bias].table;
    const RopeTable* table = turned_by < 0 ? nullptr : &program_.tables_[(size_t)turned_by];
    each_row(k, next, [&](int64_t t) {
        const auto [run, offset] = run_of(t);
        uint8_t key[2 * kHeadLimit], value[2 * kHeadLimit];
        const KeyValues& layer = cached(*run->cache, i.keys, i.layer);
        const KeyBias bias = bias_of(i.bias, layer);
        const int64_t angles = t * bias.angles.count;
        const float* cos = table ? table->cos.data() + angles : nullptr;
        const float* sin = table ? table->sin.data() + angles : nullptr;
        float bare[kHeadLimit];
        for (int head = 0; head < layer.heads; ++head) {
            const float* from = floats(k, t) + (int64_t)head * i.head_dim;
            kernels_.encode(layer.type, without(bias, head, i.head_dim, from, cos, sin, bare), i.head_dim, key);
            kernels_.encode(layer.type, floats(v, t) + (int64_t)head * i.head_dim, i.head_dim, value);
            layer.put(head, run->cache->length + offset, key, value);
        }
    });
}

static ScoreArgs score_args(const Scores& s, int heads) {
    return {s.scale, s.soft_cap, s.slopes.empty() ? nullptr : s.slopes.data(), s.distances.empty() ? nullptr : s.distances.data(),
            s.first_distance, (int64_t)s.distances.size() / heads};
}

// What the queries of one run ask for, cut by rows, or by spans of keys whose parts meet in `parts`. How it is cut changes no
// result.
struct Asked {
    AttentionArgs args;
    int64_t tasks = 0;
    int64_t rows = 0;                       // of a task
    float* parts = nullptr;                 // [K, spans, rows, part_floats]
    std::atomic<int64_t>* done = nullptr;   // [K] spans whose parts are there

    int64_t part_floats_of_head() const { return spans_of(args).count() * rows_of(args) * part_floats(args.cache.dim); }
};

std::vector<Asked> Worker::asked_of(const Attention& i) const {
    const Buffer& q = at(i.q);
    const Buffer& o = at(i.out);
    const ScoreArgs scores = score_args(i.scores, i.heads);
    std::vector<Asked> asked;
    int64_t token = 0;
    for (const Run& run : step_.runs) {
        const KeyValues& layer = cached(*run.cache, i.keys, i.layer);
        const int64_t keys = i.keys == Keys::Memory ? run.cache->memory_length : run.cache->length + run.count;
        const AttentionArgs args = {floats(q, token), q.row_bytes / 4, layer, keys, run.cache->length, run.count, i.heads,
                                    i.keys == Keys::Past, i.window, scores, out(o, token), o.row_bytes, o.width, bias_of(i.bias, layer)};
        asked.push_back({args});
        token += run.count;
    }
    return asked;
}

static int64_t cut_by_rows(std::vector<Asked>& asked, int64_t rows) {
    int64_t tasks = 0;
    for (Asked& each : asked) {
        each.rows = rows;
        tasks += each.tasks = each.args.cache.heads * ((rows_of(each.args) + rows - 1) / rows);
    }
    return tasks;
}

static int64_t cut_by_spans(std::vector<Asked>& asked, const Parts& room) {
    float* parts = room.floats.get();
    std::atomic<int64_t>* done = room.done.get();
    int64_t tasks = 0;
    for (Asked& each : asked) {
        const int64_t spans = spans_of(each.args).count();
        if (spans > 1 && rows_of(each.args) <= kSplitRows) {
            each.tasks = each.args.cache.heads * spans;
            each.parts = parts;
            each.done = done;
            parts += each.args.cache.heads * each.part_floats_of_head();
            done += each.args.cache.heads;
        }
        tasks += each.tasks;
    }
    return tasks;
}

// Large tasks unpack keys for more queries at a time; small ones, where there are few, keep all threads busy.
int64_t Worker::cut(std::vector<Asked>& asked) const {
    const int64_t plenty = pool_.threads() == 1 ? 1 : 4 * pool_.threads();
    int64_t tasks = 0;
    for (int64_t rows = kQueryRows; rows >= kQueryRows / 4; rows /= 2)
        if ((tasks = cut_by_rows(asked, rows)) >= plenty) return tasks;
    return cut_by_spans(asked, program_.parts_);
}

void Worker::attend_part(const Asked& asked, int kv, int64_t span) {
    const AttentionArgs& a = asked.args;
    const Spans spans = spans_of(a);
    float* parts = asked.parts + kv * asked.part_floats_of_head();
    kernels_.attend_span(a, kv, spans.first + span, parts + span * rows_of(a) * part_floats(a.cache.dim), pool_.scratch(thread_));
    if (asked.done[kv].fetch_add(1, std::memory_order_acq_rel) + 1 < spans.count()) return;
    // The last to come merges them all, and leaves the counter as the next instruction wants it.
    asked.done[kv].store(0, std::memory_order_relaxed);
    kernels_.merge_spans(a, kv, parts, pool_.scratch(thread_));
}

void Worker::operate(const Attention& i, Counter& next) {
    std::vector<Asked> asked = asked_of(i);
    share(next, cut(asked), 1, [&](int64_t task, int64_t) {
        const Asked* each = asked.data();
        for (; task >= each->tasks; ++each) task -= each->tasks;
        // The last queries see the most keys: take them first, so that the end of the instruction is even.
        const int64_t place = (each->tasks - 1 - task) / i.kv_heads, first = place * each->rows;
        const int kv = (int)(task % i.kv_heads);
        if (each->parts) return attend_part(*each, kv, place);
        kernels_.attend(each->args, kv, first, std::min(each->rows, rows_of(each->args) - first), pool_.scratch(thread_));
    });
}

}  // namespace furet
