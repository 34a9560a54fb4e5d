#include "pack.h"

#include <algorithm>
#include <atomic>

namespace furet {

void pack(const Weight& w, Pool& pool, uint8_t* out) {
    const int64_t of_each = (w.rows + 15) / 16, panels = w.matrices * of_each;
    LinearArgs args{};
    args.info = w.info;
    args.row_bytes = w.row_bytes;
    args.rows = w.rows;
    args.columns = w.columns;
    std::atomic<int64_t> next{0};
    const int64_t grain = std::max<int64_t>(1, panels / (pool.threads() * 8));
    pool.assist([&](int thread) {
        LinearArgs matrix = args;
        for (int64_t first; (first = next.fetch_add(grain)) < panels;)
            for (int64_t p = first; p < std::min(first + grain, panels); ++p) {
                matrix.weight = w.data + p / of_each * w.rows * w.row_bytes;
                kernels().pack(matrix, p % of_each, out + p * 16 * w.row_bytes, pool.scratch(thread));
            }
    });
}

}  // namespace furet
