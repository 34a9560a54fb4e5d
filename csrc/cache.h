// What one sequence remembers, in one mapping that is touched only as it fills: keys and values of its own tokens and of an
// encoder's, in float16, and the float32 states of recurrent instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace furet {

// Keys and values of one layer: keys [H, room / 16, D, 16], values [H, room, D padded to 16]; see kernels.h.
struct KeyValues {
    int heads, dim;
    int64_t room;               // tokens, a multiple of 64
    uint16_t* keys;
    uint16_t* values;

    // Write the key and value of one position, float16 rows of `dim`.
    void put(int head, int64_t position, const uint16_t* key, const uint16_t* value) const;
};

struct State {
    float* values;
    int64_t count;
};

// Heads and their size for every layer that attends and every one that recalls, and the values of every state.
struct CacheShape {
    std::vector<std::pair<int, int>> layers, memory;
    std::vector<int64_t> states;
    int64_t capacity, memory_capacity;      // tokens
};

class Cache {
public:
    // Both throw std::invalid_argument for sizes that are not positive or beyond all memory.
    explicit Cache(const CacheShape& shape);
    static int64_t bytes(const CacheShape& shape);
    ~Cache();
    Cache(const Cache&) = delete;
    Cache& operator=(const Cache&) = delete;

    // Forget the tokens from `length` on. States go back to zeros, for which `length` must be 0 or what it is.
    void truncate(int64_t length);
    bool recurrent() const { return !states.empty(); }

    const int64_t capacity, memory_capacity;
    int64_t length = 0, memory_length = 0;
    std::vector<KeyValues> layers, memory;
    std::vector<State> states;

private:
    size_t mapped_;
    uint8_t* base_;
};

}  // namespace furet
