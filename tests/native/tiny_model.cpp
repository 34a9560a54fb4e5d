#include "tiny_model.h"

namespace test {

using namespace furet;

namespace {

constexpr int64_t kArena = 4 << 20;

}  // namespace

TinyModel::TinyModel(bool packed, int64_t window) : program(kMaxTokens, kMaxRows, kArena), packed_(packed), random_(51) {
    std::vector<double> frequencies;
    for (int d = 0; d < kHeadDim / 2; ++d) frequencies.push_back(std::pow(10000.0, -2.0 * d / kHeadDim));
    rope_ = program.rope_table(frequencies, 1.0);
    const int x = buffer(kWidth, Kind::F32);
    packed_ = false;
    program.add(Embed{*weight(Type::Q8_0, kVocabulary, kWidth), x});
    packed_ = packed;
    layer(0, x, 0);
    layer(1, x, window);
    const int last = buffer(kWidth, Kind::F32, Rows::Rows), normed = buffer(kWidth, Kind::Q8, Rows::Rows);
    const int logits = buffer(kVocabulary, Kind::Out, Rows::Rows);
    program.add(TakeRows{x, last});
    program.add(RmsNorm{last, norm(kWidth), 1e-5f, normed});
    program.add(Linear{normed, {weight(Type::Q6_K, kVocabulary, kWidth)}, {Floats()}, {logits}, -1});
}

// The first layer fuses what can be fused and writes in place; the second does the same things one by one.
void TinyModel::layer(int layer, int x, int64_t window) {
    const bool fused = layer == 0;
    const int64_t kv_width = kKVHeads * kHeadDim;
    const int normed = buffer(kWidth, Kind::Q8), q = buffer(kWidth, Kind::F32), k = buffer(kv_width, Kind::F32), v = buffer(kv_width, Kind::F32);
    program.add(RmsNorm{x, norm(kWidth), 1e-5f, normed});
    program.add(Linear{normed, {weight(Type::Q4_K, kWidth, kWidth), weight(Type::Q6_K, kv_width, kWidth), weight(Type::Q5_0, kv_width, kWidth)},
                       {norm(kWidth), Floats(), norm(kv_width)}, {q, k, v}, -1});
    const Style style = fused ? Style::Interleaved : Style::Halves;
    program.add(RmsNorm{q, norm(kHeadDim), 1e-6f, q});
    program.add(Rope{q, kHeadDim, rope_, style});
    program.add(Rope{k, kHeadDim, rope_, style});
    const int mixed = buffer(kWidth, fused ? Kind::Q8 : Kind::F32);
    program.add(Append{k, v, layer, kHeadDim, Keys::Past});
    program.add(Attention{q, Keys::Past, layer, kHeads, kKVHeads, kHeadDim, {0.125f, 0, {}, {}, 0}, window, mixed});
    const int gate = buffer(kFeedForward, Kind::F32), up = buffer(kFeedForward, Kind::F32), hidden = buffer(kFeedForward, Kind::Q8);
    if (fused) {
        program.add(Linear{mixed, {weight(Type::Q4_0, kWidth, kWidth)}, {Floats()}, {x}, x});
        program.add(RmsNorm{x, norm(kWidth), 1e-5f, normed});
        program.add(Linear{normed, {weight(Type::Q4_1, kFeedForward, kWidth), weight(Type::Q5_K, kFeedForward, kWidth)}, {Floats(), Floats()}, {gate, up}, -1});
        program.add(Gated{Function::Silu, gate, up, hidden});
        program.add(Linear{hidden, {weight(Type::Q3_K, kWidth, kFeedForward)}, {Floats()}, {x}, x});
        return;
    }
    const int out = buffer(kWidth, Kind::F32), floats = buffer(kWidth, Kind::F32);
    program.add(Linear{mixed, {weight(Type::F16, kWidth, kWidth)}, {norm(kWidth)}, {out}, -1});
    program.add(Add{x, out, x});
    program.add(RmsNorm{x, norm(kWidth), 1e-5f, floats});
    program.add(Linear{floats, {weight(Type::BF16, kFeedForward, kWidth), weight(Type::F32, kFeedForward, kWidth)}, {Floats(), Floats()}, {gate, up}, -1});
    program.add(Activate{Function::Silu, gate, 0, gate});
    program.add(Multiply{gate, up, gate});
    program.add(Quantise{gate, hidden});
    program.add(Linear{hidden, {weight(Type::IQ4_XS, kWidth, kFeedForward)}, {Floats()}, {x}, x});
}

const Weight* TinyModel::weight(Type type, int64_t rows, int64_t columns) {
    const TypeInfo& info = *type_info((int)type);
    const int64_t row_bytes = columns / info.block * info.bytes;
    bytes_.push_back(std::make_unique<OddBytes>(rows * row_bytes));
    fill_blocks(info, bytes_.back()->data(), rows * columns / info.block, Scales::Ordinary, random_);
    Weight& out = weights_.emplace_back(Weight{&info, bytes_.back()->data(), nullptr, rows, columns, row_bytes});
    if (!packed_) return &out;
    Pool pool(2);
    packs_.push_back(std::make_unique<Pages>((size_t)out.packed_bytes()));
    pack(out, pool, 0, panels(out), packs_.back()->data());
    out.packed = packs_.back()->data();
    out.data = nullptr;
    return &out;
}

int TinyModel::buffer(int64_t width, Kind kind, Rows rows) {
    const int id = program.buffer(width, kind, rows, kind == Kind::Out ? 0 : offset_);
    offset_ += buffer_row_bytes(kind, width) * (rows == Rows::Tokens ? kMaxTokens : kMaxRows);
    return id;
}

Floats TinyModel::norm(int64_t n) {
    Floats out((size_t)n);
    for (float& value : out) value = (float)random_.uniform(0.5, 1.5);
    return out;
}

std::vector<float> TinyModel::step(Pool& pool, const std::vector<int32_t>& tokens, std::vector<Run> runs, const std::vector<int32_t>& rows) {
    std::vector<float> out(rows.size() * kVocabulary);
    program.step(pool, {tokens.data(), (int64_t)tokens.size(), std::move(runs), rows.data(), (int64_t)rows.size(), out.data()});
    return out;
}

std::vector<float> TinyModel::step(Pool& pool, const std::vector<int32_t>& tokens, Cache& cache) {
    std::vector<int32_t> rows;
    for (size_t t = 0; t < tokens.size(); ++t) rows.push_back((int32_t)t);
    return step(pool, tokens, {{&cache, (int64_t)tokens.size()}}, rows);
}

CacheShape TinyModel::shape(int64_t capacity) { return {{(size_t)kLayers, {kKVHeads, kHeadDim}}, {}, {}, capacity, 0}; }

std::unique_ptr<Cache> TinyModel::cache(int64_t capacity) { return std::make_unique<Cache>(shape(capacity)); }

}  // namespace test
