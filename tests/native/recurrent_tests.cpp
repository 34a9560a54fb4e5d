// Recurrent kernels: right to a bound in double precision, within their columns and tokens, the same to the bit however tokens
// and columns are cut; and what a program refuses of them.
#include <algorithm>
#include <stdexcept>

#include "check.h"
#include "program.h"

namespace test {

using namespace furet;

namespace {

constexpr int64_t kWidths[] = {1, 15, 16, 17, 40, 64};
constexpr int64_t kTokens = 11;

struct Rows {
    std::vector<float> values;
    int64_t apart;

    Rows(int64_t tokens, int64_t width, Random* random = nullptr, double low = -2, double high = 2) : values((size_t)(tokens * (width + 3) - 3)), apart(width + 3) {
        for (float& value : values) value = random ? (float)random->uniform(low, high) : 123.0f;
    }
    Series from(int64_t token) { return {values.data() + token * apart, apart}; }
};

using Floats = std::vector<float>;

Floats random_vector(int64_t n, Random& random, double low, double high) {
    Floats out((size_t)n);
    for (float& value : out) value = (float)random.uniform(low, high);
    return out;
}

// Run `step(first token, tokens, begin, end)` over all tokens and columns in two ways, which must leave the same y and state.
template <class Step> void check_cuts(Rows& y, Floats& state, int64_t width, Step step) {
    const Floats before = state;
    step(0, kTokens, 0, width);
    const Rows whole = y;
    const Floats after = state;
    state = before;
    std::fill(y.values.begin(), y.values.end(), 123.0f);
    for (int64_t first : {0, 1, 2, 8})
        for (int64_t begin = 0; begin < width; begin += 16) step(first, (first == 0 || first == 1) ? 1 : first == 2 ? 6 : 3, begin, std::min(begin + 16, width));
    CHECK(y.values == whole.values && state == after);
    for (int64_t t = 0; t + 1 < kTokens; ++t) CHECK(y.values[(size_t)(t * y.apart + width)] == 123.0f);
}

void test_convolve(const Kernels& table, Random& random) {
    tally.where = std::string(table.name) + " convolve";
    for (int64_t width : kWidths)
        for (int64_t taps : {2, 4, 7}) {
            Rows x(kTokens, width, &random), y(kTokens, width);
            const Floats weight = random_vector(taps * width, random, -1, 1), bias = random_vector(width, random, -1, 1);
            const Floats start = random_vector((taps - 1) * width, random, -1, 1);
            Floats state = start;
            check_cuts(y, state, width, [&](int64_t first, int64_t tokens, int64_t begin, int64_t end) {
                table.convolve({tokens, width, taps, x.from(first), y.from(first), weight.data(), bias.data(), state.data()}, begin, end);
            });
            auto line = [&](int64_t place, int64_t i) { return place < taps - 1 ? start[(size_t)(place * width + i)] : x.values[(size_t)((place - taps + 1) * x.apart + i)]; };
            for (int64_t i = 0; i < width; ++i) {
                for (int64_t t = 0; t < kTokens; ++t) {
                    double wanted = bias[(size_t)i];
                    for (int64_t j = 0; j < taps; ++j) wanted += (double)weight[(size_t)(j * width + i)] * line(t + j, i);
                    CHECK_NEAR(y.values[(size_t)(t * y.apart + i)], wanted, 2.0 * (double)(taps + 1) * (double)(taps + 1) * kRounding);
                }
                for (int64_t j = 0; j < taps - 1; ++j) CHECK(state[(size_t)(j * width + i)] == line(kTokens + j, i));
            }
        }
}

void test_selective_scan(const Kernels& table, Random& random) {
    tally.where = std::string(table.name) + " selective_scan";
    for (int64_t width : kWidths)
        for (int64_t size : {1, 16, 19}) {
            Rows x(kTokens, width, &random), dt(kTokens, width, &random, 0, 2), b(kTokens, size, &random), c(kTokens, size, &random), y(kTokens, width);
            const Floats rates = random_vector(size * width, random, -4, -0.01), skip = random_vector(width, random, -1, 1);
            Floats state = random_vector(size * width, random, -1, 1);
            std::vector<double> s(state.begin(), state.end());
            check_cuts(y, state, width, [&](int64_t first, int64_t tokens, int64_t begin, int64_t end) {
                table.selective_scan({tokens, width, size, x.from(first), dt.from(first), b.from(first), c.from(first), y.from(first),
                                      rates.data(), skip.data(), state.data()}, begin, end);
            });
            for (int64_t t = 0; t < kTokens; ++t)
                for (int64_t i = 0; i < width; ++i) {
                    const double here = x.from(t)[0][i], step = dt.from(t)[0][i];
                    double wanted = skip[(size_t)i] * here, magnitude = std::fabs(wanted);
                    for (int64_t j = 0; j < size; ++j) {
                        double& kept = s[(size_t)(j * width + i)];
                        kept = std::exp(step * rates[(size_t)(j * width + i)]) * kept + step * here * b.from(t)[0][j];
                        wanted += kept * c.from(t)[0][j];
                        magnitude += 16;
                    }
                    CHECK_NEAR(y.from(t)[0][i], wanted, magnitude * 16 * kRounding);
                }
        }
}

void test_wkv4(const Kernels& table, Random& random) {
    tally.where = std::string(table.name) + " wkv4";
    for (int64_t width : kWidths)
        for (double size : {1.0, 30.0, 2000.0}) {
            Rows k(kTokens, width, &random, -size, size), v(kTokens, width, &random), y(kTokens, width);
            const Floats decay = random_vector(width, random, -3, -0.001), first_weight = random_vector(width, random, -2, 2);
            Floats state((size_t)(3 * width));      // zeros, which are not how it begins
            check_cuts(y, state, width, [&](int64_t first, int64_t tokens, int64_t begin, int64_t end) {
                table.wkv4({tokens, width, first == 0, k.from(first), v.from(first), y.from(first), decay.data(), first_weight.data(), state.data()}, begin, end);
            });
            for (int64_t i = 0; i < width; ++i)
                for (int64_t t = 0; t < kTokens; ++t) {
                    std::vector<double> power;
                    for (int64_t j = 0; j < t; ++j) power.push_back(k.from(j)[0][i] + (double)(t - 1 - j) * decay[(size_t)i]);
                    power.push_back((double)first_weight[(size_t)i] + k.from(t)[0][i]);
                    const double top = *std::max_element(power.begin(), power.end());
                    double above = 0, below = 0;
                    for (size_t j = 0; j < power.size(); ++j) {
                        above += std::exp(power[j] - top) * v.from((int64_t)j)[0][i];
                        below += std::exp(power[j] - top);
                    }
                    // Exponents are rounded once for every token that they age by.
                    CHECK_NEAR(y.from(t)[0][i], above / below, 2 * (64 + 24 * size) * kRounding);
                }
        }
}

void test_wkv7(const Kernels& table, Random& random) {
    tally.where = std::string(table.name) + " wkv7";
    for (int64_t size : {1, 8, 16, 20, 64}) {
        const int64_t heads = 2, width = heads * size;
        const double small = 1 / std::sqrt((double)size);
        Rows r(kTokens, width, &random), decay(kTokens, width, &random, 0, 1), k(kTokens, width, &random), v(kTokens, width, &random), y(kTokens, width);
        Rows a(kTokens, width, &random, -small, small), b(kTokens, width, &random, -small, small);
        Floats state = random_vector(heads * size * size, random, -1, 1);
        std::vector<double> s(state.begin(), state.end());
        auto run = [&](int64_t first, int64_t tokens, int64_t head, int64_t i) {
            const Series in[] = {r.from(first), decay.from(first), k.from(first), v.from(first), a.from(first), b.from(first)};
            table.wkv7({tokens, heads, size, in[0], in[1], in[2], in[3], in[4], in[5], y.from(first), state.data()}, head, i);
        };
        const Floats before = state;
        for (int64_t head = 0; head < heads; ++head)
            for (int64_t i = 0; i < size; i += 16) run(0, kTokens, head, i);
        const Rows whole = y;
        const Floats after = state;
        state = before;
        for (int64_t first = 0; first < kTokens; first += 4)
            for (int64_t head = heads - 1; head >= 0; --head)
                for (int64_t i = 0; i < size; i += 16) run(first, std::min<int64_t>(4, kTokens - first), head, i);
        CHECK(y.values == whole.values && state == after);
        for (int64_t t = 0; t < kTokens; ++t)
            for (int64_t head = 0; head < heads; ++head)
                for (int64_t i = 0; i < size; ++i) {
                    double turned = 0, wanted = 0, magnitude = 1;
                    double* row = s.data() + head * size * size + i;
                    const int64_t at = head * size;
                    for (int64_t j = 0; j < size; ++j) turned += row[j * size] * a.from(t)[0][at + j];
                    for (int64_t j = 0; j < size; ++j) {
                        row[j * size] = row[j * size] * decay.from(t)[0][at + j] + turned * b.from(t)[0][at + j] + (double)v.from(t)[0][at + i] * k.from(t)[0][at + j];
                        wanted += row[j * size] * r.from(t)[0][at + j];
                        magnitude += std::fabs(row[j * size]) * 2 + 8;
                    }
                    CHECK_NEAR(y.from(t)[0][at + i], wanted, magnitude * (double)(size + 16) * kRounding);
                }
    }
}

void test_misfits() {
    tally.where = "refused recurrent rules";
    Program p(4, 2, 1 << 16);
    int64_t offset = 0;
    auto buffer = [&](int64_t width, Kind kind, furet::Rows rows = furet::Rows::Tokens) {
        const int id = p.buffer(width, kind, rows, offset);
        offset += buffer_row_bytes(kind, width) * 4;
        return id;
    };
    auto refuses = [&](Instruction instruction) {
        try {
            p.add(std::move(instruction));
        } catch (const std::invalid_argument&) {
            return true;
        }
        return false;
    };
    const int x = buffer(32, Kind::F32), y = buffer(32, Kind::F32), z = buffer(16, Kind::F32), q = buffer(32, Kind::Q8), r = buffer(32, Kind::F32, furet::Rows::Rows);
    const int wide = buffer(kMaxStateSize + 1, Kind::F32);
    CHECK(refuses(Shift{-1, x, y}) && refuses(Shift{0, x, x}) && refuses(Shift{0, x, z}) && refuses(Shift{0, q, y}) && refuses(Shift{0, r, r}) && !refuses(Shift{0, x, y}));
    CHECK(refuses(Convolve{0, x, Floats(32), {}, y}) && refuses(Convolve{0, x, Floats(65), {}, y}) && refuses(Convolve{0, x, Floats(64), Floats(31), y}));
    CHECK(refuses(Convolve{0, x, Floats(64), {}, x}) && refuses(Convolve{0, x, Floats(), {}, y}) && !refuses(Convolve{1, x, Floats(64), Floats(32), y}));
    CHECK(refuses(SelectiveScan{0, x, z, z, z, Floats(512), Floats(32), y}) && refuses(SelectiveScan{0, x, x, z, y, Floats(512), Floats(32), y}));
    CHECK(refuses(SelectiveScan{0, x, x, z, z, Floats(511), Floats(32), y}) && refuses(SelectiveScan{0, x, x, z, z, Floats(512), Floats(16), y}));
    CHECK(refuses(SelectiveScan{0, x, x, wide, wide, Floats(32 * (kMaxStateSize + 1)), Floats(32), y}) && !refuses(SelectiveScan{2, x, x, z, z, Floats(512), Floats(32), y}));
    CHECK(refuses(Wkv4{0, x, z, Floats(32), Floats(32), y}) && refuses(Wkv4{0, x, x, Floats(31), Floats(32), y}) && refuses(Wkv4{0, x, x, Floats(32), Floats(), y}));
    CHECK(!refuses(Wkv4{3, x, x, Floats(32), Floats(32), y}));
    CHECK(refuses(Wkv7{0, x, x, x, x, x, x, 0, y}) && refuses(Wkv7{0, x, x, x, x, x, x, 3, y}) && refuses(Wkv7{0, x, x, x, z, x, x, 2, y}) && refuses(Wkv7{0, wide, wide, wide, wide, wide, wide, 1, wide}));
    CHECK(!refuses(Wkv7{4, x, x, x, x, x, x, 2, y}));
}

}  // namespace

void test_recurrent(const Tables& tables) {
    for (const Kernels* table : tables) {
        Random random(81);
        test_convolve(*table, random);
        test_selective_scan(*table, random);
        test_wkv4(*table, random);
        test_wkv7(*table, random);
    }
    test_misfits();
}

}  // namespace test
