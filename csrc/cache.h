// What one sequence remembers, in one mapping that is touched only as it fills: keys and values of its own tokens and of an
// encoder's, and the float32 states of recurrent instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "key_values.h"

namespace furet {

struct State {
    float* values;
    int64_t count;
};

// Heads and their size for every layer that attends and every one that recalls, and the values of every state.
struct CacheShape {
    std::vector<std::pair<int, int>> layers, memory;
    std::vector<int64_t> states;
    int64_t capacity, memory_capacity;      // tokens
    CacheType type = CacheType::F16;        // heads of a size that is no multiple of 32 stay F16
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
