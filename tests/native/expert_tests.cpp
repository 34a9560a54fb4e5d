// Mixtures of experts: the choice of experts, the sum of what they say, and programs that are equal to the bit for any number
// of threads, any cut of the tokens, packed or not.
#include <algorithm>
#include <deque>
#include <stdexcept>

#include "blocks.h"
#include "cpu.h"
#include "pack.h"
#include "pages.h"
#include "program.h"

namespace test {

using namespace furet;

namespace {

struct Routed {
    std::vector<int32_t> experts;
    std::vector<float> weights;
};

Routed route(const Kernels& table, const float* scores, int64_t count, int64_t used, bool normalise) {
    Routed out{std::vector<int32_t>((size_t)used), std::vector<float>((size_t)used)};
    table.route(scores, count, used, normalise, out.experts.data(), out.weights.data(), dirty_scratch());
    return out;
}

bool distinct(std::vector<int32_t> experts, int64_t count) {
    std::sort(experts.begin(), experts.end());
    return experts.front() >= 0 && experts.back() < count && std::adjacent_find(experts.begin(), experts.end()) == experts.end();
}

void check_route(const Kernels& table, const float* scores, int64_t count, int64_t used, bool normalise) {
    const Routed got = route(table, scores, count, used, normalise);
    std::vector<int32_t> order;
    for (int32_t e = 0; e < count; ++e) order.push_back(e);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    double total = 0;
    for (int64_t e = 0; e < (normalise ? used : count); ++e) total += std::exp((double)scores[order[(size_t)e]] - scores[order[0]]);
    for (size_t rank = 0; rank < (size_t)used; ++rank) {
        CHECK(got.experts[rank] == order[rank]);
        const double wanted = std::exp((double)scores[order[rank]] - scores[order[0]]) / total;
        // The exponential to 2 ulp of an argument with a rounding of its own, a sum and two quotients.
        CHECK_NEAR(got.weights[rank], wanted, wanted * kRounding * (40.0 + (double)count + std::fabs((double)scores[order[rank]] - scores[order[0]])) + 1e-37);
    }
}

void test_route(const Kernels& table, Random& random) {
    tally.where = std::string(table.name) + " route";
    for (int64_t count : {1, 2, 5, 16, 17, 60, 128, kMaxExperts})
        for (int64_t used : {(int64_t)1, (int64_t)2, (int64_t)8, count}) {
            if (used > count || (tally.quick && used == kMaxExperts)) continue;
            const auto scores = random_floats(count, random, -6, 6);
            for (int64_t e = 3; e < count; e += 7) scores[(size_t)e] = scores[(size_t)e - 3];
            check_route(table, scores.get(), count, used, false);
            check_route(table, scores.get(), count, used, true);
        }
    const auto equal = exact<float>(20);
    CHECK(route(table, equal.get(), 20, 3, true).experts == (std::vector<int32_t>{0, 1, 2}));
    CHECK_NEAR(route(table, equal.get(), 20, 3, true).weights[2], 1.0 / 3, 1e-7);
}

// Whatever the scores, the experts are as many different ones; a NaN or a score of plus infinity spoils all weights.
void test_broken_scores(const Kernels& table, Random& random) {
    tally.where = std::string(table.name) + " route of broken scores";
    const float broken[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int64_t count : {3, 16, 40})
        for (float value : broken)
            for (int64_t at = 0; at <= count; ++at) {
                const auto scores = random_floats(count, random);
                for (int64_t e = 0; e < count; ++e)
                    if (at == e || at == count) scores[(size_t)e] = value;
                for (int64_t used = 1; used <= count; used += 2) {
                    const Routed got = route(table, scores.get(), count, used, used % 4 == 1);
                    CHECK(distinct(got.experts, count));
                    const bool ordinary = value == -INFINITY && at < count;
                    for (float weight : got.weights) CHECK(std::isnan(weight) == !ordinary);
                }
            }
}

void test_combine(const Kernels& table, Random& random) {
    tally.where = std::string(table.name) + " combine";
    for (int64_t width : {1, 15, 16, 40, 257})
        for (int64_t used : {1, 2, 7}) {
            const int64_t stride = width + 5;
            const auto x = random_floats(used * stride - 5, random), weights = random_floats(used, random, 0, 1);
            auto y = exact<float>(width);
            table.combine(x.get(), stride, weights.get(), used, width, y.get());
            for (int64_t i = 0; i < width; ++i) {
                double wanted = 0, magnitude = 0;
                for (int64_t r = 0; r < used; ++r) {
                    wanted += (double)x[(size_t)(r * stride + i)] * weights[(size_t)r];
                    magnitude += std::fabs((double)x[(size_t)(r * stride + i)] * weights[(size_t)r]);
                }
                CHECK_NEAR(y[(size_t)i], wanted, magnitude * kRounding * (double)(used + 1));
            }
        }
}

// Embedding, one layer of experts, head; nothing is kept from token to token.
struct TinyExperts {
    static constexpr int64_t kWidth = 256, kInner = 40, kVocabulary = 50, kExperts = 5, kTokens = 64;

