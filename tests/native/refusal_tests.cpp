// What a program refuses, with std::invalid_argument and before anything has changed.
#include <deque>
#include <limits>
#include <stdexcept>

#include "tiny_model.h"

namespace test {

using namespace furet;

namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

template <class Function> bool refuses(Function f) {
    try {
        f();
    } catch (const std::invalid_argument& error) {
        return error.what()[0] != 0;
    }
    return false;
}

void test_sizes() {
    tally.where = "refused sizes";
    CHECK(refuses([] { Program p(0, 1, 1024); }));
    CHECK(refuses([] { Program p(furet::kMaxTokens + 1, 1, 1024); }));
    CHECK(refuses([] { Program p(4, 0, 1024); }));
    CHECK(refuses([] { Program p(4, 5, 1024); }));
    Program p(4, 2, 1024);
    CHECK(refuses([&] { p.buffer(0, Kind::F32, Rows::Tokens, 0); }));
    CHECK(refuses([&] { p.buffer(-32, Kind::F32, Rows::Tokens, 0); }));
    CHECK(refuses([&] { p.buffer(kHuge, Kind::F32, Rows::Tokens, 0); }));
    CHECK(refuses([&] { p.buffer(33, Kind::Q8, Rows::Tokens, 0); }));
    CHECK(refuses([&] { p.buffer(16, Kind::F32, Rows::Tokens, 32); }));
    CHECK(refuses([&] { p.buffer(16, Kind::F32, Rows::Tokens, -64); }));
    CHECK(refuses([&] { p.buffer(16, Kind::F32, Rows::Tokens, kHuge / 64 * 64); }));
    CHECK(refuses([&] { p.buffer(65, Kind::F32, Rows::Tokens, 0); }));
    CHECK(refuses([&] { p.buffer(16, Kind::F32, Rows::Tokens, 832); }));
    CHECK(refuses([&] { p.buffer(16, Kind::Out, Rows::Tokens, 0); }) && refuses([&] { p.buffer(16, Kind::Out, Rows::Rows, 0, 2); }));
    CHECK(refuses([&] { p.buffer(16, Kind::F32, Rows::Tokens, 0, 0); }) && refuses([&] { p.buffer(16, Kind::F32, Rows::Tokens, 0, kHuge); }) && refuses([&] { p.buffer(16, Kind::F32, Rows::Tokens, 0, 5); }));
    CHECK(p.buffer(64, Kind::F32, Rows::Tokens, 0) == 0 && p.buffer(16, Kind::F32, Rows::Tokens, 768) == 1);
    CHECK(p.buffer(7, Kind::Out, Rows::Rows, 0) == 2);
    CHECK(refuses([&] { p.buffer(8, Kind::Out, Rows::Rows, 0); }));
    CHECK(refuses([&] { p.rope_table({}, 1); }));
    CHECK(refuses([&] { p.rope_table(std::vector<double>(kHeadLimit / 2 + 1), 1); }));
    CHECK(p.width(0) == 64 && refuses([&] { p.width(3); }) && refuses([&] { p.width(-1); }));
}

// Biases of keys whose pairs are not those that are counted, not of a head, or not of the table.
void test_key_biases() {
    Program p(4, 2, 1024);
    const int table = p.rope_table({1, 0.5}, 1);
    const BiasedPair turning{0, 2, 1, 3, 4}, still{5, -1, 0, 3, 0};
    CHECK(p.key_bias(table, {1, 2}, {still, turning, still}) == 0 && p.key_bias(-1, {0, 1}, {still}) == 1);
    for (int other : {-2, 1}) CHECK(refuses([&] { p.key_bias(other, {1}, {still}); }));
    for (int count : {-1, 0, 2}) CHECK(refuses([&] { p.key_bias(table, {count}, {still}); }));
    CHECK(refuses([&] { p.key_bias(-1, {1}, {turning}); }));
    for (BiasedPair pair : {BiasedPair{-1, 2, 0, 1, 1}, {kHeadLimit, 2, 0, 1, 1}, {0, -2, 0, 1, 1}, {0, kHeadLimit, 0, 1, 1}, {0, 2, 2, 1, 1}, {0, 2, -1, 1, 1}})
        CHECK(refuses([&] { p.key_bias(table, {1}, {pair}); }));
    CHECK(refuses([&] { p.key_bias(table, {kBiasLines + 1}, std::vector<BiasedPair>(kBiasLines + 1, still)); }));
    const int q = p.buffer(12, Kind::F32, Rows::Tokens, 0), k = p.buffer(6, Kind::F32, Rows::Tokens, 192);
    CHECK(refuses([&] { p.add(Append{k, k, 0, 6, Keys::Past, 0}); }) && refuses([&] { p.add(Append{k, k, 0, 3, Keys::Past, 0}); }));
    CHECK(refuses([&] { p.add(Append{k, k, 0, 6, Keys::Past, 2}); }) && refuses([&] { p.add(Append{q, q, 0, 0, Keys::Past, 0}); }));
    CHECK(refuses([&] { p.add(Attention{q, Keys::Past, 0, 2, 1, 6, {1, 0, {}, {}, 0}, 0, q, 0}); }));
    p.add(Append{q, q, 0, 6, Keys::Past, 0});
}

// Buffers of every kind, for instructions that do not fit them.
struct Misfits {
    Program p{4, 2, 1 << 16};
    int64_t offset = 0;
    int f64 = buffer(64, Kind::F32), f32 = buffer(32, Kind::F32), f48 = buffer(48, Kind::F32);
    int q64 = buffer(64, Kind::Q8), q32 = buffer(32, Kind::Q8);
    int e64 = buffer(64, Kind::F32, Rows::Tokens, 3);
    int r64 = buffer(64, Kind::F32, Rows::Rows), r32 = buffer(32, Kind::F32, Rows::Rows);
    int out = buffer(64, Kind::Out, Rows::Rows);
    int table = p.rope_table({1, 0.5}, 1);
    OddBytes bytes{64 * 64 * 4};
    std::deque<Weight> weights;

