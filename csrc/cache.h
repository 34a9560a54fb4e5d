// What one sequence remembers: keys and values of its own tokens, in blocks that it may share with others; those of an
// encoder's; and the float32 states of recurrent instructions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "blocks.h"

namespace furet {

struct State {
    float* values;
    int64_t count;
};

// Heads and their size for every layer that attends and every one that recalls, and the values of every state.
struct CacheShape {
    Layers layers, memory;
    std::vector<int64_t> states;
    int64_t capacity, memory_capacity;      // tokens
    CacheType type = CacheType::F16;        // heads of a size that is no multiple of 32 stay F16
};

class Cache {
public:
    // With room of its own for all of its capacity. Both throw std::invalid_argument for sizes that are not positive or beyond
    // all memory.
    explicit Cache(const CacheShape& shape);
    static int64_t bytes(const CacheShape& shape);
    // Without room for tokens until it is told which of the blocks it holds; they are of the shape's layers and type.
    Cache(const CacheShape& shape, std::shared_ptr<Blocks> blocks);
    ~Cache();
    Cache(const Cache&) = delete;
    Cache& operator=(const Cache&) = delete;

    // These blocks, in the order of positions, hold `length` tokens of this sequence. Others must not write to them while it does.
    // States stay as they are: `length` must be what it is where there are any.
    void hold(const std::vector<int64_t>& blocks, int64_t length);
    // Forget the tokens from `length` on. States go back to zeros, for which `length` must be 0 or what it is.
    void truncate(int64_t length);
    bool recurrent() const { return !states.empty(); }
    // Tokens that there is room for now.
    int64_t room() const { return std::min(capacity, kBlock * held_); }

    const int64_t capacity, memory_capacity;
    int64_t length = 0, memory_length = 0;
    std::vector<KeyValues> layers, memory;
    std::vector<State> states;

private:
    std::shared_ptr<Blocks> blocks_;
    Blocks memory_blocks_;
    std::vector<uint8_t*> table_, memory_table_;        // where each block is; any one where none is held
    int64_t held_ = 0;                                  // blocks
    std::vector<float> floats_;                         // of all states
};

}  // namespace furet