    Program program{kTokens, kTokens, 4 << 20};
    bool packed;
    Random random{71};
    int64_t offset = 0;
    std::deque<Weight> weights;
    std::vector<std::unique_ptr<OddBytes>> bytes;
    std::vector<std::unique_ptr<Pages>> packs;

    // Dispatched: the rows of tokens are copied for their experts, and not looked up by them.
    TinyExperts(Type type, int64_t used, bool packed, bool dispatched) : packed(packed) {
        const bool floats = type_info((int)type)->form == Form::Float;
        const int x = buffer(kWidth, Kind::F32), scores = buffer(kExperts, Kind::F32), chosen = buffer(used, Kind::Route);
        program.add(Embed{stored(Type::F32, kVocabulary, kWidth), x});
        program.add(Linear{x, {weight(Type::F32, kExperts, kWidth)}, {Floats()}, {scores}, -1});
        program.add(Route{scores, true, chosen});
        int input = x;
        if (!floats) program.add(Quantise{x, input = buffer(kWidth, Kind::Q8)});
        if (dispatched) {
            const int copied = buffer(kWidth, floats ? Kind::F32 : Kind::Q8, used);
            program.add(Dispatch{input, chosen, copied});
            input = copied;
        }
        const int gate = buffer(kInner, Kind::F32, used), up = buffer(kInner, Kind::F32, used), y = buffer(kInner, Kind::F32);
        program.add(ExpertLinear{input, {weight(type, kInner, kWidth, kExperts), weight(type, kInner, kWidth, kExperts)}, chosen, {gate, up}});
        program.add(Multiply{gate, up, gate});
        program.add(Combine{gate, chosen, y});
        const int wanted = buffer(kInner, Kind::F32, 1, Rows::Rows);
        program.add(TakeRows{y, wanted});
        program.add(Linear{wanted, {weight(Type::F32, kVocabulary, kInner)}, {Floats()}, {buffer(kVocabulary, Kind::Out, 1, Rows::Rows)}, -1});
    }

    int buffer(int64_t width, Kind kind, int64_t each = 1, Rows rows = Rows::Tokens) {
        const int id = program.buffer(width, kind, rows, kind == Kind::Out ? 0 : offset, each);
        offset += buffer_row_bytes(kind, width) * kTokens * each;
        return id;
    }

    Weight stored(Type type, int64_t rows, int64_t columns, int64_t matrices = 1) {
        const TypeInfo& info = *type_info((int)type);
        const int64_t row_bytes = columns / info.block * info.bytes;
        bytes.push_back(std::make_unique<OddBytes>(matrices * rows * row_bytes));
        fill_blocks(info, bytes.back()->data(), matrices * rows * columns / info.block, Scales::Ordinary, random);
        return {&info, bytes.back()->data(), nullptr, rows, columns, row_bytes, matrices};
    }

    const Weight* weight(Type type, int64_t rows, int64_t columns, int64_t matrices = 1) {
        Weight& out = weights.emplace_back(stored(type, rows, columns, matrices));
        if (!packed) return &out;
        Pool pool(2);
        packs.push_back(std::make_unique<Pages>((size_t)(matrices * out.packed_bytes())));
        pack(out, pool, 0, panels(out), packs.back()->data());
        out.packed = packs.back()->data();
        out.data = nullptr;
        return &out;
    }

