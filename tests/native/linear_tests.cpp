// The matrix kernel: right to a bound, exact where arithmetic is exact, and the same to the bit however the work is cut.
#include <algorithm>

#include "linear_cases.h"

namespace test {

using namespace furet;

namespace {

const TypeInfo& info_of(int id) { return *type_info(id); }

std::vector<Shape> shapes_of(const TypeInfo& info) {
    const int64_t many = tally.quick ? 13 : 70;
    if (info.form == Form::Float) {
        if (tally.quick) return {{33, 39, 13}, {17, 515, 3}};
        return {{1, 1, 3}, {17, 7, 13}, {33, 576, many}, {48, 515, 13}, {16, 1031, 5}};
    }
    if (info.block == 32) {
        if (tally.quick) return {{37, 96, many}, {17, 576, 3}};
        return {{1, 32, 13}, {17, 96, 13}, {47, 576, many}, {33, 896, 13}, {64, 512, 9}, {16, 1056, 3}, {5, 768, 2}};
    }
    if (tally.quick) return {{37, 256, many}, {17, 768, 3}};
    return {{1, 256, 13}, {47, 768, many}, {33, 256, 13}, {64, 512, 9}, {19, 1280, 3}};
}

// Any order of n additions and any fusing of products keeps |error| <= (n - 1 + roundings in a term) * 2^-24 * sum |term|;
// a term has at most four: of its scale, of the product of scales, of the product and of the sum it joins.
double bound_of(const Output& wanted) { return ((double)wanted.terms + 4) * kRounding * 1.01 * wanted.magnitude + 1e-37; }

void check_outputs(const std::vector<Output>& wanted, const float* y) {
    for (size_t i = 0; i < wanted.size(); ++i) CHECK_NEAR(y[i], wanted[i].value, bound_of(wanted[i]));
}

// All tokens at once, as the other ways of doing the same work are compared with.
std::unique_ptr<float[]> whole(const Kernels& table, const LinearCase& c) {
    auto y = exact<float>(c.shape.tokens * c.shape.rows);
    run_linear(table, c.args(c.shape.tokens, y.get()));
    return y;
}

void check_any_number_of_tokens(const Kernels& table, const LinearCase& c, const float* y) {
    for (int64_t tokens = 1; tokens <= 13 && tokens < c.shape.tokens; ++tokens) {
        auto part = exact<float>(tokens * c.shape.rows);
        run_linear(table, c.args(tokens, part.get()));
        CHECK(same_bits(part.get(), y, 4 * tokens * c.shape.rows));
    }
    auto row = exact<float>(c.shape.rows);
    for (int64_t t = 0; t < c.shape.tokens; t += tally.quick ? 5 : 1) {
        LinearArgs args = c.args(1, row.get());
        args.x += t * c.x_stride;
        run_linear(table, args);
        CHECK(same_bits(row.get(), y + t * c.shape.rows, 4 * c.shape.rows));
    }
}

void check_split(const Kernels& table, const LinearCase& c, const float* y) {
    const int64_t count = units(table, c.shape.rows);
    for (int64_t step = 1; step <= 2; ++step) {
        auto part = exact<float>(c.shape.tokens * c.shape.rows);
        for (int64_t unit = (count - 1) / step * step; unit >= 0; unit -= step)
            table.linear(c.args(c.shape.tokens, part.get()), unit, std::min(unit + step, count), dirty_scratch());
        CHECK(same_bits(part.get(), y, 4 * c.shape.tokens * c.shape.rows));
    }
}

// Bit for bit, but for what is made of products of scales that are subnormal numbers (see multiply.h).
bool same_but_tiny(const float* a, const float* b, int64_t n) {
    bool same = true;
    for (int64_t i = 0; i < n; ++i) same &= same_values(a + i, b + i, 1) || std::fabs(a[i] - b[i]) < 0x1p-116f;
    return same;
}

void check_packed(const Kernels& table, const LinearCase& c, const float* y) {
    const auto rows = packed(table, c), portable = packed(kPortable, c);
    CHECK(same_bits(rows.get(), portable.get(), (c.shape.rows + 15) / 16 * 16 * c.row_bytes));
    for (int64_t tokens : {(int64_t)1, c.shape.tokens}) {
        auto part = exact<float>(tokens * c.shape.rows);
        LinearArgs args = c.args(tokens, part.get());
        args.weight = nullptr;
        args.packed = rows.get();
        run_linear(table, args);
        CHECK(same_but_tiny(part.get(), y, tokens * c.shape.rows));
    }
}

// Tokens that are read from some rows and written to others, all in one go.
void check_scattered(const Kernels& table, const LinearCase& c, const float* y) {
    Random random(17);
    const int64_t tokens = std::min<int64_t>(c.shape.tokens, 40), rows = c.shape.rows;
    std::vector<int32_t> from, to;
    for (int64_t t = 0; t < tokens; ++t) {
        from.push_back((int32_t)random.below(c.shape.tokens));
        to.push_back((int32_t)(2 * (tokens - 1 - t)));
    }
    auto out = exact<float>((2 * tokens - 1) * rows);
    LinearArgs args = c.args(tokens, out.get());
    args.x_rows = from.data();
    args.y_rows = to.data();
    run_linear(table, args);
    for (size_t t = 0; t < from.size(); ++t) CHECK(same_values(out.get() + to[t] * rows, y + from[t] * rows, rows));
}

// Bias and residual are each one more addition at the end of a row. Rows of y lie apart, and what is between them stays.
void check_bias_and_residual(const Kernels& table, const LinearCase& c, const float* y, Random& random) {
    const int64_t rows = c.shape.rows, tokens = c.shape.tokens, apart = rows + 3;
    const auto bias = random_floats(rows, random), residual = random_floats(tokens * apart - 3, random);
    for (int which = 1; which < 8; ++which) {
        const bool has_bias = which & 1, has_residual = which & 2, in_place = which & 4;
        if (in_place && !has_residual) continue;
        auto out = exact<float>(tokens * apart - 3);
        for (int64_t i = 0; i < tokens * apart - 3; ++i) out[(size_t)i] = in_place ? residual[(size_t)i] : 123.0f;
        LinearArgs args = c.args(tokens, out.get());
        args.y_stride = args.residual_stride = apart;
        if (has_bias) args.bias = bias.get();
        if (has_residual) args.residual = in_place ? out.get() : residual.get();
        run_linear(table, args);
        bool right = true, untouched = true;
        for (int64_t i = 0; i < tokens * apart - 3; ++i) {
            const int64_t row = i % apart;
            if (row >= rows) {
                untouched &= out[(size_t)i] == (in_place ? residual[(size_t)i] : 123.0f);
                continue;
            }
            float wanted = y[i / apart * rows + row];
            if (has_bias) wanted = wanted + bias[(size_t)row];
            if (has_residual) wanted = wanted + residual[(size_t)i];
            right &= out[(size_t)i] == wanted;
        }
        CHECK(right);
        CHECK(untouched);
    }
}

void test_ordinary(const Tables& tables, const TypeInfo& info, Shape shape, Random& random) {
    LinearCase c(info, shape);
    c.fill_weight(Scales::Ordinary, random);
    c.fill_activations(random);
    const std::vector<Output> wanted = c.outputs();
    for (const Kernels* table : tables) {
        tally.where = std::string(table->name) + " linear " + name_of(info) + " " + std::to_string(shape.rows) + "x" + std::to_string(shape.columns) + " x " + std::to_string(shape.tokens);
        const auto y = whole(*table, c);
        check_outputs(wanted, y.get());
        check_any_number_of_tokens(*table, c, y.get());
        check_split(*table, c, y.get());
        check_packed(*table, c, y.get());
        check_bias_and_residual(*table, c, y.get(), random);
        check_scattered(*table, c, y.get());
    }
}

// With scales of 1 and whole activations every float operation is exact as long as sums stay below 2^24, so all instruction
// sets must give the very integer.
void check_exact(const Tables& tables, const LinearCase& c) {
    const std::vector<Output> wanted = c.outputs();
    for (const Kernels* table : tables) {
        tally.where = std::string(table->name) + " exact linear " + name_of(c.info) + " x " + std::to_string(c.shape.columns);
        const auto y = whole(*table, c);
        for (size_t i = 0; i < wanted.size(); ++i) {
            if (wanted[i].magnitude < 0x1p24) CHECK_NEAR(y[i], wanted[i].value, 0);
            else CHECK_NEAR(y[i], wanted[i].value, bound_of(wanted[i]));
        }
    }
}

void test_exact(const Tables& tables, const TypeInfo& info, Random& random) {
    for (int64_t columns : {(int64_t)std::max(info.block, 32), (int64_t)768}) {
        LinearCase c(info, {35, columns, tally.quick ? 3 : 11});
        c.fill_weight(Scales::Ones, random);
        c.fill_codes([&](int64_t, int64_t) { return (int)random.between(-3, 3); }, 2);
        check_exact(tables, c);
    }
}

// The largest products of either sign, where a 16-bit sum of two would be closest to overflowing.
void test_extremes(const Tables& tables, const TypeInfo& info) {
    if (info.form == Form::Float) return;
    LinearCase c(info, {8, info.block, 4});
    const uint8_t bytes[8] = {0x00, 0xff, 0x7f, 0x80, 0x0f, 0xf0, 0x88, 0x81};
    for (int64_t r = 0; r < 8; ++r) {
        uint8_t* block = c.weight.data() + r * c.row_bytes;
        std::memset(block, bytes[r], (size_t)info.bytes);
        set_scales_to_one(info, block);
    }
    c.fill_codes([](int64_t t, int64_t column) { return t == 0 ? 127 : t == 1 ? -127 : (column >> (t - 2)) % 2 ? 127 : -127; }, 0);
    check_exact(tables, c);
}

// Every exponent of a scale up to 2^104, beyond which a kernel may give no number; subnormal scales are among them.
void test_exponents(const Tables& tables) {
    LinearCase c(info_of((int)Type::MXFP4), {233, 32, 2});
    Random random(5);
    c.fill_weight(Scales::Ones, random);
    for (int64_t r = 0; r < c.shape.rows; ++r) c.weight.data()[r * c.row_bytes] = (uint8_t)r;
    c.fill_codes([&](int64_t, int64_t) { return (int)random.between(-127, 127); }, 0);
    check_exact(tables, c);
}

// A file may hold any bits. A row with a scale that is no number gives no number; the others are not disturbed.
void test_hostile(const Tables& tables, const TypeInfo& info, Random& random) {
    const int64_t columns = std::max(info.block, 64);
    for (int round = 0; round < (tally.quick ? 2 : 8); ++round) {
        LinearCase c(info, {21, columns, 3});
        c.fill_weight(Scales::Any, random);
        if (round == 0) std::memset(c.weight.data(), 0xff, (size_t)(c.shape.rows * c.row_bytes));
        c.fill_activations(random);
        const std::vector<Output> wanted = c.outputs();
        for (const Kernels* table : tables) {
            tally.where = std::string(table->name) + " hostile linear " + name_of(info);
            const auto y = whole(*table, c);
            for (size_t i = 0; i < wanted.size(); ++i) {
                if (!std::isfinite(wanted[i].value)) CHECK(!std::isfinite(y[i]));
                else if (wanted[i].magnitude < 0x1p104) CHECK_NEAR(y[i], wanted[i].value, bound_of(wanted[i]));
            }
            check_packed(*table, c, y.get());
        }
    }
}

// One activation that is no number must be seen in every output of its token, and in no other token's.
void test_lost_numbers(const Tables& tables, const TypeInfo& info, Random& random) {
    if (info.form == Form::Float) return;
    const int64_t columns = std::max(info.block, 64);
    for (float bad : {NAN, INFINITY, -INFINITY}) {
        LinearCase c(info, {18, columns, 2});
        c.fill_weight(Scales::Ordinary, random);
        c.fill_activations(random);
        for (const Kernels* table : tables) {
            tally.where = std::string(table->name) + " linear of a NaN " + name_of(info);
            auto values = random_floats(columns, random);
            values[(size_t)random.below(columns)] = bad;
            table->quantise(values.get(), columns, c.x.get());
            const auto y = whole(*table, c);
            for (int64_t r = 0; r < c.shape.rows; ++r) CHECK(std::isnan(y[(size_t)r]) && std::isfinite(y[(size_t)(c.shape.rows + r)]));
        }
    }
}

}  // namespace

void test_linear(const Tables& tables) {
    for (int id : kTypeIds) {
        const TypeInfo& info = info_of(id);
        Random random(1000 + (uint64_t)id);
        for (const Shape& shape : shapes_of(info)) test_ordinary(tables, info, shape, random);
        test_exact(tables, info, random);
        test_extremes(tables, info);
        test_hostile(tables, info, random);
        test_lost_numbers(tables, info, random);
    }
    test_exponents(tables);
}

}  // namespace test
