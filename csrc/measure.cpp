#include "measure.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "cpu.h"
#include "pages.h"
#include "pool.h"

namespace furet {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Of passes made until so many seconds are over, the median of their rates: a burst of a few milliseconds is nothing that a
// longer run could keep up.
template <class Pass> double median_rate(double seconds, Pass pass) {
    std::vector<double> rates;
    const double start = now();
    do rates.push_back(pass());
    while (now() - start < seconds);
    const auto middle = rates.begin() + (int64_t)rates.size() / 2;
    std::nth_element(rates.begin(), middle, rates.end());
    return *middle;
}

constexpr int kStreams = 4;

// How far ahead lines are asked for, by turns: 1 KB is best on Cascade Lake, 8 on Zen 5.
constexpr int64_t kAhead[] = {1 << 10, 8 << 10};

// Bytes of each of `kStreams` streams, read side by side with the line `ahead` bytes on asked for: on the machines measured up to
// 15 % faster than one stream, and as fast with vectors of 16 bytes as with 64.
uint64_t read_streams(const uint64_t* data, int64_t bytes, int64_t ahead) {
    const int64_t words = bytes / 8;
    uint64_t lane[kStreams][8] = {};
    for (int64_t i = 0; i < words; i += 8)
        for (int s = 0; s < kStreams; ++s) {
            const uint64_t* line = data + s * words + i;
            __builtin_prefetch(line + ahead / 8);
            for (int j = 0; j < 8; ++j) lane[s][j] += line[j];
        }
    uint64_t sum = 0;
    for (const auto& stream : lane)
        for (uint64_t v : stream) sum += v;
    return sum;
}

}  // namespace

double measure_bandwidth(int threads, int64_t bytes, double seconds) {
    Pool pool(threads);
    const int64_t stream = std::max<int64_t>(64, bytes / threads / kStreams / 64 * 64);
    std::vector<std::unique_ptr<Pages>> part((size_t)threads);
    for (auto& memory : part) memory = std::make_unique<Pages>((size_t)(stream * kStreams));
    // Each thread touches its own part first: the memory is then near it.
    pool.run([&](int t) { std::memset(part[(size_t)t]->data(), 1, (size_t)(stream * kStreams)); });
    std::atomic<uint64_t> sum{0};
    return median_rate(seconds, [&] {
        double best = 0;
        for (const int64_t ahead : kAhead) {
            const double before = now();
            pool.run([&](int t) { sum += read_streams((const uint64_t*)part[(size_t)t]->data(), stream, ahead); });
            const double rate = (double)(stream * kStreams * threads) / (now() - before);
            if (sum != 0) best = std::max(best, rate);
        }
        return best;
    });
}

double measure_int8_peak(int threads, double seconds) {
    Pool pool(threads);
    const Kernels& table = kernels();
    std::atomic<int64_t> done{0};
    return median_rate(seconds, [&] {
        done = 0;
        const double before = now();
        pool.run([&](int) { done += table.spin_int8(200000); });
        return (double)done / (now() - before);
    });
}

}  // namespace furet
