#include "key_bias.h"

#include <algorithm>
#include <cmath>

#include "checks.h"
#include "program.h"

namespace furet {
namespace {

void check_pair(const BiasedPair& pair, size_t angles) {
    require(pair.first >= 0 && pair.first < kHeadLimit && pair.second >= -1 && pair.second < kHeadLimit, "key_bias: there is no such channel");
    require(pair.second < 0 || (pair.angle >= 0 && (size_t)pair.angle < angles), "key_bias: there is no such angle");
}

void add_angle(double angle, double magnitude, Floats& cos, Floats& sin) {
    cos.push_back((float)(std::cos(angle) * magnitude));
    sin.push_back((float)(std::sin(angle) * magnitude));
}

}  // namespace

int Program::key_bias(int table, const std::vector<int>& counts, std::vector<BiasedPair> pairs) {
    require(table >= -1 && table < (int)tables_.size(), "key_bias: there is no such table");
    StoredKeyBias out{table, {}, {0}, 0};
    size_t at = 0;
    for (int count : counts) {
        require(count >= 0 && (size_t)count <= pairs.size() - at, "key_bias: more pairs are counted than there are");
        int lines = 0;
        for (const size_t end = at + (size_t)count; at < end; ++at) {
            check_pair(pairs[at], table < 0 ? 0 : tables_[(size_t)table].inverse_frequencies.size());
            out.channels = std::max({out.channels, pairs[at].first + 1, pairs[at].second + 1});
            lines += pairs[at].lines();
        }
        require(lines <= kBiasLines, "key_bias: at most " + std::to_string(kBiasLines) + " channels of a head");
        out.begin.push_back((int)at);
    }
    require(at == pairs.size(), "key_bias: fewer pairs are counted than there are");
    out.pairs = std::move(pairs);
    if (table >= 0 && tables_[(size_t)table].near_cos.empty())
        for (double frequency : tables_[(size_t)table].inverse_frequencies)
            for (int i = 0; i < kTile; ++i) add_angle(i * frequency, 1, tables_[(size_t)table].near_cos, tables_[(size_t)table].near_sin);
    key_biases_.push_back(std::move(out));
    return (int)key_biases_.size() - 1;
}

void Program::fill_tiles(const Step& step) {
    int64_t longest = 0;
    for (const Run& run : step.runs) longest = std::max(longest, run.cache->length + run.count);
    for (RopeTable& table : tables_) {
        if (table.near_cos.empty()) continue;
        const std::vector<double>& frequencies = table.inverse_frequencies;
        for (int64_t tile = (int64_t)(table.far_cos.size() / frequencies.size()); tile * kTile < longest; ++tile)
            for (double frequency : frequencies) add_angle((double)(tile * kTile) * frequency, table.magnitude, table.far_cos, table.far_sin);
    }
}

KeyBias Program::view(const StoredKeyBias& bias) const {
    KeyBias out{bias.pairs.data(), bias.begin.data(), {}};
    if (bias.table < 0) return out;
    const RopeTable& table = tables_[(size_t)bias.table];
    out.angles = {(int64_t)table.inverse_frequencies.size(), table.near_cos.data(), table.near_sin.data(), table.far_cos.data(), table.far_sin.data()};
    return out;
}

}  // namespace furet
