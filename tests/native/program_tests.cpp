// Whole programs: equal to the bit for any number of threads, any cut of the prompt, any company, packed or not. That they
// compute the right thing is checked from Python against the reference interpreter (tests/ops).
#include <algorithm>

#include "cpu.h"
#include "tiny_model.h"

namespace test {

using namespace furet;

namespace {

std::vector<int32_t> random_tokens(int64_t n, Random& random) {
    std::vector<int32_t> out;
    for (int64_t i = 0; i < n; ++i) out.push_back((int32_t)random.below(TinyModel::kVocabulary));
    return out;
}

std::vector<int32_t> slice(const std::vector<int32_t>& tokens, int64_t first, int64_t last) {
    return {tokens.begin() + first, tokens.begin() + std::min(last, (int64_t)tokens.size())};
}

// Logits of all tokens, `chunk` tokens a step.
std::vector<float> logits(TinyModel& model, Pool& pool, const std::vector<int32_t>& tokens, int64_t chunk) {
    const auto cache = TinyModel::cache((int64_t)tokens.size());
    std::vector<float> out;
    for (int64_t t = 0; t < (int64_t)tokens.size(); t += chunk) {
        const std::vector<float> part = model.step(pool, slice(tokens, t, t + chunk), *cache);
        out.insert(out.end(), part.begin(), part.end());
    }
    CHECK(cache->length == (int64_t)tokens.size());
    return out;
}

bool ordinary(const std::vector<float>& values) {
    double low = INFINITY, high = -INFINITY;
    for (float v : values) {
        if (!std::isfinite(v)) return false;
        low = std::min(low, (double)v);
        high = std::max(high, (double)v);
    }
    return high - low > 0.1;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) { return a.size() == b.size() && same_bits(a.data(), b.data(), 4 * (int64_t)a.size()); }

void test_threads_and_chunks(TinyModel& model, const std::vector<int32_t>& tokens) {
    Pool one(1);
    const std::vector<float> wanted = logits(model, one, tokens, 80);
    CHECK(ordinary(wanted));
    struct { int threads; int64_t chunk; } const ways[] = {{2, 80}, {3, 64}, {2, 7}, {1, 64}, {3, 1}};
    for (const auto& way : ways) {
        if (tally.quick && way.chunk == 1) continue;
        Pool pool(way.threads);
        CHECK(same(logits(model, pool, tokens, way.chunk), wanted));
    }
    TinyModel packed(true, 20);
    CHECK(same(logits(packed, one, tokens, 80), wanted));
}

std::vector<float> rows_of(const std::vector<float>& values, int64_t first, int64_t last) {
    return {values.begin() + first * TinyModel::kVocabulary, values.begin() + last * TinyModel::kVocabulary};
}

// Two sequences in one step, then one token each, are what each is alone.
void test_company(TinyModel& model, Random& random) {
    Pool pool(2);
    const auto a = random_tokens(6, random), b = random_tokens(12, random);
    const std::vector<float> alone_a = logits(model, pool, a, 80), alone_b = logits(model, pool, b, 80);
    const auto cache_a = TinyModel::cache(6), cache_b = TinyModel::cache(200);
    std::vector<int32_t> both = slice(a, 0, 5), rows;
    both.insert(both.end(), b.begin(), b.begin() + 11);
    for (int32_t t = 0; t < 16; ++t) rows.push_back(t);
    const std::vector<float> together = model.step(pool, both, {{cache_a.get(), 5}, {cache_b.get(), 11}}, rows);
    CHECK(same(rows_of(together, 0, 5), rows_of(alone_a, 0, 5)) && same(rows_of(together, 5, 16), rows_of(alone_b, 0, 11)));
    const std::vector<float> next = model.step(pool, {b[11], a[5]}, {{cache_b.get(), 1}, {cache_a.get(), 1}}, {0, 1});
    CHECK(same(rows_of(next, 0, 1), rows_of(alone_b, 11, 12)) && same(rows_of(next, 1, 2), rows_of(alone_a, 5, 6)));
}

// Any rows in any order; no rows at all; and a cache cut back to where it was.
void test_rows_and_truncation(TinyModel& model, Random& random) {
    Pool pool(2);
    const auto tokens = random_tokens(9, random);
    const std::vector<float> all = logits(model, pool, tokens, 80);
    const auto cache = TinyModel::cache(9);
    const std::vector<float> some = model.step(pool, tokens, {{cache.get(), 9}}, {8, 0, 8});
    CHECK(same(rows_of(some, 0, 1), rows_of(all, 8, 9)) && same(rows_of(some, 1, 2), rows_of(all, 0, 1)) && same(rows_of(some, 2, 3), rows_of(all, 8, 9)));
    cache->length = 4;
    CHECK(model.step(pool, slice(tokens, 4, 8), {{cache.get(), 4}}, {}).empty() && cache->length == 8);
    CHECK(same(model.step(pool, {tokens[8]}, *cache), rows_of(all, 8, 9)));
}

// Blocks in any order; a first block that another sequence has computed; and a copy of one that is not full.
void test_shared_blocks(TinyModel& model, Random& random) {
    Pool pool(2);
    const auto tokens = random_tokens(150, random);
    const std::vector<float> wanted = logits(model, pool, tokens, 64);
    const CacheShape shape = TinyModel::shape(192);
    const auto blocks = std::make_shared<Blocks>(shape.layers, shape.type, 9);
    Cache first(shape, blocks), second(shape, blocks), third(shape, blocks);
    first.hold({7, 2, 5}, 0);
    const std::vector<float> begun = model.step(pool, slice(tokens, 0, 80), first);
    CHECK(same(begun, rows_of(wanted, 0, 80)));
    second.hold({7, 8, 0}, 64);
    CHECK(same(model.step(pool, slice(tokens, 64, 144), second), rows_of(wanted, 64, 144)));
    blocks->copy(2, 3);
    third.hold({7, 3}, 70);
    CHECK(third.room() == 128 && same(model.step(pool, slice(tokens, 70, 128), third), rows_of(wanted, 70, 128)));
    CHECK(same(model.step(pool, slice(tokens, 80, 150), first), rows_of(wanted, 80, 150)));
}

// One program for ever new sequences, to meet what an earlier step left behind.
void test_many_steps(TinyModel& model, Random& random) {
    Pool pool(3);
    for (int round = 0; round < (tally.quick ? 2 : 8); ++round) {
        const auto tokens = random_tokens(random.between(1, 30), random);
        const std::vector<float> wanted = logits(model, pool, tokens, 80);
        CHECK(same(logits(model, pool, tokens, random.between(1, 30)), wanted));
    }
}

}  // namespace

void test_program(const Tables& tables) {
    for (const Kernels* table : tables) {
        Random random(61);
        tally.where = std::string(table->name) + " program";
        CHECK(use_kernels(table->name) && &kernels() == table);
        TinyModel model(false, 20);
        test_threads_and_chunks(model, random_tokens(tally.quick ? 20 : 79, random));
        test_company(model, random);
        test_shared_blocks(model, random);
        test_rows_and_truncation(model, random);
        test_many_steps(model, random);
    }
    CHECK(!use_kernels("no such instruction set"));
    CHECK(use_kernels(tables.front()->name));
}

}  // namespace test
