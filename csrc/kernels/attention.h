// Attention: grouped-query, over a float16 cache, with the softmax kept running (flash style).
//
// For one query the keys come in blocks of 64 at absolute positions 0, 64, 128, ...:
//
//   s = scale * q . k         summed over channels in order         m' = max(m, max s)      c = exp(m - m')
//   p = exp(s - m')           l = l * c + sum p                     o = o * c, then o = fma(p, v, o) key by key
//
// and o / l at the end; what distance adds to a score, and its cap, come before the softmax. Keys that a query may not see have s = -inf, so p = 0, which changes nothing to the bit; hence the
// result does not depend on which queries share a tile or on how the prompt was cut.
// Source of the running softmax: Milakov and Gimelshein, arXiv:1805.02867; Dao et al., arXiv:2205.14135.
#pragma once

#include "elementwise.h"

namespace furet::FURET_ISA {

constexpr int kQueryTile = 8;
constexpr int kKeyBlock = 64;

struct Query {
    const float* q;
    float* out;                 // in scratch, [D padded]
    int head;
    int64_t position;
    int64_t oldest, newest;     // the keys that it sees
    float top, total;           // m and l
};

FURET_INLINE float smallest() { return -__builtin_inff(); }

template <int NQ> static void score_keys(const AttentionArgs& a, const Query* query, const uint16_t* keys, int64_t from, float* scores) {
    for (int64_t part = 0; part < kKeyBlock; part += 16) {
        const uint16_t* k = keys + (from + part) * a.head_dim;
        F32 sum[NQ];
        for (int i = 0; i < NQ; ++i) sum[i] = zero();
        for (int d = 0; d < a.head_dim; ++d) {
            const F32 channel = load_half(k + 16 * d);
            for (int i = 0; i < NQ; ++i) sum[i] = fma(channel, splat(query[i].q[d]), sum[i]);
        }
        for (int i = 0; i < NQ; ++i) store(scores + i * kKeyBlock + part, mul(sum[i], splat(a.scores.scale)));
    }
}

// What distance adds to the scores of one query, and the cap.
static void shape_scores(const ScoreArgs& a, const Query& query, int64_t from, float* scores) {
    const int64_t away = from - query.position;
    if (a.slopes)
        for (int64_t j = 0; j < kKeyBlock; ++j) scores[j] += a.slopes[query.head] * (float)(away + j);
    if (a.distances) {
        const float* added = a.distances + query.head * a.span;
        for (int64_t j = 0; j < kKeyBlock; ++j) {
            const int64_t place = away + j - a.first_distance;
            scores[j] += added[place < 0 ? 0 : place < a.span ? place : a.span - 1];
        }
    }
    if (a.soft_cap) activate(Function::SoftCap, a.soft_cap, scores, 0, kKeyBlock, kKeyBlock, {scores, nullptr});
}

// Scores to weights, in place; returns c, by which what was gathered so far shrinks.
static float soften(Query& query, int64_t from, float* scores) {
    // By position and not by score: a NaN among the scores must not make a block look empty.
    if (from > query.newest || from + kKeyBlock <= query.oldest) {
        for (int i = 0; i < 4; ++i) store(scores + 16 * i, zero());
        return 1.0f;
    }
    if (from + kKeyBlock - 1 > query.newest || from < query.oldest)
        for (int64_t j = 0; j < kKeyBlock; ++j)
            if (from + j > query.newest || from + j < query.oldest) scores[j] = smallest();
    F32 s[4], top = load(scores);
    for (int i = 0; i < 4; ++i) s[i] = load(scores + 16 * i);
    for (int i = 1; i < 4; ++i) top = max(top, s[i]);
    const float block_top = max_lanes(top);
    const float m = block_top > query.top ? block_top : query.top;
    float lane[16];
    store(lane, exponential(splat(query.top - m)));
    F32 sum = zero();
    for (int i = 0; i < 4; ++i) {
        const F32 p = exponential(sub(s[i], splat(m)));
        store(scores + 16 * i, p);
        sum = add(sum, p);
    }
    query.top = m;
    query.total = query.total * lane[0] + sum_lanes(sum);
    return lane[0];
}

template <int NQ> static void gather_values(const AttentionArgs& a, Query* query, const uint16_t* values, int64_t from, const float* weights, const float* shrink) {
    const int64_t padded = (a.head_dim + 15) / 16 * 16;
    const int64_t keys = a.key_count - from < kKeyBlock ? a.key_count - from : kKeyBlock;
    for (int64_t d = 0; d < padded; d += 16) {
        F32 sum[NQ];
        for (int i = 0; i < NQ; ++i) sum[i] = mul(load(query[i].out + d), splat(shrink[i]));
        for (int64_t j = 0; j < keys; ++j) {
            const F32 v = load_half(values + (from + j) * padded + d);
            for (int i = 0; i < NQ; ++i) sum[i] = fma(splat(weights[i * kKeyBlock + j]), v, sum[i]);
        }
        for (int i = 0; i < NQ; ++i) store(query[i].out + d, sum[i]);
    }
}

template <int NQ> static void attend_tile(const AttentionArgs& a, int kv, Query* query, Scratch& scratch) {
    const int64_t padded = (a.head_dim + 15) / 16 * 16;
    const uint16_t* keys = a.keys + kv * a.capacity * a.head_dim;
    const uint16_t* values = a.values + kv * a.capacity * padded;
    int64_t newest = 0, oldest = a.key_count;
    for (int i = 0; i < NQ; ++i) {
        if (query[i].newest > newest) newest = query[i].newest;
        if (query[i].oldest < oldest) oldest = query[i].oldest;
    }
    const bool plain = a.scores.plain();
    for (int64_t from = oldest / kKeyBlock * kKeyBlock; from <= newest; from += kKeyBlock) {
        float shrink[NQ];
        score_keys<NQ>(a, query, keys, from, scratch.scores);
        for (int i = 0; i < NQ; ++i) {
            float* scores = scratch.scores + i * kKeyBlock;
            if (!plain) shape_scores(a.scores, query[i], from, scores);
            shrink[i] = soften(query[i], from, scores);
        }
        gather_values<NQ>(a, query, values, from, scratch.scores, shrink);
    }
}

static void write_head(const AttentionArgs& a, int64_t token, int head, const Query& query) {
    const F32 inverse = splat(1.0f / query.total);
    RowOut out = a.out;
    if (out.q8) out.q8 += token * a.out_stride;
    else out.f32 += token * a.out_stride / 4;
    const int64_t begin = (int64_t)head * a.head_dim;
    emit(begin, begin + a.head_dim, a.out_width, out, [&](int64_t i) { return mul(load(query.out + i - begin), inverse); });
}

template <int NQ> static void attend_rows(const AttentionArgs& a, int kv, int64_t first, Scratch& scratch) {
    const int group = a.heads / a.kv_heads;
    Query query[NQ];
    for (int i = 0; i < NQ; ++i) {
        const int64_t token = (first + i) / group;
        const int head = kv * group + (int)((first + i) % group);
        const int64_t position = a.start + token, newest = a.causal ? position : a.key_count - 1;
        const int64_t oldest = a.window > 0 && position >= a.window ? position - a.window + 1 : 0;
        query[i] = {a.q + token * a.q_stride + (int64_t)head * a.head_dim, scratch.heads + i * kHeadLimit, head, position, oldest, newest, smallest(), 0.0f};
        for (int d = 0; d < a.head_dim; d += 16) store(query[i].out + d, zero());
    }
    attend_tile<NQ>(a, kv, query, scratch);
    for (int i = 0; i < NQ; ++i) write_head(a, (first + i) / group, kv * group + (int)((first + i) % group), query[i]);
}

template <int NQ> static void attend_rest(const AttentionArgs& a, int kv, int64_t first, int64_t rows, Scratch& scratch) {
    if (rows >= NQ) return attend_rows<NQ>(a, kv, first, scratch);
    if constexpr (NQ > 1) attend_rest<NQ - 1>(a, kv, first, rows, scratch);
}

static void attend(const AttentionArgs& a, int kv, int64_t first, Scratch& scratch) {
    attend_rest<kQueryTile>(a, kv, first, a.tokens * (a.heads / a.kv_heads) - first, scratch);
}

}  // namespace furet::FURET_ISA
