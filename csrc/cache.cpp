#include "cache.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace furet {

int64_t KVCache::bytes(int layers, int kv_heads, int head_dim, int64_t capacity) {
    return (int64_t)layers * kv_heads * rounded(capacity) * (head_dim + padded(head_dim)) * 2;
}

KVCache::KVCache(int layers, int kv_heads, int head_dim, int64_t capacity)
    : layers(layers), kv_heads(kv_heads), head_dim(head_dim), capacity(capacity), room_(rounded(capacity)),
      mapped_((size_t)bytes(layers, kv_heads, head_dim, capacity)) {
    void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = (uint16_t*)memory;
}

KVCache::~KVCache() { munmap(base_, mapped_); }

void KVCache::put(int layer, int head, int64_t position, const uint16_t* key, const uint16_t* value) {
    uint16_t* k = keys(layer) + ((int64_t)head * room_ + position / 16 * 16) * head_dim + position % 16;
    for (int d = 0; d < head_dim; ++d) k[16 * d] = key[d];
    uint16_t* v = values(layer) + ((int64_t)head * room_ + position) * padded_dim();
    std::memcpy(v, value, 2 * (size_t)head_dim);
}

}  // namespace furet
