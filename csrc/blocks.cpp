#include "blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "checks.h"
#include "kernels.h"

namespace furet {
namespace {

constexpr int64_t kMostBytes = (int64_t)1 << 47;        // what a process can address
constexpr int64_t kMostBlocks = ((int64_t)1 << 31) / kBlock;
constexpr int kMostHeads = 4096;

// The layers of a block one after the other; of each all keys, then all values. Returns where they end.
int64_t lay_out(const Layers& shapes, CacheType type, std::vector<KeyValues>& out) {
    int64_t at = 0;
    for (const auto& [heads, dim] : shapes) {
        require(heads >= 1 && heads <= kMostHeads && dim >= 1 && dim <= kHeadLimit, "a cache has 1 to 4096 heads of 1 to 512 values");
        KeyValues layer{heads, dim, dim % kTile ? CacheType::F16 : type, 0, nullptr, at, 0};
        layer.values = at + heads * layer.key_bytes();
        at = layer.values + heads * layer.value_bytes();
        require(at <= kMostBytes, "a cache of that many bytes cannot be");
        out.push_back(layer);
    }
    return at;
}

}  // namespace

int64_t Blocks::bytes(const Layers& shapes, CacheType type) {
    std::vector<KeyValues> layers;
    return lay_out(shapes, type, layers);
}

Blocks::Blocks(const Layers& shapes, CacheType type, int64_t count) : count(count), block_bytes_(lay_out(shapes, type, layers)) {
    require(count >= 0 && count <= kMostBlocks, "there can be 0 to 2^25 blocks");
    require(block_bytes_ == 0 || count <= kMostBytes / block_bytes_, "a cache of that many bytes cannot be");
    mapped_ = (size_t)(count * block_bytes_) + 64;
    void* found = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) throw std::bad_alloc();
    base_ = (uint8_t*)found;
}

Blocks::~Blocks() { munmap(base_, mapped_); }

void Blocks::copy(int64_t from, int64_t to) {
    require(from >= 0 && from < count && to >= 0 && to < count, "there are " + std::to_string(count) + " blocks");
    if (from != to) std::memcpy(at(to), at(from), (size_t)block_bytes_);
}

// Scales of keys lie side by side, position after position, and so do codes and float16 values, line after line.
static void put_key(uint8_t* tile, int64_t position, CacheType type, int dim, const uint8_t* key) {
    if (type == CacheType::F16) {
        for (int d = 0; d < dim; ++d) std::memcpy(tile + 2 * (kTile * d + position), key + 2 * d, 2);
        return;
    }
    const int64_t bytes = cached_block_bytes(type);
    for (int d = 0; d < dim; d += kTile, tile += kTile * bytes, key += bytes) {
        std::memcpy(tile + 2 * position, key, 2);
        for (int64_t c = 0; c < bytes - 2; ++c) tile[2 * kTile + kTile * c + position] = key[2 + c];
    }
}

void KeyValues::put(int head, int64_t position, const uint8_t* key, const uint8_t* value) const {
    put_key(key_tile(head, position), position % kTile, type, dim, key);
    const int64_t bytes = cached_block_bytes(type);
    for (int d = 0; d < dim; d += kTile, value += bytes) {
        uint8_t* tile = value_tile(head, d, position);
        if (type == CacheType::F16) {
            std::memcpy(tile, value, 2 * (size_t)std::min(dim - d, kTile));
            continue;
        }
        std::memcpy(tile + 2 * (position % kTile), value, 2);
        std::memcpy(tile + 2 * kTile + position % kTile * (bytes - 2), value + 2, (size_t)(bytes - 2));
    }
}

}  // namespace furet
