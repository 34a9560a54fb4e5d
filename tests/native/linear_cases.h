// A weight, the activations that meet it, and what comes out by the definition, in double precision.
#pragma once

#include <functional>

#include "blocks.h"

namespace test {

struct Shape { int64_t rows, columns, tokens; };

// What one output should be: its value, the sum of the magnitudes of its terms, and how many terms there are.
struct Output { double value, magnitude; int64_t terms; };

struct LinearCase {
    LinearCase(const furet::TypeInfo& info, Shape shape);

    const furet::TypeInfo& info;
    Shape shape;
    int64_t row_bytes, x_stride;
    OddBytes weight;
    std::unique_ptr<uint8_t[]> x;

    void fill_weight(Scales scales, Random& random);
    // Random activations; quantised by the portable kernel unless the weight is of floats.
    void fill_activations(Random& random);
    // Activations that are whole numbers: scale 1 and `mid`; code(token, column) in [-127, 127].
    void fill_codes(const std::function<int(int64_t, int64_t)>& code, int mid);
    Output output(int64_t token, int64_t row) const;
    std::vector<Output> outputs() const;        // [tokens, rows]
    // The first `tokens` tokens into y [tokens, rows].
    furet::LinearArgs args(int64_t tokens, float* y) const;

private:
    Output float_output(int64_t token, int64_t row) const;
};

int64_t units(const furet::Kernels& table, int64_t rows);
// The rows of `c` in packed form.
std::unique_ptr<uint8_t[]> packed(const furet::Kernels& table, const LinearCase& c);
// All of args in one call, with dirty working memory.
void run_linear(const furet::Kernels& table, const furet::LinearArgs& args);

}  // namespace test
