#include "pack.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <new>

namespace furet {

Packed::Packed(size_t bytes) : bytes_(bytes) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    data_ = (uint8_t*)memory;
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes_, MADV_HUGEPAGE);
#endif
}

Packed::~Packed() { munmap(data_, bytes_); }

std::unique_ptr<Packed> pack(const Weight& w, Pool& pool) {
    const int64_t of_each = (w.rows + 15) / 16, panels = w.matrices * of_each;
    LinearArgs args{};
    args.info = w.info;
    args.row_bytes = w.row_bytes;
    args.rows = w.rows;
    args.columns = w.columns;
    auto out = std::make_unique<Packed>((size_t)(panels * 16 * w.row_bytes));
    std::atomic<int64_t> next{0};
    const int64_t grain = std::max<int64_t>(1, panels / (pool.threads() * 8));
    pool.assist([&](int thread) {
        LinearArgs matrix = args;
        for (int64_t first; (first = next.fetch_add(grain)) < panels;)
            for (int64_t p = first; p < std::min(first + grain, panels); ++p) {
                matrix.weight = w.data + p / of_each * w.rows * w.row_bytes;
                kernels().pack(matrix, p % of_each, out->data() + p * 16 * w.row_bytes, pool.scratch(thread));
            }
    });
    return out;
}

}  // namespace furet
