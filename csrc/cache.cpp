#include "cache.h"

#include <algorithm>
#include <cstring>

#include "checks.h"

namespace furet {
namespace {

constexpr int64_t kMostValues = (int64_t)1 << 40;
constexpr int64_t kMostBytes = (int64_t)1 << 47;

int64_t blocks_for(int64_t capacity) {
    require(capacity >= 0 && capacity <= INT32_MAX, "a cache holds 0 to 2^31 tokens");
    return (capacity + kBlock - 1) / kBlock;
}

// A cache line's worth of floats.
int64_t padded(int64_t count) {
    require(count >= 1 && count <= kMostValues, "a state has at least one value");
    return (count + 15) / 16 * 16;
}

int64_t floats_of(const std::vector<int64_t>& states) {
    int64_t total = 0;
    for (int64_t count : states) {
        total += padded(count);
        require(total <= kMostBytes / 4, "a cache of that many bytes cannot be");
    }
    return total;
}

// The layers of blocks as one sequence sees them, by its own table.
std::vector<KeyValues> seen(const Blocks& blocks, std::vector<uint8_t*>& table) {
    std::vector<KeyValues> layers = blocks.layers;
    for (KeyValues& layer : layers) {
        layer.room = kBlock * (int64_t)table.size();
        layer.blocks = table.data();
    }
    return layers;
}

}  // namespace

int64_t Cache::bytes(const CacheShape& shape) {
    const int64_t own = Blocks::bytes(shape.layers, shape.type), memory = Blocks::bytes(shape.memory, shape.type);
    const int64_t blocks = blocks_for(shape.capacity), memory_blocks = blocks_for(shape.memory_capacity);
    require((own == 0 || blocks <= kMostBytes / own) && (memory == 0 || memory_blocks <= kMostBytes / memory), "a cache of that many bytes cannot be");
    return blocks * own + memory_blocks * memory + 4 * floats_of(shape.states);
}

Cache::Cache(const CacheShape& shape) : Cache(shape, std::make_shared<Blocks>(shape.layers, shape.type, blocks_for(shape.capacity))) {
    std::vector<int64_t> all((size_t)blocks_->count);
    for (size_t i = 0; i < all.size(); ++i) all[i] = (int64_t)i;
    hold(all, 0);
}

Cache::Cache(const CacheShape& shape, std::shared_ptr<Blocks> blocks)
    : capacity(shape.capacity), memory_capacity(shape.memory_capacity), blocks_(std::move(blocks)),
      memory_blocks_(shape.memory, shape.type, blocks_for(shape.memory_capacity)), table_((size_t)blocks_for(shape.capacity), blocks_->at(0)),
      memory_table_((size_t)memory_blocks_.count), floats_((size_t)floats_of(shape.states)) {
    layers = seen(*blocks_, table_);
    memory = seen(memory_blocks_, memory_table_);
    for (size_t i = 0; i < memory_table_.size(); ++i) memory_table_[i] = memory_blocks_.at((int64_t)i);
    float* at = floats_.data();
    for (int64_t count : shape.states) {
        states.push_back({at, count});
        at += padded(count);
    }
}

Cache::~Cache() = default;

void Cache::hold(const std::vector<int64_t>& blocks, int64_t new_length) {
    require(blocks.size() <= table_.size(), "the cache holds " + std::to_string(capacity) + " tokens");
    require(new_length >= 0 && new_length <= std::min(capacity, kBlock * (int64_t)blocks.size()), "so many tokens are not in these blocks");
    require(!recurrent() || new_length == length, "a recurrent state is of all tokens: their number stays");
    for (int64_t block : blocks) require(block >= 0 && block < blocks_->count, "there are " + std::to_string(blocks_->count) + " blocks");
    std::transform(blocks.begin(), blocks.end(), table_.begin(), [&](int64_t block) { return blocks_->at(block); });
    held_ = (int64_t)blocks.size();
    length = new_length;
}

void Cache::truncate(int64_t new_length) {
    require(new_length >= 0 && new_length <= length, "truncate: the cache holds " + std::to_string(length) + " tokens");
    if (new_length == length) return;
    require(!recurrent() || new_length == 0, "truncate: a recurrent state can only be forgotten as a whole");
    std::fill(floats_.begin(), floats_.end(), 0.0f);
    length = new_length;
}

}  // namespace furet