    int buffer(int64_t width, Kind kind, Rows rows = Rows::Tokens, int64_t each = 1) {
        const int id = p.buffer(width, kind, rows, offset, each);
        offset += buffer_row_bytes(kind, width) * 4 * each;
        return id;
    }
    const Weight* weight(Type type, int64_t rows, int64_t columns) {
        const TypeInfo* info = type_info((int)type);
        return &weights.emplace_back(Weight{info, bytes.data(), nullptr, rows, columns, columns / info->block * info->bytes});
    }
    bool refuse(Instruction instruction) {
        return refuses([&] { p.add(std::move(instruction)); });
    }
};

void test_linear_misfits(Misfits& m) {
    tally.where = "refused linear";
    const Weight *q = m.weight(Type::Q8_0, 32, 64), *f = m.weight(Type::F32, 32, 64);
    CHECK(m.refuse(Linear{m.f64, {q}, {{}}, {m.f32}, -1}));
    CHECK(m.refuse(Linear{m.q64, {f}, {{}}, {m.f32}, -1}));
    CHECK(m.refuse(Linear{m.q32, {q}, {{}}, {m.f32}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {m.f64}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {m.q32}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {m.r32}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {m.out}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {Floats(31)}, {m.f32}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {m.f32}, m.f64}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {m.f32}, m.q32}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {m.f32}, m.r32}));
    CHECK(m.refuse(Linear{m.q64, {q, q}, {{}, {}}, {m.f32, m.f32}, m.f32}));
    CHECK(m.refuse(Linear{m.q64, {q}, {}, {m.f32}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {}, -1}));
    CHECK(m.refuse(Linear{m.q64, {}, {}, {}, -1}));
    CHECK(m.refuse(Linear{99, {q}, {{}}, {m.f32}, -1}));
    CHECK(m.refuse(Linear{m.q64, {q}, {{}}, {99}, -1}));
    CHECK(!m.refuse(Linear{m.q64, {q}, {Floats(32)}, {m.f32}, m.f32}));
}

