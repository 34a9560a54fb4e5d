// Pages of one's own, straight from the system.
#pragma once

#include <cstddef>
#include <cstdint>

namespace furet {

// Zeros, in large pages where the system has them: a thread that streams through small ones waits at the border of
// each for an address to be looked up.
class Pages {
public:
    explicit Pages(size_t bytes);
    ~Pages();
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    uint8_t* data() const { return data_; }
    size_t size() const { return size_; }

private:
    size_t size_, mapped_;
    uint8_t* base_;
    uint8_t* data_;
};

}  // namespace furet
