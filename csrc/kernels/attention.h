// Attention: grouped-query, with the softmax in spans of keys (flash decoding).
//
// The keys come in spans of 256 at absolute positions 0, 256, 512, ... For one query and one span:
//
//   s = (scale * q) . k       summed over channels in order, turned ones where the cache holds such (turn.h), then over
//                             those of a bias that keys are held without (key_bias.h)         m = max s
//   p = exp(s - m)            l = sum p                             o = fma(p, v, o) key by key
//
// and spans are merged in order, m' = max(M, m): L = L exp(M - m') + l exp(m - m'), O likewise; the result is O / L. What
// distance adds to a score, and its cap, come before the softmax. Keys that a query may not see have p = 0, which changes
// nothing to the bit. So the result does not depend on which queries share a tile, on how the prompt was cut, or on whether
// one thread walks through the spans or several share them.
// Source: Milakov and Gimelshein, arXiv:1805.02867; Dao et al., arXiv:2205.14135; Dao et al., "Flash-Decoding", 2023.
#pragma once

#include "bias_lines.h"
#include "cached.h"

namespace furet::FURET_ISA {

constexpr int kQueries = kRowVectors == 2 ? 12 : 6;      // queries by 16 * kRowVectors columns: their sums fit in registers

constexpr int64_t kPanelKeys = 128;                      // keys whose values are unpacked together: half of a first-level cache

struct Query {
    int64_t token;
    int head;
    int64_t position;
    int64_t oldest, newest;     // the keys that it sees

    bool sees(int64_t from, int64_t to) const { return from <= newest && to > oldest; }
};

// The queries of one task; their rows in scratch begin with a part's top and total.
struct Queries {
    int64_t count;
    int64_t oldest, newest;     // of the keys that any of them sees
    Query row[kQueryRows];
};

FURET_INLINE float smallest() { return -__builtin_inff(); }

// e^x for x that is not above 0, to 2 ulp: as `exponential`, of fewer steps. 2^n sits in the low bits of x / ln 2 + 1.5 * 2^23.
FURET_INLINE F32 share_of(F32 x) {
    constexpr float p[] = {0.00831243f, 0.041890986f, 0.16667119f, 0.49999225f, 1.0f, 1.0f};
    const F32 low = splat(-87.0f), magic = splat(12582912.0f + 127.0f);
    const F32 bounded = max(low, x);
    const F32 shifted = fma(bounded, splat(1.44269504f), magic);
    const F32 n = sub(shifted, magic);
    const F32 r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), bounded));
    const F32 power = mul(polynomial(r, p), as_float(shift_left<23>(as_int(shifted))));
    return where_less(x, low, zero(), power);
}

// What memory is to bring next while the processor multiplies: `step` bytes for each line of a panel.
struct Ahead {
    const uint8_t* next;
    int64_t step;
};

// c[i] = a[i] . b, or with `more` that much more, for NQ rows a of n floats and the 16 * NV first columns of b, [n, 32].
template <int NQ, int NV, int64_t a_stride>
static void multiply_queries(const float* a, const float* b, int64_t n, bool more, float* c, int64_t c_stride, Ahead ahead) {
    F32 sum[NQ][NV];
    for (int i = 0; i < NQ; ++i)
        for (int v = 0; v < NV; ++v) sum[i][v] = more ? load(c + i * c_stride + 16 * v) : zero();
    for (int64_t k = 0; k < n; ++k, ahead.next += ahead.step) {
        prefetch(ahead.next);
        F32 column[NV];
        for (int v = 0; v < NV; ++v) column[v] = load(b + kTile * k + 16 * v);
        for (int i = 0; i < NQ; ++i) {
            const F32 x = splat(a[i * a_stride + k]);
            for (int v = 0; v < NV; ++v) sum[i][v] = fma(column[v], x, sum[i][v]);
        }
    }
    for (int i = 0; i < NQ; ++i)
        for (int v = 0; v < NV; ++v) store(c + i * c_stride + 16 * v, sum[i][v]);
}

template <int NQ, int NV, int64_t a_stride>
static void multiply_last(int64_t rows, const float* a, const float* b, int64_t n, bool more, float* c, int64_t c_stride, Ahead ahead) {
    if (rows == NQ) return multiply_queries<NQ, NV, a_stride>(a, b, n, more, c, c_stride, ahead);
    if constexpr (NQ > 1) multiply_last<NQ - 1, NV, a_stride>(rows, a, b, n, more, c, c_stride, ahead);
}