void test_attention_misfits(Misfits& m) {
    tally.where = "refused attention";
    CHECK(m.refuse(Append{m.q64, m.f64, 0, 32, Keys::Past}));
    CHECK(m.refuse(Append{m.f64, m.q64, 0, 32, Keys::Past}));
    CHECK(m.refuse(Append{m.f64, m.f32, 0, 32, Keys::Past}));
    CHECK(m.refuse(Append{m.r64, m.r64, 0, 32, Keys::Past}));
    auto attention = [&](int q, int heads, int kv_heads, int dim, int64_t window, int out) { return m.refuse(Attention{q, Keys::Past, 0, heads, kv_heads, dim, {1, 0, {}, {}, 0}, window, out}); };
    auto shaped = [&](Keys keys, int layer, Scores scores, int64_t window) { return m.refuse(Attention{m.f64, keys, layer, 2, 1, 32, std::move(scores), window, m.f64}); };
    CHECK(shaped(Keys::Past, 0, {1, 0, Floats(3), {}, 0}, 0) && shaped(Keys::Past, 0, {1, 0, {}, Floats(3), 0}, 0) && shaped(Keys::Past, 0, {1, 0, {}, Floats(4), kHuge}, 0));
    CHECK(shaped(Keys::Past, -1, {1, 0, {}, {}, 0}, 0) && shaped(Keys::Step, 0, {1, 0, {}, {}, 0}, 5) && shaped(Keys::Memory, 0, {1, 0, {}, {}, 0}, 5));
    CHECK(m.refuse(Append{m.f64, m.f64, -1, 32, Keys::Memory}));
    CHECK(attention(m.q64, 2, 1, 32, 0, m.f64));
    CHECK(attention(m.f64, 2, 1, 32, 0, m.f32));
    CHECK(attention(m.f64, 2, 1, 32, 0, m.r64));
    CHECK(attention(m.r64, 2, 1, 32, 0, m.r64));
    CHECK(attention(m.f64, 2, 1, 0, 0, m.f64));
    CHECK(attention(m.f64, 2, 1, kHeadLimit + 1, 0, m.f64));
    CHECK(attention(m.f64, 2, 0, 32, 0, m.f64));
    CHECK(attention(m.f64, 2, -1, 32, 0, m.f64));
    CHECK(attention(m.f64, 3, 2, 32, 0, m.f64));
    CHECK(attention(m.f64, 4, 2, 32, 0, m.f64));
    CHECK(attention(m.f64, 2, 1, 32, -1, m.f64));
    CHECK(attention(m.f64, 4, 2, 16, 0, m.q64));
    CHECK(!attention(m.f64, 2, 1, 32, 5, m.q64));
}

