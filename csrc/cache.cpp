#include "cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "checks.h"
#include "kernels.h"

namespace furet {
namespace {

constexpr int64_t kMostBytes = (int64_t)1 << 47;        // what a process can address
constexpr int kMostHeads = 4096;
constexpr int64_t kMostValues = (int64_t)1 << 40;

int64_t room_for(int64_t capacity) { return (capacity + 63) / 64 * 64; }
int64_t state_bytes(int64_t count) { return (4 * count + 63) / 64 * 64; }

int64_t check_capacity(int64_t capacity) {
    require(capacity >= 0 && capacity <= INT32_MAX, "a cache holds 0 to 2^31 tokens");
    return capacity;
}

// Lay the layers out from `at` on; returns the end. With a base of nullptr this only counts.
int64_t lay_out(const std::vector<std::pair<int, int>>& shapes, CacheType type, int64_t room, uint8_t* base, int64_t at, std::vector<KeyValues>& out) {
    for (const auto& [heads, dim] : shapes) {
        require(heads >= 1 && heads <= kMostHeads && dim >= 1 && dim <= kHeadLimit, "a cache has 1 to 4096 heads of 1 to 512 values");
        KeyValues layer{heads, dim, dim % kTile ? CacheType::F16 : type, room, nullptr, nullptr};
        const int64_t values = at + heads * layer.key_bytes();
        if (base) {
            layer.keys = base + at;
            layer.values = base + values;
        }
        at = values + heads * layer.value_bytes();
        require(at <= kMostBytes, "a cache of that many bytes cannot be");
        out.push_back(layer);
    }
    return at;
}

}  // namespace

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

int64_t Cache::bytes(const CacheShape& shape) {
    std::vector<KeyValues> layers;
    int64_t total = lay_out(shape.layers, shape.type, room_for(check_capacity(shape.capacity)), nullptr, 0, layers);
    total = lay_out(shape.memory, shape.type, room_for(check_capacity(shape.memory_capacity)), nullptr, total, layers);
    for (int64_t count : shape.states) {
        require(count >= 1 && count <= kMostValues, "a state has at least one value");
        total += state_bytes(count);
        require(total <= kMostBytes, "a cache of that many bytes cannot be");
    }
    return total;
}

Cache::Cache(const CacheShape& shape)
    : capacity(shape.capacity), memory_capacity(shape.memory_capacity), mapped_((size_t)bytes(shape) + 64) {
    void* found = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) throw std::bad_alloc();
    base_ = (uint8_t*)found;
    int64_t at = lay_out(shape.layers, shape.type, room_for(capacity), base_, 0, layers);
    at = lay_out(shape.memory, shape.type, room_for(memory_capacity), base_, at, memory);
    for (int64_t count : shape.states) {
        states.push_back({(float*)(base_ + at), count});
        at += state_bytes(count);
    }
}

Cache::~Cache() { munmap(base_, mapped_); }

void Cache::truncate(int64_t new_length) {
    require(new_length >= 0 && new_length <= length, "truncate: the cache holds " + std::to_string(length) + " tokens");
    if (new_length == length) return;
    require(!recurrent() || new_length == 0, "truncate: a recurrent state can only be forgotten as a whole");
    for (const State& state : states) std::memset(state.values, 0, 4 * (size_t)state.count);
    length = new_length;
}

}  // namespace furet
