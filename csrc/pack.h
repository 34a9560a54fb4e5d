// Packing: a copy of a weight in the order in which the matrix kernel reads it, as one stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "pool.h"
#include "program.h"

namespace furet {

// Private memory of a packed weight; its size is that of the stored rows, those of each matrix rounded up to 16.
class Packed {
public:
    explicit Packed(size_t bytes);
    ~Packed();
    Packed(const Packed&) = delete;
    Packed& operator=(const Packed&) = delete;
    uint8_t* data() const { return data_; }

private:
    size_t bytes_;
    uint8_t* data_;
};

std::unique_ptr<Packed> pack(const Weight& weight, Pool& pool);

}  // namespace furet