void test_row_misfits(Misfits& m) {
    tally.where = "refused row operations";
    CHECK(m.refuse(Embed{*m.weight(Type::F32, 8, 64), m.f32}) && m.refuse(Embed{*m.weight(Type::F32, 8, 64), m.q64}) && m.refuse(Embed{*m.weight(Type::F32, 8, 64), m.r64}));
    CHECK(m.refuse(TakeRows{m.f64, m.f64}) && m.refuse(TakeRows{m.r64, m.r64}) && m.refuse(TakeRows{m.f64, m.r32}) && m.refuse(TakeRows{m.q64, m.r64}));
    CHECK(m.refuse(RmsNorm{m.f64, Floats(), 1e-5f, m.f64}) && m.refuse(RmsNorm{m.f64, Floats(48), 1e-5f, m.f64}) && m.refuse(RmsNorm{m.q64, Floats(64), 1e-5f, m.f64}));
    CHECK(m.refuse(RmsNorm{m.f64, Floats(64), 1e-5f, m.f32}) && m.refuse(RmsNorm{m.f64, Floats(16), 1e-5f, m.q64}) && m.refuse(RmsNorm{m.f64, Floats(64), 1e-5f, m.r64}));
    CHECK(m.refuse(Quantise{m.f64, m.f64}) && m.refuse(Quantise{m.q64, m.q64}) && m.refuse(Quantise{m.f64, m.q32}));
    CHECK(m.refuse(Rope{m.q64, 32, m.table, Style::Halves}) && m.refuse(Rope{m.f64, 48, m.table, Style::Halves}) && m.refuse(Rope{m.f64, 0, m.table, Style::Halves}));
    CHECK(m.refuse(Rope{m.f64, 2, m.table, Style::Halves}) && m.refuse(Rope{m.f64, 32, m.table + 1, Style::Halves}) && m.refuse(Rope{m.f64, 32, -1, Style::Halves}));
    CHECK(m.refuse(Rope{m.r64, 32, m.table, Style::Halves}));
    auto gated = [&](int gate, int up, int out) { return m.refuse(Gated{Function::Gelu, gate, up, out}); };
    CHECK(gated(m.f64, m.f32, m.f64) && gated(m.f64, m.f64, m.f32) && gated(m.q64, m.f64, m.f64) && gated(m.f64, m.f64, m.r64) && gated(m.f64, m.f64, m.e64));
    CHECK(m.refuse(Gated{Function::SoftCap, m.f64, m.f64, m.f64}) && !gated(m.f64, m.f64, m.q64));
    const Weight *square = m.weight(Type::Q8_0, 64, 64), *odd = m.weight(Type::Q8_0, 48, 64);
    auto both = [&](int x, const Weight* gate, const Weight* up, int out) { return m.refuse(GatedLinear{x, gate, up, Function::Silu, out}); };
    CHECK(both(m.f64, square, square, m.f64) && both(m.q32, square, square, m.f64) && both(m.q64, square, square, m.f32) && both(m.q64, square, square, m.q64));
    CHECK(both(m.q64, square, odd, m.f64) && both(m.q64, odd, odd, m.f64) && both(m.q64, square, square, m.r64) && !both(m.q64, square, square, m.f64));
    CHECK(m.refuse(GatedLinear{m.q64, square, square, Function::Clamp, m.f64}));
    CHECK(m.refuse(Activate{Function::Relu, m.f64, 0, m.f32}) && m.refuse(Activate{Function::Relu, m.q64, 0, m.f64}) && m.refuse(Activate{Function::Relu, m.f64, 0, m.r64}));
    CHECK(m.refuse(LayerNorm{m.f64, Floats(64), {}, 0, 1e-5f, m.f64}) && m.refuse(LayerNorm{m.f64, Floats(64), {}, 3, 1e-5f, m.f64}) && m.refuse(LayerNorm{m.f64, Floats(64), {}, -1, 1e-5f, m.f64}));
    CHECK(m.refuse(LayerNorm{m.f64, Floats(32), {}, 2, 1e-5f, m.f64}) && m.refuse(LayerNorm{m.f64, Floats(64), Floats(32), 1, 1e-5f, m.f64}) && m.refuse(LayerNorm{m.f64, Floats(64), {}, 4, 1e-5f, m.q64}));
    CHECK(m.refuse(L2Norm{m.f64, 0, 1e-6f, m.f64}) && m.refuse(L2Norm{m.f64, 3, 1e-6f, m.f64}) && m.refuse(L2Norm{m.f64, 2, 1e-6f, m.q64}) && m.refuse(L2Norm{m.f64, 2, 1e-6f, m.f32}));
    CHECK(m.refuse(HeadDot{m.f64, m.f32, 2, m.f64}) && m.refuse(HeadDot{m.f64, m.f64, 5, m.f64}) && m.refuse(HeadDot{m.f64, m.f64, 0, m.f64}) && m.refuse(HeadDot{m.f64, m.f64, 2, m.q64}));
    CHECK(m.refuse(Affine{m.f64, Floats(32), {}, m.f64}) && m.refuse(Affine{m.f64, {}, Floats(65), m.f64}) && m.refuse(Affine{m.f64, {}, {}, m.f32}) && m.refuse(Affine{m.q64, {}, {}, m.f64}));
    CHECK(m.refuse(Columns{m.f64, -1, m.f32}) && m.refuse(Columns{m.f64, 33, m.f32}) && m.refuse(Columns{m.f64, kHuge, m.f32}) && m.refuse(Columns{m.f32, 0, m.f64}));
    CHECK(m.refuse(Columns{m.f64, 0, m.q32}) && m.refuse(Columns{m.q64, 0, m.f32}) && m.refuse(Columns{m.f64, 0, m.r32}) && !m.refuse(Columns{m.f64, 32, m.f32}));
    const Weight& places = *m.weight(Type::F32, 8, 64);
    CHECK(m.refuse(EmbedPositions{places, -1, m.f64}) && m.refuse(EmbedPositions{places, 9, m.f64}) && m.refuse(EmbedPositions{places, 0, m.f32}) && m.refuse(EmbedPositions{places, 0, m.r64}) && m.refuse(EmbedPositions{places, 0, m.e64}));
    CHECK(m.refuse(Subtract{m.f64, m.f32, m.f64}) && m.refuse(Subtract{m.f64, m.f64, m.q64}));
    CHECK(m.refuse(Add{m.f64, m.f32, m.f64}) && m.refuse(Add{m.f64, m.r64, m.f64}) && m.refuse(Add{m.q64, m.q64, m.q64}) && m.refuse(Add{m.f64, m.f64, m.q64}));
    CHECK(m.refuse(Multiply{m.f64, m.f32, m.f64}) && m.refuse(Multiply{m.f64, m.f64, m.f32}) && m.refuse(Multiply{m.f64, m.q64, m.f64}));
}