// All rows, and `width` columns of b: 16 or 32.
template <int64_t a_stride, int NV = kRowVectors>
static void multiply_panel(int64_t rows, const float* a, const float* b, int64_t n, int64_t width, bool more, float* c, int64_t c_stride, Ahead ahead) {
    if constexpr (NV > 1)
        if (width < 16 * NV) return multiply_panel<a_stride, 1>(rows, a, b, n, width, more, c, c_stride, ahead);
    for (int64_t column = 0; column < width; column += 16 * NV)
        for (int64_t i = 0; i < rows; i += kQueries, ahead.step = 0) {
            const float* from = a + i * a_stride;
            float* to = c + i * c_stride + column;
            if (rows - i >= kQueries) multiply_queries<kQueries, NV, a_stride>(from, b + column, n, more, to, c_stride, ahead);
            else multiply_last<kQueries - 1, NV, a_stride>(rows - i, from, b + column, n, more, to, c_stride, ahead);
        }
}

// What distance adds to the scores of one query, and the cap.
static void shape_scores(const ScoreArgs& a, const Query& query, int64_t from, int64_t count, float* scores) {
    const int64_t away = from - query.position;
    if (a.slopes)
        for (int64_t j = 0; j < count; ++j) scores[j] += a.slopes[query.head] * (float)(away + j);
    if (a.distances) {
        const float* added = a.distances + query.head * a.span;
        for (int64_t j = 0; j < count; ++j) {
            const int64_t place = away + j - a.first_distance;
            scores[j] += added[place < 0 ? 0 : place < a.span ? place : a.span - 1];
        }
    }
    if (a.soft_cap) activate(Function::SoftCap, a.soft_cap, scores, 0, count, {scores, nullptr});
}

// Scores of keys [from, from + count) to weights, in place; m and l go to `part`.
static void soften(const Query& query, int64_t from, int64_t count, float* scores, float* part) {
    if (from + count - 1 > query.newest || from < query.oldest)
        for (int64_t j = 0; j < count; ++j)
            if (from + j > query.newest || from + j < query.oldest) scores[j] = smallest();
    F32 top = load(scores);
    for (int64_t j = 16; j < count; j += 16) top = max(top, load(scores + j));
    part[0] = max_lanes(top);
    const F32 m = splat(part[0]);
    F32 sum = zero();
    for (int64_t j = 0; j < count; j += 16) {
        const F32 p = share_of(sub(load(scores + j), m));
        store(scores + j, p);
        sum = add(sum, p);
    }
    part[1] = sum_lanes(sum);
}

// o of all queries, over the keys [from, to) of a span.
static void gather_values(const AttentionArgs& a, int kv, const Queries& queries, int64_t from, int64_t to, float* parts, Scratch& scratch) {
    const KeyValues& cache = a.cache;
    float* panel = scratch.held;
    for (int64_t channel = 0; channel < cache.dim; channel += kTile)
        for (int64_t position = from; position < to; position += kPanelKeys) {
            const int64_t keys = to - position < kPanelKeys ? to - position : kPanelKeys, after = position + keys;
            unpack_values(cache, kv, channel, position, keys, panel);
            const uint8_t* next = after < to ? cache.value_tile(kv, channel, after)
                : channel + kTile < cache.dim ? cache.value_tile(kv, channel + kTile, from) : cache.key_tile(kv, after < cache.room ? after : 0);
            multiply_panel<kScoreStride>(queries.count, scratch.scores + position - from, panel, keys, cache.line(channel), position > from,
                                         parts + 16 + channel, part_floats(cache.dim), {next, cached_block_bytes(cache.type)});
        }
}

// m, l and o of one span for all queries, to `parts`; those of a query that sees nothing of it mean nothing.
static void attend_keys(const AttentionArgs& a, int kv, const Queries& queries, int64_t span, float* parts, Scratch& scratch) {
    const int64_t begin = span * kSpan, end = begin + kSpan;
    const int64_t from = queries.oldest > begin ? queries.oldest / kTile * kTile : begin;
    const int64_t to = queries.newest + 1 < end ? (queries.newest + kTile) / kTile * kTile : end;
    const int64_t stride = part_floats(a.cache.dim), lines = a.cache.dim + a.bias.lines(kv);
    const int64_t line = cached_block_bytes(a.cache.type);
    float* panel = scratch.held;
    for (int64_t position = from; position < to; position += kTile) {
        unpack_keys(a.cache, kv, position, panel);
        unpack_bias(a.bias, kv, position, panel + kTile * a.cache.dim);
        const Ahead ahead{position + kTile < to ? a.cache.key_tile(kv, position + kTile) : a.cache.value_tile(kv, 0, from), line};
        multiply_panel<kQueryStride>(queries.count, scratch.queries, panel, lines, kTile, false, scratch.scores + position - from, kScoreStride, ahead);
    }
    for (int64_t i = 0; i < queries.count; ++i) {
        const Query& query = queries.row[i];
        float* scores = scratch.scores + i * kScoreStride;
        if (query.sees(from, to)) {
            if (!a.scores.plain()) shape_scores(a.scores, query, from, to - from, scores);
            soften(query, from, to - from, scores, parts + i * stride);
        } else {
            // By position and not by score: a NaN among the scores must not make a span look empty.
            for (int64_t j = 0; j < to - from; j += 16) store(scores + j, zero());
        }
    }
    gather_values(a, kv, queries, from, to < a.key_count ? to : a.key_count, parts, scratch);
}

