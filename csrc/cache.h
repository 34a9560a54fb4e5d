// Keys and values of one sequence in float16, all layers, in one mapping that is touched only as it fills.
// Layout per layer: keys [K, capacity / 16, D, 16], then values [K, capacity, D padded to 16]. See kernels.h.
#pragma once

#include <cstdint>
#include <cstddef>

namespace furet {

class KVCache {
public:
    KVCache(int layers, int kv_heads, int head_dim, int64_t capacity);
    ~KVCache();
    KVCache(const KVCache&) = delete;
    KVCache& operator=(const KVCache&) = delete;

    uint16_t* keys(int layer) const { return base_ + layer * layer_halves(); }
    uint16_t* values(int layer) const { return keys(layer) + (int64_t)kv_heads * room_ * head_dim; }
    // Write the key and value of one position, float16 rows of head_dim.
    void put(int layer, int head, int64_t position, const uint16_t* key, const uint16_t* value);
    int64_t padded_dim() const { return padded(head_dim); }
    int64_t room() const { return room_; }

    static int64_t bytes(int layers, int kv_heads, int head_dim, int64_t capacity);

    const int layers, kv_heads, head_dim;
    const int64_t capacity;
    int64_t length = 0;

private:
    static int64_t padded(int64_t dim) { return (dim + 15) / 16 * 16; }
    static int64_t rounded(int64_t capacity) { return (capacity + 63) / 64 * 64; }
    int64_t layer_halves() const { return (int64_t)kv_heads * room_ * (head_dim + padded(head_dim)); }

    int64_t room_;
    size_t mapped_;
    uint16_t* base_;
};

}  // namespace furet