    std::vector<float> logits(int threads, int64_t chunk) {
        Pool pool(threads);
        std::vector<float> out((size_t)(kTokens * kVocabulary));
        for (int64_t first = 0; first < kTokens; first += chunk) {
            Cache cache({{}, {}, {}, kTokens, 0});
            std::vector<int32_t> tokens, rows;
            for (int64_t t = first; t < std::min(first + chunk, kTokens); ++t) {
                rows.push_back((int32_t)tokens.size());
                tokens.push_back((int32_t)(7 * t % kVocabulary));
            }
            const int64_t count = (int64_t)tokens.size();
            program.step(pool, {tokens.data(), count, {{&cache, count}}, rows.data(), count, out.data() + first * kVocabulary});
        }
        return out;
    }
};

bool same(const std::vector<float>& a, const std::vector<float>& b) { return same_bits(a.data(), b.data(), 4 * (int64_t)a.size()); }

void test_programs(const Kernels& table) {
    CHECK(use_kernels(table.name));
    for (Type type : {Type::F16, Type::Q8_0, Type::Q4_K, Type::Q3_K})
        for (int64_t used : {1, 2, 5}) {
            if (tally.quick && used != 2) continue;
            tally.where = std::string(table.name) + " experts of " + name_of(*type_info((int)type));
            const std::vector<float> wanted = TinyExperts(type, used, false, false).logits(1, TinyExperts::kTokens);
            CHECK(std::all_of(wanted.begin(), wanted.end(), [](float y) { return std::isfinite(y); }));
            CHECK(*std::max_element(wanted.begin(), wanted.end()) > *std::min_element(wanted.begin(), wanted.end()));
            CHECK(same(TinyExperts(type, used, true, false).logits(2, TinyExperts::kTokens), wanted));
            CHECK(same(TinyExperts(type, used, false, true).logits(3, 9), wanted));
            CHECK(same(TinyExperts(type, used, true, true).logits(1, 1), wanted));
        }
}

bool refuses(Program& program, Instruction instruction) {
    try {
        program.add(std::move(instruction));
    } catch (const std::invalid_argument&) {
        return true;
    }
    return false;
}

void test_misfits() {
    tally.where = "refused experts";
    TinyExperts m(Type::Q8_0, 2, false, false);
    Program& p = m.program;
    const int x = m.buffer(64, Kind::F32), q = m.buffer(64, Kind::Q8), each = m.buffer(64, Kind::F32, 2), more = m.buffer(64, Kind::F32, 3);
    const int e64 = m.buffer(32, Kind::F32, 2), one = m.buffer(32, Kind::F32), rows = m.buffer(64, Kind::F32, 1, Rows::Rows);
    const int scores = m.buffer(7, Kind::F32), few = m.buffer(1, Kind::F32), wide = m.buffer(kMaxExperts + 1, Kind::F32);
    const int other = m.buffer(7, Kind::F32, 1, Rows::Rows), twice = m.buffer(7, Kind::F32, 2), fresh = m.buffer(2, Kind::Route), chosen = m.buffer(2, Kind::Route);
    CHECK(refuses(p, Route{q, true, chosen}) && refuses(p, Route{scores, true, x}) && refuses(p, Route{few, true, chosen}));
    CHECK(refuses(p, Route{wide, true, chosen}) && refuses(p, Route{other, true, chosen}) && refuses(p, Route{twice, true, chosen}));
    CHECK(!refuses(p, Route{scores, true, chosen}) && refuses(p, Route{x, true, chosen}));
    CHECK(refuses(p, Dispatch{x, x, each}) && refuses(p, Dispatch{x, chosen, more}) && refuses(p, Dispatch{each, chosen, each}));
    CHECK(refuses(p, Dispatch{rows, chosen, each}) && refuses(p, Dispatch{q, chosen, each}) && refuses(p, Dispatch{chosen, chosen, chosen}));
    const Weight *good = m.weight(Type::Q8_0, 32, 64, 7), *floats = m.weight(Type::F32, 32, 64, 7), *fewer = m.weight(Type::Q8_0, 32, 64, 6);
    CHECK(refuses(p, ExpertLinear{q, {good}, fresh, {e64}}) && refuses(p, ExpertLinear{q, {good}, x, {e64}}));
    CHECK(refuses(p, ExpertLinear{q, {fewer}, chosen, {e64}}) && refuses(p, ExpertLinear{q, {floats}, chosen, {e64}}) && refuses(p, ExpertLinear{x, {good}, chosen, {e64}}));
    CHECK(refuses(p, ExpertLinear{q, {good}, chosen, {one}}) && refuses(p, ExpertLinear{q, {good}, chosen, {each}}) && refuses(p, ExpertLinear{more, {floats}, chosen, {e64}}));
    CHECK(refuses(p, ExpertLinear{q, {good, good}, chosen, {e64}}) && refuses(p, ExpertLinear{q, {}, chosen, {}}) && refuses(p, ExpertLinear{rows, {floats}, chosen, {e64}}));
    CHECK(!refuses(p, ExpertLinear{q, {good}, chosen, {e64}}) && !refuses(p, ExpertLinear{each, {floats}, chosen, {e64}}));
    CHECK(refuses(p, Linear{q, {good}, {{}}, {one}, -1}) && refuses(p, Embed{*floats, x}));
    CHECK(refuses(p, Combine{e64, chosen, x}) && refuses(p, Combine{e64, chosen, e64}) && refuses(p, Combine{more, chosen, x}) && refuses(p, Combine{e64, e64, one}));
    CHECK(refuses(p, Combine{q, chosen, x}) && refuses(p, Combine{each, chosen, rows}) && !refuses(p, Combine{e64, chosen, one}));
    const int taken = m.buffer(2, Kind::Route, 1, Rows::Rows), e_rows = m.buffer(64, Kind::F32, 2, Rows::Rows);
    CHECK(refuses(p, TakeRows{each, rows}) && refuses(p, TakeRows{chosen, rows}) && refuses(p, TakeRows{chosen, chosen}) && refuses(p, TakeRows{each, e64}));
    CHECK(!refuses(p, TakeRows{chosen, taken}) && !refuses(p, TakeRows{each, e_rows}) && !refuses(p, Combine{e_rows, taken, rows}));
}

}  // namespace

void test_experts(const Tables& tables) {
    for (const Kernels* table : tables) {
        Random random(72);
        test_route(*table, random);
        test_broken_scores(*table, random);
        test_combine(*table, random);
        test_programs(*table);
    }
    test_misfits();
    CHECK(use_kernels(tables.front()->name));
}

}  // namespace test
