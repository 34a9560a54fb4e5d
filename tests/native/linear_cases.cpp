#include "linear_cases.h"

#include "activations.h"

namespace test {

using namespace furet;

LinearCase::LinearCase(const TypeInfo& info, Shape shape)
    : info(info), shape(shape), row_bytes(shape.columns / info.block * info.bytes),
      x_stride(info.form == Form::Float ? 4 * shape.columns : q8_row_bytes(shape.columns)), weight(shape.rows * row_bytes),
      x(exact<uint8_t>(shape.tokens * x_stride)) {}

void LinearCase::fill_weight(Scales scales, Random& random) {
    fill_blocks(info, weight.data(), shape.rows * shape.columns / info.block, scales, random);
}

void LinearCase::fill_activations(Random& random) {
    for (int64_t t = 0; t < shape.tokens; ++t) {
        auto values = random_floats(shape.columns, random);
        values[(size_t)random.below(shape.columns)] = 30;      // one large value among small ones, as models have
        uint8_t* row = x.get() + t * x_stride;
        if (info.form == Form::Float) std::memcpy(row, values.get(), (size_t)x_stride);
        else kPortable.quantise(values.get(), shape.columns, row);
    }
}

void LinearCase::fill_codes(const std::function<int(int64_t, int64_t)>& code, int mid) {
    for (int64_t t = 0; t < shape.tokens; ++t) {
        uint8_t* start = x.get() + t * x_stride;
        if (info.form == Form::Float) {
            for (int64_t c = 0; c < shape.columns; ++c) ((float*)start)[c] = (float)(code(t, c) + mid);
            continue;
        }
        for (int64_t b = 0; b < shape.columns / 32; ++b) {
            Q8Block& block = ((Q8Block*)start)[b];
            int half[2] = {};
            for (int i = 0; i < 32; ++i) {
                const int value = code(t, 32 * b + i);
                block.code[i] = (int8_t)value;
                half[i / 16] += value;
            }
            block.scale = 1;
            block.mid = (float)mid;
            block.sum = (float)(half[0] + half[1] + 32 * mid);
            block.half_sum = (float)(half[0] + 16 * mid);
            block.base = kSumBase;
            block.bias = kSumBase - 128 * (half[0] + half[1]);
            for (int h = 0; h < 2; ++h) block.half_bias[h] = kSumBase - 128 * half[h];
        }
    }
}

Output LinearCase::float_output(int64_t token, int64_t row) const {
    std::vector<float> w((size_t)shape.columns);
    decode_row(info, weight.data() + row * row_bytes, shape.columns, w.data());
    const float* values = (const float*)(x.get() + token * x_stride);
    Output out{0, 0, shape.columns};
    for (int64_t c = 0; c < shape.columns; ++c) {
        const double term = (double)w[(size_t)c] * values[c];
        out.value += term;
        out.magnitude += std::fabs(term);
    }
    return out;
}

Output LinearCase::output(int64_t token, int64_t row) const {
    if (info.form == Form::Float) return float_output(token, row);
    Output out{0, 0, 0};
    auto add = [&](double term) {
        out.value += term;
        out.magnitude += std::fabs(term);
        ++out.terms;
    };
    Codes codes{};
    for (int64_t c = 0; c < shape.columns; c += info.group) {
        const int64_t inside = c % info.block;
        if (inside == 0) read_block(info, weight.data() + row * row_bytes + c / info.block * info.bytes, codes);
        const Q8Block& block = ((const Q8Block*)(x.get() + token * x_stride))[c / 32];
        const int8_t* code = block.code + c % 32;
        int64_t products = 0, total = 0;
        for (int i = 0; i < info.group; ++i) {
            products += codes.code[inside + i] * code[i];
            total += codes.code[inside + i];
        }
        const int64_t g = inside / info.group;
        add((double)products * codes.scale[g] * block.scale);
        add((double)total * codes.scale[g] * block.mid);
        // A min meets the stored sum of the values.
        const float sum = info.group == 32 ? block.sum : c % 32 == 0 ? block.half_sum : block.sum - block.half_sum;
        if (info.form == Form::Minned) add((double)codes.min[g] * sum);
    }
    return out;
}

std::vector<Output> LinearCase::outputs() const {
    std::vector<Output> out;
    for (int64_t t = 0; t < shape.tokens; ++t)
        for (int64_t r = 0; r < shape.rows; ++r) out.push_back(output(t, r));
    return out;
}

LinearArgs LinearCase::args(int64_t tokens, float* y) const {
    LinearArgs out{};
    out.info = &info;
    out.weight = weight.data();
    out.row_bytes = row_bytes;
    out.rows = shape.rows;
    out.columns = shape.columns;
    out.x = x.get();
    out.x_stride = x_stride;
    out.tokens = tokens;
    out.y = y;
    out.y_stride = shape.rows;
    return out;
}

int64_t units(const Kernels& table, int64_t rows) { return (rows + table.row_tile - 1) / table.row_tile; }

std::unique_ptr<uint8_t[]> packed(const Kernels& table, const LinearCase& c) {
    const int64_t panels = (c.shape.rows + 15) / 16, panel_bytes = 16 * c.row_bytes;
    auto out = exact<uint8_t>(panels * panel_bytes);
    const LinearArgs args = c.args(1, nullptr);
    for (int64_t p = 0; p < panels; ++p) table.pack(args, p, out.get() + p * panel_bytes, dirty_scratch());
    return out;
}

void run_linear(const Kernels& table, const LinearArgs& args) { table.linear(args, 0, units(table, args.rows), dirty_scratch()); }

}  // namespace test