void test_caches() {
    tally.where = "refused caches";
    using Heads = std::vector<std::pair<int, int>>;
    auto refused = [](Heads layers, Heads memory, std::vector<int64_t> states, int64_t capacity, int64_t memory_capacity) {
        const CacheShape shape{layers, memory, states, capacity, memory_capacity};
        return refuses([&] { Cache::bytes(shape); }) && refuses([&] { Cache cache(shape); });
    };
    CHECK(refused({{0, 64}}, {}, {}, 9, 0) && refused({{-1, 64}}, {}, {}, 9, 0) && refused({{1 << 30, 64}}, {}, {}, 9, 0));
    CHECK(refused({{2, 0}}, {}, {}, 9, 0) && refused({{2, kHeadLimit + 1}}, {}, {}, 9, 0) && refused({{2, -16}}, {}, {}, 9, 0));
    CHECK(refused({{2, 64}}, {}, {}, -1, 0) && refused({{2, 64}}, {}, {}, kHuge, 0) && refused({{2, 64}}, {}, {}, 9, kHuge));
    CHECK(refused({}, {{0, 64}}, {}, 9, 9) && refused({}, {{4, 64}}, {}, 9, -1));
    CHECK(refused({}, {}, {0}, 9, 0) && refused({}, {}, {-1}, 9, 0) && refused({}, {}, {kHuge}, 9, 0));
    CHECK(refused(Heads(1000, {4096, 512}), {}, {}, INT32_MAX, 0) && refused({}, {}, std::vector<int64_t>(1000, (int64_t)1 << 40), 9, 0));
    Cache recurrent({{}, {}, {5, 100}, 9, 0});
    CHECK(recurrent.states.size() == 2 && recurrent.states[1].count == 100 && recurrent.states[1].values[99] == 0);
    recurrent.length = 7;
    recurrent.states[0].values[4] = recurrent.states[1].values[99] = 3;
    CHECK(refuses([&] { recurrent.truncate(6); }) && refuses([&] { recurrent.truncate(8); }) && refuses([&] { recurrent.truncate(-1); }));
    recurrent.truncate(7);
    CHECK(recurrent.length == 7 && recurrent.states[0].values[4] == 3);
    recurrent.truncate(0);
    CHECK(recurrent.length == 0 && recurrent.states[0].values[4] == 0 && recurrent.states[1].values[99] == 0);
    const CacheShape mixed{{{2, 20}, {1, 64}}, {{4, 16}}, {3}, 65, 1};
    CHECK(Cache::bytes(mixed) == 2 * (2 * 128 * (20 + 32) + 128 * 128 + 4 * 64 * 32) + 64);
    Cache cache(mixed);
    CHECK(cache.layers[1].keys == cache.layers[0].values + 2 * 2 * 64 * 32 && cache.memory[0].values == 2 * 4 * 64 * 16 && cache.room() == 65);
    for (CacheType type : {CacheType::Q8_0, CacheType::Q4_0}) {
        // Heads of 20 and 16 values stay as they are.
        const CacheShape blocks{{{2, 20}, {1, 64}}, {{4, 16}, {3, 96}}, {3}, 65, 1, type};
        const int64_t block = type == CacheType::Q8_0 ? 34 : 18;
        CHECK(Cache::bytes(blocks) == 2 * (2 * 128 * (20 + 32) + 4 * 64 * 32) + 2 * block * (128 * 2 + 3 * 64 * 3) + 64);
        Cache held(blocks);
        CHECK(held.layers[0].type == CacheType::F16 && held.layers[1].type == type && held.memory[1].type == type);
    }
}

