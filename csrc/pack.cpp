#include "pack.h"

#include <algorithm>
#include <atomic>

#include "cut_short.h"

namespace furet {

int64_t panels(const Weight& w) { return w.matrices * ((w.rows + 15) / 16); }

void pack(const Weight& w, Pool& pool, int64_t first, int64_t last, uint8_t* out) {
    const int64_t of_each = (w.rows + 15) / 16;
    LinearArgs args{};
    args.info = w.info;
    args.row_bytes = w.row_bytes;
    args.rows = w.rows;
    args.columns = w.columns;
    std::atomic<int64_t> next{first};
    const int64_t grain = std::max<int64_t>(1, (last - first) / (pool.threads() * 8));
    std::atomic<bool> cut_short{false};
    pool.assist([&](int thread) {
        const FileReading reading(cut_short);
        LinearArgs matrix = args;
        for (int64_t from; (from = next.fetch_add(grain)) < last;)
            for (int64_t p = from; p < std::min(from + grain, last); ++p) {
                matrix.weight = w.data + p / of_each * w.rows * w.row_bytes;
                kernels().pack(matrix, p % of_each, out + p * 16 * w.row_bytes, pool.scratch(thread));
            }
    });
    require_whole(cut_short);
}

}  // namespace furet
