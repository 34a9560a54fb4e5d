// Attention against a softmax in double precision over what the cache holds.
#include <algorithm>

#include "activations.h"
#include "cached_rows.h"

namespace test {

using namespace furet;

namespace {

struct Heads { int heads, kv_heads, dim; };

double length(const float* x, int n) {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += (double)x[i] * x[i];
    return std::sqrt(sum);
}

// Queries of the tokens [start, start + tokens) over a cache that holds them and all before. What no query may see is NaN.
class AttentionCase {
public:
    AttentionCase(Heads heads, int64_t start, int64_t tokens, int64_t window, Random& random, CacheType type = CacheType::F16)
        : heads(heads), start(start), tokens(tokens), window(window), cache{heads.kv_heads, heads.dim, type, (start + tokens + kBlock - 1) / kBlock * kBlock, nullptr, 0, 0},
          scale(1 / std::sqrt((float)heads.dim)), q(random_floats(tokens * heads.heads * heads.dim, random)),
          key_floats(exact<float>(heads.kv_heads * (start + tokens) * heads.dim)), value_floats(exact<float>(heads.kv_heads * (start + tokens) * heads.dim)) {
        cache.values = heads.kv_heads * cache.key_bytes();
        const int64_t bytes = heads.kv_heads * (cache.key_bytes() + cache.value_bytes());
        for (int64_t i = 0; i < cache.room / kBlock; ++i) {
            blocks.push_back(exact<uint8_t>(bytes));
            std::fill_n(blocks.back().get(), bytes, (uint8_t)0x7e);     // 0x7e7e is a NaN in float16
            table.push_back(blocks.back().get());
        }
        cache.blocks = table.data();
        for (int kv = 0; kv < heads.kv_heads; ++kv)
            for (int64_t j = 0; j < start + tokens; ++j) {
                for (int d = 0; d < heads.dim; ++d) {
                    key(kv, j, d) = (float)random.uniform(-2, 2);
                    value(kv, j, d) = (float)random.uniform(-2, 2);
                }
                write(kv, j);
            }
    }

    float& key(int kv, int64_t j, int d) { return key_floats[(size_t)((kv * (start + tokens) + j) * heads.dim + d)]; }
    float& value(int kv, int64_t j, int d) { return value_floats[(size_t)((kv * (start + tokens) + j) * heads.dim + d)]; }
    // What `key` and `value` say of a position goes to the cache, and they become what the cache holds.
    void write(int kv, int64_t j) {
        uint8_t k[2 * kHeadLimit], v[2 * kHeadLimit];
        kPortable.encode(cache.type, &key(kv, j, 0), heads.dim, k);
        kPortable.encode(cache.type, &value(kv, j, 0), heads.dim, v);
        decode(cache.type, heads.dim, k, &key(kv, j, 0));
        decode(cache.type, heads.dim, v, &value(kv, j, 0));
        turn_back(cache.type, heads.dim, &key(kv, j, 0));
        turn_back(cache.type, heads.dim, &value(kv, j, 0));
        cache.put(kv, j, k, v);
    }
    int64_t width() const { return heads.heads * heads.dim; }
    int64_t span() const { return (int64_t)distances.size() / heads.heads; }
    double added(int head, int64_t away) const {
        const double slope = slopes.empty() ? 0 : (double)slopes[(size_t)head] * (double)away;
        if (distances.empty()) return slope;
        return slope + distances[(size_t)(head * span() + std::clamp<int64_t>(away - first_distance, 0, span() - 1))];
    }
    const float* query(int64_t token, int head) const { return q.get() + token * width() + head * heads.dim; }

