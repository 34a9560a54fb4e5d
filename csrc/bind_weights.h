// Weights as Python holds them.
#pragma once

#include "bind.h"
#include "decode.h"
#include "pack.h"
#include "pages.h"

// A type of tensors by its number in files; throws for one that is not readable.
const furet::TypeInfo& readable(int id);

// Memory for packed weights, taken from its start on.
struct PyPacked {
    furet::Pages memory;
    int64_t used = 0;

    explicit PyPacked(int64_t bytes) : memory((require(bytes >= 0 && bytes <= (int64_t)1 << 46, "packed weights of that many bytes cannot be"), (size_t)bytes)) {}

    uint8_t* take(int64_t bytes) {
        require(bytes <= (int64_t)memory.size() - used, "there is no room left for a packed weight of " + std::to_string(bytes) + " bytes");
        used += bytes;
        return memory.data() + used - bytes;
    }
};

// A weight keeps the Python array alive, and the memory of its packed copy; programs hold on to the object.
struct PyWeight {
    furet::Weight view;
    std::optional<In<uint8_t>> data;
    nb::object packed;
    uint8_t* out = nullptr;         // in `packed`, where its first panels are already
    int64_t panels_done = 0;
    bool looked_up = false;         // a program has rows of `data` looked up

    PyWeight(In<uint8_t> bytes, int type, int64_t rows, int64_t columns, int64_t matrices) : data(std::move(bytes)) {
        const furet::TypeInfo& info = readable(type);
        require(rows >= 1 && columns >= 1 && columns % info.block == 0, "a weight has at least one row of whole blocks");
        require(columns <= INT32_MAX && rows <= INT32_MAX, "a weight has at most 2^31 rows and columns");
        require(matrices >= 1 && matrices <= INT32_MAX / rows, "a weight has at least one matrix and at most 2^31 rows");
        const int64_t row_bytes = columns / info.block * info.bytes, bytes_wanted = matrices * rows * row_bytes;
        require((int64_t)data->size() == bytes_wanted, "weight data is " + std::to_string(data->size()) + " bytes, not " + std::to_string(bytes_wanted));
        view = {&info, data->data(), nullptr, rows, columns, row_bytes, matrices};
    }

    // Whole cache lines, so that the next one begins with one.
    int64_t packed_bytes() const { return (view.matrices * view.packed_bytes() + 63) / 64 * 64; }

    bool pack(furet::Pool& pool, nb::handle into, int64_t bytes) {
        if (view.packed) return true;
        require(!looked_up, "a weight whose rows are looked up stays as it is");
        if (!out) {
            out = nb::cast<PyPacked&>(into).take(packed_bytes());
            packed = nb::borrow(into);
        }
        const int64_t all = furet::panels(view), wanted = std::max<int64_t>(1, bytes / (16 * view.row_bytes));
        const int64_t last = panels_done + std::min(wanted, all - panels_done);
        {
            nb::gil_scoped_release release;
            furet::pack(view, pool, panels_done, last, out);
        }
        panels_done = last;
        if (last < all) return false;
        view.packed = out;
        view.data = nullptr;
        data.reset();
        return true;
    }
};
