// Room for keys and values in blocks of 64 positions, each with all layers of its positions: what sequences share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "key_values.h"

namespace furet {

// Heads and their size for every layer.
using Layers = std::vector<std::pair<int, int>>;

class Blocks {
public:
    // Throws std::invalid_argument for sizes that are not positive or beyond all memory. A block is touched only as it fills.
    Blocks(const Layers& shapes, CacheType type, int64_t count);
    // Of one block, a multiple of 64.
    static int64_t bytes(const Layers& shapes, CacheType type);
    ~Blocks();
    Blocks(const Blocks&) = delete;
    Blocks& operator=(const Blocks&) = delete;

    uint8_t* at(int64_t block) const { return base_ + block * block_bytes_; }
    // What one block holds becomes what another does.
    void copy(int64_t from, int64_t to);

    const int64_t count;
    std::vector<KeyValues> layers;      // of no sequence yet

private:
    int64_t block_bytes_;
    size_t mapped_;
    uint8_t* base_;
};

}  // namespace furet
