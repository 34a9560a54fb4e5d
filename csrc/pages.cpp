#include "pages.h"

#include <sys/mman.h>

#include <new>

namespace furet {

constexpr size_t kLargePage = 2 << 20;

Pages::Pages(size_t bytes) : size_(bytes), mapped_(bytes + kLargePage) {
    void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = (uint8_t*)memory;
    data_ = base_ + (kLargePage - (uintptr_t)base_ % kLargePage) % kLargePage;
#ifdef MADV_HUGEPAGE
    madvise(data_, size_, MADV_HUGEPAGE);
#endif
}

Pages::~Pages() { munmap(base_, mapped_); }

}  // namespace furet
