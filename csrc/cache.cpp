#include "cache.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "checks.h"
#include "kernels.h"

namespace furet {
namespace {

constexpr int64_t kMostBytes = (int64_t)1 << 47;        // what a process can address
constexpr int kMostHeads = 4096;
constexpr int64_t kMostValues = (int64_t)1 << 40;

int64_t padded(int64_t dim) { return (dim + 15) / 16 * 16; }
int64_t room_for(int64_t capacity) { return (capacity + 63) / 64 * 64; }
int64_t key_bytes(const KeyValues& x) { return 2 * x.heads * x.room * x.dim; }
int64_t value_bytes(const KeyValues& x) { return 2 * x.heads * x.room * padded(x.dim); }
int64_t state_bytes(int64_t count) { return (4 * count + 63) / 64 * 64; }

int64_t check_capacity(int64_t capacity) {
    require(capacity >= 0 && capacity <= INT32_MAX, "a cache holds 0 to 2^31 tokens");
    return capacity;
}

// Lay the layers out from `at` on; returns the end. With a base of nullptr this only counts.
int64_t lay_out(const std::vector<std::pair<int, int>>& shapes, int64_t room, uint8_t* base, int64_t at, std::vector<KeyValues>& out) {
    for (const auto& [heads, dim] : shapes) {
        require(heads >= 1 && heads <= kMostHeads && dim >= 1 && dim <= kHeadLimit, "a cache has 1 to 4096 heads of 1 to 512 values");
        KeyValues layer{heads, dim, room, nullptr, nullptr};
        const int64_t values = at + key_bytes(layer);
        if (base) {
            layer.keys = (uint16_t*)(base + at);
            layer.values = (uint16_t*)(base + values);
        }
        at = values + value_bytes(layer);
        require(at <= kMostBytes, "a cache of that many bytes cannot be");
        out.push_back(layer);
    }
    return at;
}

}  // namespace

void KeyValues::put(int head, int64_t position, const uint16_t* key, const uint16_t* value) const {
    uint16_t* k = keys + ((int64_t)head * room + position / 16 * 16) * dim + position % 16;
    for (int d = 0; d < dim; ++d) k[16 * d] = key[d];
    std::memcpy(values + ((int64_t)head * room + position) * padded(dim), value, 2 * (size_t)dim);
}

int64_t Cache::bytes(const CacheShape& shape) {
    std::vector<KeyValues> layers;
    int64_t total = lay_out(shape.layers, room_for(check_capacity(shape.capacity)), nullptr, 0, layers);
    total = lay_out(shape.memory, room_for(check_capacity(shape.memory_capacity)), nullptr, total, layers);
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
    int64_t at = lay_out(shape.layers, room_for(capacity), base_, 0, layers);
    at = lay_out(shape.memory, room_for(memory_capacity), base_, at, memory);
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