void test_blocks() {
    tally.where = "refused blocks";
    const CacheShape shape{{{2, 64}}, {}, {}, 200, 0}, with_state{{{2, 64}}, {}, {8}, 200, 0};
    CHECK(refuses([&] { Blocks blocks({{2, 64}}, CacheType::F16, -1); }) && refuses([&] { Blocks blocks({{2, 64}}, CacheType::F16, kHuge); }));
    CHECK(refuses([&] { Blocks blocks({{0, 64}}, CacheType::F16, 1); }) && refuses([&] { Blocks blocks(Layers(1000, {4096, 512}), CacheType::F16, 1 << 25); }));
    const auto blocks = std::make_shared<Blocks>(shape.layers, CacheType::F16, 4);
    CHECK(Blocks::bytes(shape.layers, CacheType::F16) == 2 * 2 * 2 * 64 * 64 && blocks->at(1) == blocks->at(0) + 2 * 2 * 2 * 64 * 64);
    CHECK(refuses([&] { blocks->copy(0, 4); }) && refuses([&] { blocks->copy(-1, 0); }) && refuses([&] { blocks->copy(4, 0); }));
    Cache cache(shape, blocks);
    CHECK(cache.room() == 0 && refuses([&] { cache.hold({}, 1); }) && refuses([&] { cache.hold({4}, 0); }) && refuses([&] { cache.hold({-1}, 0); }));
    CHECK(refuses([&] { cache.hold({0}, 65); }) && refuses([&] { cache.hold({0}, -1); }) && refuses([&] { cache.hold({0, 1, 2, 3, 0}, 0); }));
    cache.hold({0, 1, 2, 3}, 200);
    CHECK(cache.room() == 200 && cache.length == 200 && refuses([&] { cache.hold({0, 1, 2, 3}, 201); }) && cache.length == 200);
    Cache recurrent(with_state, blocks);
    CHECK(refuses([&] { recurrent.hold({0}, 1); }));
    recurrent.hold({0}, 0);
    CHECK(recurrent.room() == 64);
}

// An encoder's program: what it puts where, and what it wants of the caches.
void test_readers() {
    tally.where = "refused readers";
    constexpr int64_t kWidth = 32, kTokens = 4;
    OddBytes bytes(8 * kWidth * 4);
    std::memset(bytes.data(), 0, 8 * kWidth * 4);
    const Weight table{type_info((int)Type::F32), bytes.data(), nullptr, 8, kWidth, 4 * kWidth};
    auto program = [&](std::vector<Instruction> instructions) {
        auto p = std::make_unique<Program>(kTokens, 1, 4 * kWidth * kTokens);
        p->add(Embed{table, p->buffer(kWidth, Kind::F32, Rows::Tokens, 0)});
        for (Instruction& instruction : instructions) p->add(std::move(instruction));
        return p;
    };
    const Append past{0, 0, 0, 16, Keys::Past}, step{0, 0, 0, 16, Keys::Step}, memory{0, 0, 0, 16, Keys::Memory};
    CHECK(refuses([&] { program({past, step}); }) && refuses([&] { program({step, past}); }) && refuses([&] { program({memory, past}); }) && refuses([&] { program({past, memory}); }));
    const auto reads = program({step, memory}), only_reads = program({step}), answers = program({Attention{0, Keys::Memory, 0, 2, 2, 16, {1, 0, {}, {}, 0}, 0, 0}});
    Cache cache({{{2, 16}}, {{2, 16}}, {}, 6, 3}), no_memory({{{2, 16}}, {}, {}, 6, 6}), other({{{2, 16}}, {{1, 32}}, {}, 6, 6});
    Pool pool(2);
    const int32_t tokens[kTokens] = {1, 2, 3, 4};
    auto run = [&](Program& p, Cache& c, int64_t count) { p.step(pool, {tokens, count, {{&c, count}}, nullptr, 0, nullptr}); };
    CHECK(refuses([&] { run(*answers, cache, 1); }) && refuses([&] { run(*reads, cache, 4); }) && refuses([&] { run(*reads, no_memory, 2); }) && refuses([&] { run(*reads, other, 2); }));
    run(*reads, cache, 3);
    CHECK(cache.length == 0 && cache.memory_length == 3);
    run(*only_reads, cache, 2);
    CHECK(cache.length == 0 && cache.memory_length == 3);
    run(*answers, cache, 1);
    CHECK(cache.length == 1 && refuses([&] { run(*reads, cache, 2); }) && refuses([&] { run(*only_reads, cache, 2); }) && refuses([&] { run(*answers, no_memory, 1); }));
    CHECK(cache.length == 1 && cache.memory_length == 3 && no_memory.length == 0);
}