    AttentionArgs args(RowOut out, int64_t out_stride) const {
        return {q.get(), width(), cache, start + tokens, start, tokens, heads.heads, causal, window,
                {scale, soft_cap, slopes.empty() ? nullptr : slopes.data(), distances.empty() ? nullptr : distances.data(), first_distance, span()}, out, out_stride, width(), bias()};
    }
    std::unique_ptr<float[]> run(const Kernels& table) const {
        auto out = exact<float>(tokens * width());
        attend_all(table, args({out.get(), nullptr}, 4 * width()));
        return out;
    }
    static void attend_all(const Kernels& table, const AttentionArgs& a) {
        for (int kv = 0; kv < a.cache.heads; ++kv)
            for (int64_t first = 0; first < rows_of(a); first += kQueryRows) table.attend(a, kv, first, std::min<int64_t>(kQueryRows, rows_of(a) - first), dirty_scratch());
    }
    static void attend_in_parts(const Kernels& table, const AttentionArgs& a) {
        const Spans spans = spans_of(a);
        const int64_t floats = rows_of(a) * part_floats(a.cache.dim);
        for (int kv = 0; kv < a.cache.heads; ++kv) {
            auto parts = exact<float>(spans.count() * floats);
            for (int64_t span = spans.last - 1; span >= spans.first; --span)
                table.attend_span(a, kv, span, parts.get() + (span - spans.first) * floats, dirty_scratch());
            table.merge_spans(a, kv, parts.get(), dirty_scratch());
        }
    }
    void check(const float* y);
    void bias_keys(Random& random);

