#include "draw.h"

#include <algorithm>
#include <cmath>

namespace furet {
namespace {

// Probabilities relative to that of the first, which is the most probable one.
std::vector<double> shares_of(const std::vector<double>& logits) {
    std::vector<double> shares;
    for (const double logit : logits) shares.push_back(std::exp(logit - logits[0]));
    return shares;
}

double sum(const std::vector<double>& values) {
    double all = 0;
    for (const double value : values) all += value;
    return all;
}

// How many of the first it takes until they hold the share p.
size_t until(const std::vector<double>& shares, double p) {
    const double wanted = p * sum(shares);
    double held = 0;
    for (size_t i = 0; i < shares.size(); ++i)
        if ((held += shares[i]) >= wanted) return i + 1;
    return shares.size();
}

void apply(const Cut& cut, std::vector<double>& logits) {
    switch (cut.kind) {
        case Cut::kTopP:
            logits.resize(until(shares_of(logits), cut.value));
            break;
        case Cut::kMinP: {
            const std::vector<double> shares = shares_of(logits);
            const auto fails = [&](double share) { return share < cut.value; };
            logits.resize((size_t)(std::find_if(shares.begin(), shares.end(), fails) - shares.begin()));
            break;
        }
        case Cut::kTemperature:
            for (size_t i = logits.size(); i-- > 0;) logits[i] = (logits[i] - logits[0]) / cut.value;
            break;
    }
}

}  // namespace

void penalise(float* logits, std::vector<int64_t> recent, double repeat, double frequency, double presence) {
    std::sort(recent.begin(), recent.end());
    for (size_t i = 0; i < recent.size();) {
        const size_t first = i;
        while (i < recent.size() && recent[i] == recent[first]) ++i;
        float& logit = logits[recent[first]];
        const double found = logit > 0 ? logit / repeat : logit * repeat;
        logit = (float)(found - (double)(i - first) * frequency - presence);
    }
}

int64_t draw(const float* logits, const int64_t* ids, int64_t count, const std::vector<Cut>& cuts, double at) {
    std::vector<double> left;
    for (int64_t i = 0; i < count; ++i) left.push_back(logits[ids[i]]);
    for (const Cut& cut : cuts) apply(cut, left);

    const std::vector<double> shares = shares_of(left);
    const double target = at * sum(shares);
    double held = 0;
    size_t hit = 0;
    for (size_t i = 0; i < shares.size() && shares[i] > 0; ++i) {  // the draw times the sum may round up to the sum
        hit = i;
        if ((held += shares[i]) > target) break;
    }
    return ids[hit];
}

}  // namespace furet