// A step that is refused leaves the cache as it was, to the byte, and the next one gives what it would have given.
void test_steps() {
    tally.where = "refused steps";
    TinyModel model;
    Pool pool(2);
    const auto cache = TinyModel::cache(6), small = TinyModel::cache(2);
    model.step(pool, {1, 2, 3}, *cache);
    const int64_t halves = Cache::bytes(TinyModel::shape(6)) / 2;
    const uint8_t* held = cache->layers[0].blocks[0];
    const std::vector<uint8_t> before(held, held + 2 * halves);
    auto refused = [&](const std::vector<int32_t>& tokens, std::vector<Run> runs, const std::vector<int32_t>& rows) {
        return refuses([&] { model.step(pool, tokens, std::move(runs), rows); }) && cache->length == 3 && small->length == 0 &&
               same_bits(before.data(), held, 2 * halves);
    };
    constexpr int kDim = TinyModel::kHeadDim;
    Cache fewer_layers({{{2, kDim}}, {}, {}, 9, 0}), fewer_heads({{{2, kDim}, {1, kDim}}, {}, {}, 9, 0}), narrower({{{2, 32}, {2, 32}}, {}, {}, 9, 0});
    Cache* one = cache.get();
    CHECK(refused({}, {}, {}));
    CHECK(refused({}, {{one, 0}}, {}));
    CHECK(refused(std::vector<int32_t>(TinyModel::kMaxTokens + 1), {{one, 1}}, {}));
    CHECK(refused({4, -1}, {{one, 2}}, {0}) && refused({TinyModel::kVocabulary}, {{one, 1}}, {0}));
    CHECK(refused({4, 5, 6, 7}, {{one, 4}}, {0}));
    CHECK(refused({4, 5, 6}, {{one, 2}}, {0}) && refused({4}, {{one, 2}}, {0}) && refused({4}, {}, {0}));
    CHECK(refused({4, 5}, {{one, 1}, {one, 1}}, {0}));
    CHECK(refused({4, 5, 6, 7}, {{one, 1}, {small.get(), 3}}, {0}));
    CHECK(refused({4, 5}, {{one, 3}, {small.get(), -1}}, {0}) && refused({4, 5}, {{one, 2}, {small.get(), 0}}, {0}));
    CHECK(refused({4}, {{one, kHuge}}, {0}) && refused({4, 5}, {{one, kHuge}, {small.get(), kHuge}}, {0}));
    CHECK(refused({4}, {{one, 1}}, {1}) && refused({4}, {{one, 1}}, {-1}));
    CHECK(refused({4}, {{one, 1}}, std::vector<int32_t>(TinyModel::kMaxRows + 1)));
    CHECK(refused({4}, {{&fewer_layers, 1}}, {0}) && refused({4}, {{&fewer_heads, 1}}, {0}) && refused({4}, {{&narrower, 1}}, {0}));
    CHECK(refused({4, 5}, {{one, 1}, {&narrower, 1}}, {0}));
    const std::vector<float> next = model.step(pool, {4, 5, 6}, *one);
    const auto fresh = TinyModel::cache(6);
    const std::vector<float> whole = model.step(pool, {1, 2, 3, 4, 5, 6}, *fresh);
    CHECK(same_bits(next.data(), whole.data() + 3 * TinyModel::kVocabulary, 4 * (int64_t)next.size()));
}

}  // namespace

void test_refusals() {
    test_sizes();
    test_caches();
    test_blocks();
    test_key_biases();
    test_readers();
    Misfits misfits;
    test_linear_misfits(misfits);
    test_attention_misfits(misfits);
    test_row_misfits(misfits);
    test_steps();
}

}  // namespace test
