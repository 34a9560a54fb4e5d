// Recurrent instructions: what they refuse, and a thread's share of each. The sequences of a step know nothing of each other,
// and neither do columns (of Wkv7: the values of a head), so a task is some columns of one sequence, all its tokens in order.
#include <algorithm>
#include <cstring>

#include "checks.h"
#include "worker.h"

namespace furet {
namespace {

constexpr int64_t kPiece = 64;          // columns of a task

int64_t taps_of(const Convolve& i, int64_t width) { return (int64_t)i.weight.size() / width; }

const float* data_or_null(const Floats& x) { return x.empty() ? nullptr : x.data(); }

// Values that a sequence keeps for an instruction.
int64_t kept(const Shift& i, const std::vector<Buffer>& b) { return b[(size_t)i.x].width; }
int64_t kept(const Convolve& i, const std::vector<Buffer>& b) { return (int64_t)i.weight.size() - b[(size_t)i.x].width; }
int64_t kept(const SelectiveScan& i, const std::vector<Buffer>&) { return (int64_t)i.rates.size(); }
int64_t kept(const Wkv4& i, const std::vector<Buffer>& b) { return 3 * b[(size_t)i.k].width; }
int64_t kept(const Wkv7& i, const std::vector<Buffer>& b) { return b[(size_t)i.r].width * (b[(size_t)i.r].width / i.heads); }

}  // namespace

void check_states(const Step& step, const Instruction& instruction, const std::vector<Buffer>& buffers) {
    auto check = [&](const auto& i) {
        if constexpr (requires { kept(i, buffers); })
            for (const Run& run : step.runs) {
                const std::vector<State>& states = run.cache->states;
                require((size_t)i.state < states.size() && states[(size_t)i.state].count == kept(i, buffers),
                        "the cache was made for another model");
            }
    };
    std::visit(check, instruction);
}

void Check::recurrent(int state, std::initializer_list<int> values, const char* who) const {
    require(state >= 0, std::string(who) + ": there is no such state");
    for (int id : values) {
        is_float(id, who);
        of_tokens(id, who);
        same_shape(*values.begin(), id, who);
    }
}

void Check::operator()(const Shift& i) const {
    recurrent(i.state, {i.x, i.out}, "shift");
    require(i.x != i.out, "shift: out must lie elsewhere");
}

void Check::operator()(const Convolve& i) const {
    recurrent(i.state, {i.x, i.out}, "convolve");
    require(i.x != i.out, "convolve: out must lie elsewhere");
    const int64_t width = at(i.x).width, taps = taps_of(i, width);
    require(taps >= 2 && (int64_t)i.weight.size() == taps * width, "convolve: the weight is [taps, width], of at least two taps");
    require(i.bias.empty() || (int64_t)i.bias.size() == width, "convolve: as many biases as columns");
}

void Check::operator()(const SelectiveScan& i) const {
    recurrent(i.state, {i.x, i.dt, i.out}, "selective_scan");
    recurrent(i.state, {i.b, i.c}, "selective_scan");
    const int64_t width = at(i.x).width, size = at(i.b).width;
    require(size <= kMaxStateSize, "selective_scan: a column keeps at most " + std::to_string(kMaxStateSize) + " values");
    require((int64_t)i.rates.size() == size * width && (int64_t)i.skip.size() == width, "selective_scan: rates are [size, width], skips [width]");
}

void Check::operator()(const Wkv4& i) const {
    recurrent(i.state, {i.k, i.v, i.out}, "wkv4");
    const size_t width = (size_t)at(i.k).width;
    require(i.decay.size() == width && i.first.size() == width, "wkv4: decay and first are as wide as the values");
}

void Check::operator()(const Wkv7& i) const {
    recurrent(i.state, {i.r, i.decay, i.k, i.v, i.a, i.b, i.out}, "wkv7");
    const int64_t width = at(i.r).width;
    require(i.heads >= 1 && width % i.heads == 0 && width / i.heads <= kMaxStateSize, "wkv7: heads of 1 to " + std::to_string(kMaxStateSize) + " values");
}

template <class Task> void Worker::each_sequence(Counter& next, int64_t pieces, Task task) {
    share(next, (int64_t)step_.runs.size() * pieces, 1, [&](int64_t first, int64_t) {
        int64_t token = 0;
        for (int64_t r = 0; r < first / pieces; ++r) token += step_.runs[(size_t)r].count;
        task(step_.runs[(size_t)(first / pieces)], token, first % pieces);
    });
}

template <class Task> void Worker::each_sequence_by_columns(const Buffer& b, Counter& next, Task task) {
    each_sequence(next, (b.width + kPiece - 1) / kPiece, [&](const Run& run, int64_t token, int64_t piece) {
        task(run, token, piece * kPiece, std::min((piece + 1) * kPiece, b.width));
    });
}

Series Worker::series(int id, int64_t token) const { return {floats(at(id), token), at(id).row_bytes / 4}; }

void Worker::operate(const Shift& i, Counter& next) {
    each_sequence_by_columns(at(i.x), next, [&](const Run& run, int64_t token, int64_t begin, int64_t end) {
        const Series x = series(i.x, token), y = series(i.out, token);
        float* state = run.cache->states[(size_t)i.state].values;
        const size_t bytes = 4 * (size_t)(end - begin);
        std::memcpy(y[0] + begin, state + begin, bytes);
        for (int64_t t = 1; t < run.count; ++t) std::memcpy(y[t] + begin, x[t - 1] + begin, bytes);
        std::memcpy(state + begin, x[run.count - 1] + begin, bytes);
    });
}

void Worker::operate(const Convolve& i, Counter& next) {
    const int64_t width = at(i.x).width;
    each_sequence_by_columns(at(i.x), next, [&](const Run& run, int64_t token, int64_t begin, int64_t end) {
        float* state = run.cache->states[(size_t)i.state].values;
        kernels_.convolve({run.count, width, taps_of(i, width), series(i.x, token), series(i.out, token), i.weight.data(), data_or_null(i.bias), state}, begin, end);
    });
}

void Worker::operate(const SelectiveScan& i, Counter& next) {
    const int64_t width = at(i.x).width, size = at(i.b).width;
    each_sequence_by_columns(at(i.x), next, [&](const Run& run, int64_t token, int64_t begin, int64_t end) {
        float* state = run.cache->states[(size_t)i.state].values;
        kernels_.selective_scan({run.count, width, size, series(i.x, token), series(i.dt, token), series(i.b, token), series(i.c, token),
                                 series(i.out, token), i.rates.data(), i.skip.data(), state}, begin, end);
    });
}

void Worker::operate(const Wkv4& i, Counter& next) {
    const int64_t width = at(i.k).width;
    each_sequence_by_columns(at(i.k), next, [&](const Run& run, int64_t token, int64_t begin, int64_t end) {
        float* state = run.cache->states[(size_t)i.state].values;
        kernels_.wkv4({run.count, width, run.cache->length == 0, series(i.k, token), series(i.v, token), series(i.out, token),
                       i.decay.data(), i.first.data(), state}, begin, end);
    });
}

void Worker::operate(const Wkv7& i, Counter& next) {
    const int64_t size = at(i.r).width / i.heads, blocks = (size + 15) / 16;
    each_sequence(next, i.heads * blocks, [&](const Run& run, int64_t token, int64_t piece) {
        float* state = run.cache->states[(size_t)i.state].values;
        kernels_.wkv7({run.count, i.heads, size, series(i.r, token), series(i.decay, token), series(i.k, token), series(i.v, token),
                       series(i.a, token), series(i.b, token), series(i.out, token), state}, piece / blocks, piece % blocks * 16);
    });
}

}  // namespace furet
