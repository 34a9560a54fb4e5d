// Instruction sets that fuse multiply-adds agree bit for bit in every kernel: each is compared with the last of them in the
// list, which on AArch64 is the portable one.
#include <algorithm>
#include <functional>

#include "activations.h"
#include "cache.h"
#include "linear_cases.h"

namespace test {

using namespace furet;

namespace {

using Floats = std::vector<float>;
using Kernel = std::function<Floats(const Kernels&)>;

// (1 - 2^-24) * (1 + 2^-23) - (1 - 2^-24): 2^-24 where the product is rounded first, and about twice that where it is not.
bool fuses(const Kernels& table) {
    const float near = 1 - 0x1p-24f, rows[2] = {-1, near}, weights[2] = {near, 1 + 0x1p-23f};
    float sum = 0;
    table.combine(rows, 1, weights, 2, 1, &sum);
    return sum > 0x1.8p-24f;
}

void compare(const Tables& fused, const std::string& what, const Kernel& kernel) {
    const Floats wanted = kernel(*fused.back());
    for (const Kernels* table : fused) {
        if (table == fused.back()) break;
        tally.where = std::string(table->name) + " beside " + fused.back()->name + ": " + what;
        const Floats got = kernel(*table);
        CHECK(got.size() == wanted.size() && same_values(got.data(), wanted.data(), (int64_t)wanted.size()));
    }
}

void compare_linear(const Tables& fused, Random& random) {
    for (int id : kTypeIds) {
        const TypeInfo& info = *type_info(id);
        for (int64_t columns : {(int64_t)std::max(info.block, 32), (int64_t)768})
            for (int64_t tokens : {1, 2, 3, 4, 11}) {
                LinearCase c(info, {37, columns, tokens});
                c.fill_weight(Scales::Ordinary, random);
                c.fill_activations(random);
                compare(fused, "linear " + name_of(info) + " x " + std::to_string(columns) + " x " + std::to_string(tokens), [&](const Kernels& table) {
                    Floats y((size_t)(c.shape.rows * tokens));
                    run_linear(table, c.args(tokens, y.data()));
                    return y;
                });
            }
    }
}

void fill(const KeyValues& cache, int64_t positions, Random& random) {
    std::vector<uint8_t> key((size_t)encoded_bytes(cache.type, cache.dim)), value(key.size());
    for (int head = 0; head < cache.heads; ++head)
        for (int64_t position = 0; position < positions; ++position) {
            kPortable.encode(cache.type, random_floats(cache.dim, random).get(), cache.dim, key.data());
            kPortable.encode(cache.type, random_floats(cache.dim, random).get(), cache.dim, value.data());
            cache.put(head, position, key.data(), value.data());
        }
}

void compare_attention(const Tables& fused, CacheType type, Random& random) {
    for (int dim : {16, 40, 64})
        for (int64_t tokens : {1, 5, 70}) {
            const int heads = 6, kv_heads = 2;
            const int64_t start = 210, keys = start + tokens;
            const auto q = random_floats(tokens * heads * dim, random);
            const Cache cache({{{kv_heads, dim}}, {}, {}, keys, 0, type});
            fill(cache.layers[0], keys, random);
            for (float cap : {0.0f, 3.0f})
                compare(fused, "attention of " + std::to_string(dim), [&](const Kernels& table) {
                    Floats y((size_t)(tokens * heads * dim));
                    const ScoreArgs scores{0.3f, cap, nullptr, nullptr, 0, 0};
                    const AttentionArgs a{q.get(), heads * dim, cache.layers[0], keys, start, tokens, heads, true, 0, scores, {y.data(), nullptr}, 4 * heads * dim, heads * dim};
                    for (int kv = 0; kv < kv_heads; ++kv)
                        for (int64_t first = 0; first < rows_of(a); first += kQueryRows)
                            table.attend(a, kv, first, std::min<int64_t>(kQueryRows, rows_of(a) - first), dirty_scratch());
                    return y;
                });
        }
}

Floats as_floats(const std::vector<uint8_t>& q8) {
    Floats out;
    for (uint8_t byte : q8) out.push_back(byte);
    return out;
}

void compare_rows(const Tables& fused, Random& random) {
    for (int64_t width : {5, 32, 576}) {
        const auto a = random_floats(width, random), b = random_floats(width, random), c = random_floats(width, random);
        using Row = std::function<void(const Kernels&, float*)>;
        const std::pair<const char*, Row> kernels[] = {
            {"rms_norm", [&](const Kernels& t, float* y) { t.rms_norm(a.get(), b.get(), width, width, 1e-5f, {y, nullptr}); }},
            {"layer_norm", [&](const Kernels& t, float* y) { t.layer_norm(a.get(), b.get(), c.get(), width, width, 1e-5f, {y, nullptr}); }},
            {"l2_norm", [&](const Kernels& t, float* y) { t.l2_norm(a.get(), width, width, 1e-5f, y); }},
            {"head_dot", [&](const Kernels& t, float* y) { t.head_dot(a.get(), b.get(), width, width, y); }},
            {"affine", [&](const Kernels& t, float* y) { t.affine(a.get(), b.get(), c.get(), width, {y, nullptr}); }},
            {"add", [&](const Kernels& t, float* y) { t.add(a.get(), b.get(), width, y); }},
            {"subtract", [&](const Kernels& t, float* y) { t.subtract(a.get(), b.get(), width, y); }},
            {"multiply", [&](const Kernels& t, float* y) { t.multiply(a.get(), b.get(), width, y); }},
            {"combine", [&](const Kernels& t, float* y) { t.combine(a.get(), 0, c.get(), 4, width, y); }},
        };
        for (const auto& [name, kernel] : kernels)
            compare(fused, name + (" of " + std::to_string(width)), [&, row = kernel](const Kernels& table) {
                Floats y((size_t)width);
                row(table, y.data());
                return y;
            });
        if (width % 32) continue;
        compare(fused, "quantise", [&](const Kernels& table) {
            std::vector<uint8_t> q8((size_t)q8_row_bytes(width));
            table.quantise(a.get(), width, q8.data());
            return as_floats(q8);
        });
    }
}

void compare_functions(const Tables& fused, Random& random) {
    constexpr int64_t n = 1000;
    auto x = random_floats(n, random, -12, 12), up = random_floats(n, random);
    const float special[] = {0, NAN, INFINITY, -INFINITY, 88.5f, -87.5f, 1e-40f, 3e38f, -3e38f};
    std::copy(std::begin(special), std::end(special), x.get() + 100);
    for (int f = 0; f <= (int)Function::Clamp; ++f) {
        compare(fused, "function " + std::to_string(f), [&](const Kernels& table) {
            Floats y(n);
            table.activate((Function)f, 2.5f, x.get(), 0, n, {y.data(), nullptr});
            return y;
        });
        if (has_parameter((Function)f)) continue;
        compare(fused, "gated function " + std::to_string(f), [&](const Kernels& table) {
            Floats y(n);
            table.gated((Function)f, x.get(), up.get(), 0, n, {y.data(), nullptr});
            return y;
        });
    }
    compare(fused, "encode f16", [&](const Kernels& table) {
        std::vector<uint16_t> half((size_t)n);
        table.encode(CacheType::F16, x.get(), (int)n, (uint8_t*)half.data());
        Floats y;
        for (uint16_t bits : half) y.push_back((bits & 0x7fff) > 0x7c00 ? 0x7e00 : bits);
        return y;
    });
    compare(fused, "route", [&](const Kernels& table) {
        int32_t chosen[8];
        Floats y(8);
        table.route(up.get(), 60, 8, true, chosen, y.data(), dirty_scratch());
        y.insert(y.end(), chosen, chosen + 8);
        return y;
    });
}

void compare_recurrent(const Tables& fused, Random& random) {
    constexpr int64_t tokens = 9, width = 40, size = 16;
    const auto a = random_floats(tokens * width, random, -2, 0), b = random_floats(tokens * width, random), c = random_floats(tokens * width, random);
    const auto d = random_floats(tokens * width, random), e = random_floats(tokens * width, random), f = random_floats(tokens * width, random);
    const auto start = random_floats(size * width, random), rates = random_floats(size * width, random, -2, 0);
    using Rule = std::function<void(const Kernels&, Series, float*)>;
    auto row = [](const std::unique_ptr<float[]>& x) { return Series{x.get(), width}; };
    const std::pair<const char*, Rule> rules[] = {
        {"convolve", [&](const Kernels& t, Series y, float* state) { t.convolve({tokens, width, 4, row(b), y, a.get(), c.get(), state}, 0, width); }},
        {"selective_scan", [&](const Kernels& t, Series y, float* state) {
            t.selective_scan({tokens, width, size, row(b), row(d), row(e), row(f), y, rates.get(), c.get(), state}, 0, width); }},
        {"wkv4", [&](const Kernels& t, Series y, float* state) { t.wkv4({tokens, width, true, row(b), row(c), y, a.get(), d.get(), state}, 0, width); }},
        {"wkv7", [&](const Kernels& t, Series y, float* state) {
            for (int64_t i = 0; i < size; i += 16) t.wkv7({tokens, 1, size, row(b), row(a), row(c), row(d), row(e), row(f), y, state}, 0, i); }},
    };
    for (const auto& [name, rule] : rules)
        compare(fused, name, [&, run = rule](const Kernels& table) {
            Floats y((size_t)(tokens * width)), state(start.get(), start.get() + size * width);
            run(table, {y.data(), width}, state.data());
            y.insert(y.end(), state.begin(), state.end());
            return y;
        });
}

}  // namespace

void test_equality(const Tables& tables) {
    Tables fused;
    std::copy_if(tables.begin(), tables.end(), std::back_inserter(fused), [](const Kernels* table) { return fuses(*table); });
    tally.where = "which tables fuse";
    for (const Kernels* table : tables) CHECK(table == &kPortable || fuses(*table));
#if defined(__aarch64__)
    CHECK(fuses(kPortable));
#endif
    if (fused.empty()) return;
    Random random(77);
    compare_linear(fused, random);
    for (CacheType type : {CacheType::F16, CacheType::Q8_0, CacheType::Q4_0}) compare_attention(fused, type, random);
    compare_rows(fused, random);
    compare_functions(fused, random);
    compare_recurrent(fused, random);
}

}  // namespace test
