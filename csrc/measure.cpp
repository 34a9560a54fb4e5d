#include "measure.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "cpu.h"
#include "pool.h"

namespace furet {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

uint64_t read_all(const uint64_t* p, int64_t words) {
    uint64_t lane[16] = {};
    for (int64_t i = 0; i + 16 <= words; i += 16)
        for (int j = 0; j < 16; ++j) lane[j] += p[i + j];
    uint64_t sum = 0;
    for (uint64_t v : lane) sum += v;
    return sum;
}

}  // namespace

double measure_bandwidth(int threads, int64_t bytes, double seconds) {
    Pool pool(threads);
    const int64_t words = bytes / 8 / threads / 16 * 16;
    std::vector<std::vector<uint64_t>> part((size_t)threads);
    std::vector<uint64_t> sum((size_t)threads * 8);
    pool.run([&](int t) { part[(size_t)t].assign((size_t)words, 1); });
    double best = 0;
    const double start = now();
    do {
        const double before = now();
        pool.run([&](int t) { sum[(size_t)t * 8] += read_all(part[(size_t)t].data(), words); });
        const double rate = (double)words * 8 * threads / (now() - before);
        if (sum[0] != 0 && rate > best) best = rate;
    } while (now() - start < seconds);
    return best;
}

double measure_int8_peak(int threads, double seconds) {
    Pool pool(threads);
    const Kernels& table = kernels();
    std::atomic<int64_t> done{0};
    double best = 0;
    const double start = now();
    do {
        done = 0;
        const double before = now();
        pool.run([&](int) { done += table.spin_int8(200000); });
        const double rate = (double)done / (now() - before);
        if (rate > best) best = rate;
    } while (now() - start < seconds);
    return best;
}

}  // namespace furet