    Heads heads;
    int64_t start, tokens, window;
    KeyValues cache;
    bool causal = true;
    float scale, soft_cap = 0;
    std::vector<float> slopes, distances;
    int64_t first_distance = 0;
    std::unique_ptr<float[]> q;
    std::vector<std::unique_ptr<uint8_t[]>> blocks;     // of its own each, so that whoever reads past one is seen
    std::vector<uint8_t*> table;
    std::unique_ptr<float[]> key_floats, value_floats;
    std::vector<BiasedPair> biased;
    std::vector<int> first_biased;
    std::vector<float> near_cos, near_sin, far_cos, far_sin;

private:
    int angles() const { return heads.dim / 4; }
    KeyBias bias() const {
        if (biased.empty()) return {};
        return {biased.data(), first_biased.data(), {angles(), near_cos.data(), near_sin.data(), far_cos.data(), far_sin.data()}};
    }
    void check_head(int64_t token, int head, const float* y);
};

// A score is D products and sums, so it is off by at most (D + 2) roundings (twice that unfused) of sum |q k|; the weight
// e^(s - m) by as much relatively, twice (s and m), and 2 ulp; the sums over keys by one rounding a key, and by three for
// each span that is merged. A turn takes 19 roundings, and no product of turned blocks is larger than that of their lengths.
void AttentionCase::check_head(int64_t token, int head, const float* y) {
    const int kv = head / (heads.heads / heads.kv_heads);
    const int64_t position = start + token, oldest = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    std::vector<double> score;
    const int64_t newest = causal ? position : start + tokens - 1;
    double top = -INFINITY, largest = 0;
    for (int64_t j = oldest; j <= newest; ++j) {
        double sum = 0, magnitude = 0;
        for (int d = 0; d < heads.dim; ++d) {
            const double term = (double)query(token, head)[d] * key(kv, j, d);
            sum += term;
            magnitude += std::fabs(term);
        }
        if (is_turned(cache.type)) magnitude = length(query(token, head), heads.dim) * length(&key(kv, j, 0), heads.dim);
        const double plus = added(head, j - position), whole = sum * scale + plus;
        score.push_back(soft_cap > 0 ? soft_cap * std::tanh(whole / soft_cap) : whole);
        top = std::max(top, score.back());
        largest = std::max(largest, magnitude * scale + 2 * std::fabs(plus));
    }
    double total = 0;
    for (double& s : score) total += s = std::exp(s - top);
    const double seen = (double)score.size(), of_weight = 2 * 2 * (heads.dim + (soft_cap > 0 ? 10 : 2) + (is_turned(cache.type) ? 40 : 0)) * largest + 8;
    const double relative = 1.01 * kRounding * (2 * of_weight + 2 * (2 * seen + 6 * (seen / 64 + 2)) + (is_turned(cache.type) ? 40 : 0));
    for (int d = 0; d < heads.dim; ++d) {
        double wanted = 0, magnitude = 0;
        for (int64_t j = oldest; j <= newest; ++j) {
            const double term = score[(size_t)(j - oldest)] / total * value(kv, j, d);
            wanted += term;
            magnitude += is_turned(cache.type) ? score[(size_t)(j - oldest)] / total * length(&value(kv, j, d / 32 * 32), 32) : std::fabs(term);
        }
        CHECK_NEAR(y[d], wanted, relative * magnitude);
    }
}

// The keys become what the cache holds plus a bias, of which half of the pairs turn with the position and one channel does not.
void AttentionCase::bias_keys(Random& random) {
    const double magnitude = 1.25;
    auto frequency = [&](int angle) { return std::pow(100.0, -(double)angle / angles()); };
    auto angle_at = [](double angle, double size, std::vector<float>& cos, std::vector<float>& sin) {
        cos.push_back((float)(size * std::cos(angle)));
        sin.push_back((float)(size * std::sin(angle)));
    };
    for (int angle = 0; angle < angles(); ++angle)
        for (int j = 0; j < kTile; ++j) angle_at(j * frequency(angle), 1, near_cos, near_sin);
    for (int64_t tile = 0; tile * kTile < start + tokens; ++tile)
        for (int angle = 0; angle < angles(); ++angle) angle_at((double)(kTile * tile) * frequency(angle), magnitude, far_cos, far_sin);
    first_biased = {0};
    for (int kv = 0; kv < heads.kv_heads; ++kv) {
        for (int angle = kv; angle < angles(); angle += 2)
            biased.push_back({angle, angle + angles(), angle, (float)random.uniform(-4, 4), (float)random.uniform(-4, 4)});
        biased.push_back({heads.dim - 1, -1, 0, (float)random.uniform(-4, 4), 0});
        first_biased.push_back((int)biased.size());
        for (int64_t j = 0; j < start + tokens; ++j)
            for (int i = first_biased[(size_t)kv]; i < first_biased[(size_t)kv + 1]; ++i) {
                const BiasedPair& pair = biased[(size_t)i];
                const double turn = (double)j * frequency(pair.angle), cos = magnitude * std::cos(turn), sin = magnitude * std::sin(turn);
                key(kv, j, pair.first) += pair.second < 0 ? pair.a : (float)(pair.a * cos - pair.b * sin);
                if (pair.second >= 0) key(kv, j, pair.second) += (float)(pair.a * sin + pair.b * cos);
            }
    }
}

void AttentionCase::check(const float* y) {
    for (int64_t t = 0; t < tokens; ++t)
        for (int h = 0; h < heads.heads; ++h) check_head(t, h, y + t * width() + h * heads.dim);
}

// The queries one after the other, each over the cache as far as it was then written.
void check_one_at_a_time(const Kernels& table, const AttentionCase& c, const float* y) {
    for (int64_t t = 0; t < c.tokens; ++t) {
        auto row = exact<float>(c.width());
        AttentionArgs args = c.args({row.get(), nullptr}, 4 * c.width());
        args.q += t * c.width();
        args.start += t;
        args.tokens = 1;
        if (c.causal) args.key_count = args.start + 1;
        AttentionCase::attend_all(table, args);
        CHECK(same_bits(row.get(), y + t * c.width(), 4 * c.width()));
        AttentionCase::attend_in_parts(table, args);
        CHECK(same_bits(row.get(), y + t * c.width(), 4 * c.width()));
    }
}

// The spans one by one, as several threads do.
void check_in_parts(const Kernels& table, const AttentionCase& c, const float* y) {
    auto out = exact<float>(c.tokens * c.width());
    const AttentionArgs args = c.args({out.get(), nullptr}, 4 * c.width());
    if (rows_of(args) > kSplitRows) return;
    AttentionCase::attend_in_parts(table, args);
    CHECK(same_bits(out.get(), y, 4 * c.tokens * c.width()));
}

void check_quantised_output(const Kernels& table, const AttentionCase& c, const float* y) {
    if (c.heads.dim % 32) return;
    const int64_t stride = q8_row_bytes(c.width());
    auto rows = exact<uint8_t>(c.tokens * stride), wanted = exact<uint8_t>(stride);
    AttentionCase::attend_all(table, c.args({nullptr, rows.get()}, stride));
    for (int64_t t = 0; t < c.tokens; ++t) {
        table.quantise(y + t * c.width(), c.width(), wanted.get());
        CHECK(same_bits(rows.get() + t * stride, wanted.get(), 2 * c.width()));
    }
}

void check_case(const Tables& tables, AttentionCase& c, const std::string& what) {
    for (const Kernels* table : tables) {
        tally.where = std::string(table->name) + " attention " + std::to_string(c.heads.heads) + "/" + std::to_string(c.heads.kv_heads) + "x" + std::to_string(c.heads.dim) +
                      " " + name_of(c.cache.type) + " at " + std::to_string(c.start) + "+" + std::to_string(c.tokens) + what;
        const auto y = c.run(*table);
        c.check(y.get());
        check_one_at_a_time(*table, c, y.get());
        check_in_parts(*table, c, y.get());
        check_quantised_output(*table, c, y.get());
    }
}

void test_case(const Tables& tables, Heads heads, int64_t start, int64_t tokens, int64_t window, Random& random, CacheType type = CacheType::F16) {
    AttentionCase c(heads, start, tokens, window, random, type);
    check_case(tables, c, " window " + std::to_string(window));
}

// Keys that the cache holds without their bias.
void test_biased(const Tables& tables, Heads heads, int64_t start, int64_t tokens, int64_t window, Random& random, CacheType type) {
    AttentionCase c(heads, start, tokens, window, random, type);
    c.bias_keys(random);
    check_case(tables, c, " biased, window " + std::to_string(window));
}

std::vector<float> some_floats(int64_t n, Random& random) {
    const auto x = random_floats(n, random);
    return {x.get(), x.get() + n};
}

// Scores that distance adds to, and capped; then all keys, before and behind.
void test_shaped(const Tables& tables, Heads heads, int64_t start, int64_t tokens, int64_t window, Random& random, CacheType type = CacheType::F16) {
    for (int what = 0; what < 8; ++what) {
        AttentionCase c(heads, start, tokens, window, random, type);
        if (what & 1) c.soft_cap = 1.5f;
        if (what & 2)
            for (int h = 0; h < heads.heads; ++h) c.slopes.push_back(0.5f / (float)(h + 1));
        if (what & 4) {
            c.distances = some_floats(heads.heads * 20, random);
            c.first_distance = -19;
        }
        check_case(tables, c, " shaped " + std::to_string(what));
    }
    for (int64_t span : {1, 7, 99}) {
        AttentionCase c(heads, 0, start + tokens, 0, random, type);
        c.causal = false;
        check_case(tables, c, " of all keys");
        c.distances = some_floats(heads.heads * span, random);
        c.first_distance = -span / 2;
        check_case(tables, c, " of all keys by distance");
    }
    // Some queries over keys that were there before, as in an answer.
    AttentionCase c(heads, start, tokens, 0, random, type);
    c.causal = false;
    check_case(tables, c, " of a memory");
}

// One visible key has weight e^0 = 1 exactly, and is returned as it is.
void test_single_key(const Tables& tables, Random& random) {
    AttentionCase c({2, 1, 48}, 70, 1, 1, random);
    for (const Kernels* table : tables) {
        tally.where = std::string(table->name) + " attention to one key";
        const auto y = c.run(*table);
        for (int h = 0; h < 2; ++h)
            for (int d = 0; d < 48; ++d) CHECK(y[(size_t)(48 * h + d)] == c.value(0, 70, d));
    }
}

// Scores far apart: the weights of all but the best vanish, and nothing overflows.
void test_far_scores(const Tables& tables, Random& random) {
    AttentionCase c({1, 1, 32}, 130, 1, 0, random);
    for (int64_t j = 0; j <= 130; ++j) {
        for (int d = 0; d < 32; ++d) c.key(0, j, d) = j == 40 ? 60000.0f : -60000.0f;
        c.write(0, j);
    }
    for (int d = 0; d < 32; ++d) c.q[(size_t)d] = 1000;
    for (const Kernels* table : tables) {
        tally.where = std::string(table->name) + " attention with scores far apart";
        const auto y = c.run(*table);
        for (int d = 0; d < 32; ++d) CHECK(y[(size_t)d] == c.value(0, 40, d));
    }
}

// A NaN in a query, or in a key or value that it sees, must be seen in the result.
void test_not_numbers(const Tables& tables, CacheType type, Random& random) {
    for (int what = 0; what < 3; ++what)
        for (int64_t at : {0, 15, 16, 63, 64, 255, 256, 290}) {
            // A window that begins at the key, or all keys.
            AttentionCase c({2, 1, 32}, 290, 1, at % 2 ? 291 - at : 0, random, type);
            if (what == 0) c.q[(size_t)(at % 32)] = NAN;
            if (what == 1) c.key(0, at, 5) = NAN;
            if (what == 2) c.value(0, at, 5) = NAN;
            c.write(0, at);
            for (const Kernels* table : tables) {
                tally.where = std::string(table->name) + " attention with a NaN " + (what == 0 ? "query" : what == 1 ? "key" : "value") + " at " + std::to_string(at) + " in " + name_of(type);
                const auto y = c.run(*table);
                CHECK(std::isnan(y[5]));
                if (what == 1) CHECK(std::isnan(y[6]) && std::isnan(y[37]));
            }
        }
}

}  // namespace

void test_attention(const Tables& tables) {
    Random random(41);
    if (tally.quick) {
        test_case(tables, {4, 2, 32}, 62, 5, 0, random);
        test_case(tables, {3, 1, 20}, 0, 7, 3, random);
        test_shaped(tables, {2, 1, 24}, 60, 7, 30, random);
    } else {
        for (int dim : {20, 24, 32, 80, 96}) test_shaped(tables, {4, 2, dim}, 61, 6, dim, random);
        test_shaped(tables, {3, 3, 64}, 0, 130, 0, random);
        for (int dim : {16, 20, 32, 64, 80, 128}) {
            test_case(tables, {6, 2, dim}, 61, 6, 0, random);
            test_case(tables, {3, 3, dim}, 0, 5, 0, random);
        }
        for (int64_t start : {0, 1, 15, 16, 62, 63, 64, 65, 127, 128, 191, 200})
            for (int64_t tokens : {1, 2, 13}) test_case(tables, {9, 3, 16}, start, tokens, 0, random);
        for (int64_t window : {1, 5, 63, 64, 65, 100, 1000}) {
            test_case(tables, {4, 2, 32}, 0, 70, window, random);
            test_case(tables, {4, 1, 32}, 190, 5, window, random);
        }
        test_case(tables, {14, 2, 64}, 30, 70, 0, random);
        for (int64_t start : {200, 255, 256, 257, 1000})
            for (int64_t tokens : {1, 3}) test_case(tables, {4, 2, 48}, start, tokens, start / 2, random);
        test_case(tables, {2, 1, 48}, 220, 120, 0, random);
        test_case(tables, {25, 1, 16}, 500, 4, 0, random);
        test_case(tables, {1, 1, 1}, 3, 4, 0, random);
        test_case(tables, {2, 1, kHeadLimit}, 10, 3, 0, random);
    }
    for (CacheType type : {CacheType::Q8_0, CacheType::Q4_0}) {
        // Among them are all keys for all queries: an emulated machine gets fewer.
        test_shaped(tables, {2, 1, 32}, tally.quick ? 40 : 250, tally.quick ? 5 : 9, 30, random, type);
        test_biased(tables, {4, 2, 32}, 250, 9, 0, random, type);
        if (tally.quick) continue;
        for (int dim : {64, 96, 256}) test_biased(tables, {6, 2, dim}, 61, 6, 50, random, type);
        test_biased(tables, {3, 1, 64}, 700, 70, 300, random, type);
        for (int dim : {32, 64, 96, 128}) test_case(tables, {6, 2, dim}, 61, 6, 0, random, type);
        for (int64_t start : {0, 31, 32, 255, 256, 600})
            for (int64_t tokens : {1, 13}) test_case(tables, {4, 2, 64}, start, tokens, 0, random, type);
        test_case(tables, {3, 1, 64}, 700, 70, 300, random, type);
        test_case(tables, {2, 1, kHeadLimit}, 10, 3, 0, random, type);
    }
    test_single_key(tables, random);
    test_far_scores(tables, random);
    for (CacheType type : {CacheType::F16, CacheType::Q8_0, CacheType::Q4_0}) test_not_numbers(tables, type, random);
}

}  // namespace test
