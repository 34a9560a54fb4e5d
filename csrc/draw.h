// From a row of logits to a token by the filters that most people use: what furet.sample does with any chain, in one pass
// over the row and without an array for every step.
#pragma once

#include <cstdint>
#include <vector>

namespace furet {

// Makes tokens that occurred recently less probable, in place: positive logits are divided by `repeat`, others multiplied;
// then `frequency` is taken away as often as the token occurred, and `presence` once. All ids must lie within the row.
void penalise(float* logits, std::vector<int64_t> recent, double repeat, double frequency, double presence);

struct Cut {
    enum Kind { kTopP, kMinP, kTemperature } kind;
    double value;
};

// The token that a draw hits, `at` in [0, 1), of these once they have gone through the cuts. There is one at least, the most
// probable comes first, and no logit may be a NaN.
int64_t draw(const float* logits, const int64_t* ids, int64_t count, const std::vector<Cut>& cuts, double at);

}  // namespace furet