// Fold the part of the next span into what there is of all before.
static void merge_part(float* whole, const float* part, int64_t dim) {
    const float m = part[0] > whole[0] ? part[0] : whole[0];
    float lane[16];
    store(lane, exponential(splat(whole[0] - m)));
    const float old_share = lane[0];
    store(lane, exponential(splat(part[0] - m)));
    const F32 before = splat(old_share), now = splat(lane[0]);
    whole[0] = m;
    whole[1] = whole[1] * old_share + part[1] * lane[0];
    for (int64_t d = 16; d < 16 + dim; d += 16) store(whole + d, fma(load(part + d), now, mul(load(whole + d), before)));
}

static void start_whole(float* whole, int64_t dim) {
    whole[0] = smallest();
    whole[1] = 0;
    for (int64_t d = 16; d < 16 + dim; d += 16) store(whole + d, zero());
}

// Ends what `whole` holds.
static void write_head(const AttentionArgs& a, const Query& query, float* whole) {
    turn_head(a.cache, whole + 16);
    const F32 inverse = splat(1.0f / whole[1]);
    RowOut out = a.out;
    if (out.q8) out.q8 += query.token * a.out_stride;
    else out.f32 += query.token * a.out_stride / 4;
    const int64_t begin = (int64_t)query.head * a.cache.dim;
    emit(begin, begin + a.cache.dim, out, [&](int64_t i) { return mul(load(whole + 16 + i - begin), inverse); });
}

static Query query_of(const AttentionArgs& a, int kv, int64_t row) {
    const int group = a.heads / a.cache.heads;
    const int64_t token = row / group, position = a.start + token, newest = a.causal ? position : a.key_count - 1;
    const int64_t oldest = a.window > 0 && position >= a.window ? position - a.window + 1 : 0;
    return {token, kv * group + (int)(row % group), position, oldest, newest};
}

// The queries of rows [first, first + count), scaled, to scratch; behind each what it has for the lines of the bias.
static Queries read_queries(const AttentionArgs& a, int kv, int64_t first, int64_t count, Scratch& scratch) {
    Queries out{count, a.key_count, 0, {}};
    const F32 scale = splat(a.scores.scale);
    for (int64_t i = 0; i < count; ++i) {
        const Query& query = out.row[i] = query_of(a, kv, first + i);
        if (query.oldest < out.oldest) out.oldest = query.oldest;
        if (query.newest > out.newest) out.newest = query.newest;
        const float* q = a.q + query.token * a.q_stride + (int64_t)query.head * a.cache.dim;
        float* row = scratch.queries + i * kQueryStride;
        emit(0, a.cache.dim, {row, nullptr}, [&](int64_t d) { return mul(load_within(q, d, a.cache.dim), scale); });
        gather_biased(a.bias, kv, row, row + a.cache.dim);
        turn_head(a.cache, row);
    }
    return out;
}

static void attend(const AttentionArgs& a, int kv, int64_t first, int64_t count, Scratch& scratch) {
    const int64_t stride = part_floats(a.cache.dim);
    const Queries queries = read_queries(a, kv, first, count, scratch);
    for (int64_t i = 0; i < queries.count; ++i) start_whole(scratch.wholes + i * stride, a.cache.dim);
    for (int64_t span = queries.oldest / kSpan; span <= queries.newest / kSpan; ++span) {
        attend_keys(a, kv, queries, span, scratch.parts, scratch);
        for (int64_t i = 0; i < queries.count; ++i)
            if (queries.row[i].sees(span * kSpan, (span + 1) * kSpan)) merge_part(scratch.wholes + i * stride, scratch.parts + i * stride, a.cache.dim);
    }
    for (int64_t i = 0; i < queries.count; ++i) write_head(a, queries.row[i], scratch.wholes + i * stride);
}

static void attend_span(const AttentionArgs& a, int kv, int64_t span, float* parts, Scratch& scratch) {
    const Queries queries = read_queries(a, kv, 0, rows_of(a), scratch);
    attend_keys(a, kv, queries, span, parts, scratch);
}

static void merge_spans(const AttentionArgs& a, int kv, const float* parts, Scratch& scratch) {
    const Spans spans = spans_of(a);
    const int64_t rows = rows_of(a), stride = part_floats(a.cache.dim);
    for (int64_t i = 0; i < rows; ++i) {
        const Query query = query_of(a, kv, i);
        start_whole(scratch.wholes, a.cache.dim);
        for (int64_t span = spans.first; span < spans.last; ++span)
            if (query.sees(span * kSpan, (span + 1) * kSpan)) merge_part(scratch.wholes, parts + ((span - spans.first) * rows + i) * stride, a.cache.dim);
        write_head(a, query, scratch.wholes);
    }
}

}  // namespace furet::FURET_ISA
