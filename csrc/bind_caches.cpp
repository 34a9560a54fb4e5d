// Keys and values: blocks that several sequences share, and the cache of one.
#include <cstring>

#include "bind.h"

namespace {

using Bytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Heads = std::vector<std::pair<int, int>>;

furet::CacheType cache_type_of(const std::string& name) {
    return one_of<furet::CacheType>(name, {{"f16", furet::CacheType::F16}, {"q8_0", furet::CacheType::Q8_0}, {"q4_0", furet::CacheType::Q4_0}}, "cache type");
}

struct PyBlocks {
    std::shared_ptr<furet::Blocks> blocks;
    Heads layers;
    furet::CacheType type;

    // Where a block is, for bytes that are as many as it has.
    template <class Array> uint8_t* at(int64_t block, const Array& bytes) const {
        require(block >= 0 && block < blocks->count, "there are " + std::to_string(blocks->count) + " blocks");
        const int64_t wanted = furet::Blocks::bytes(layers, type);
        require((int64_t)bytes.size() == wanted, "a block has " + std::to_string(wanted) + " bytes");
        return blocks->at(block);
    }
};

void add_blocks(nb::module_& m) {
    nb::class_<PyBlocks>(m, "Blocks")
        .def("__init__", [](PyBlocks* self, Heads layers, int64_t count, const std::string& type) {
            new (self) PyBlocks{std::make_shared<furet::Blocks>(layers, cache_type_of(type), count), layers, cache_type_of(type)};
        }, "layers"_a, "count"_a, "type"_a = "f16")
        .def_prop_ro("count", [](const PyBlocks& b) { return b.blocks->count; })
        .def_prop_ro("block_bytes", [](const PyBlocks& b) { return furet::Blocks::bytes(b.layers, b.type); })
        .def("copy", [](const PyBlocks& b, int64_t from, int64_t to) { b.blocks->copy(from, to); }, "source"_a, "target"_a)
        .def("read", [](const PyBlocks& b, int64_t block, Bytes out) { std::memcpy(out.data(), b.at(block, out), out.size()); }, "block"_a, "out"_a)
        .def("write", [](const PyBlocks& b, int64_t block, In<uint8_t> data) { std::memcpy(b.at(block, data), data.data(), data.size()); }, "block"_a, "data"_a)
        .def_static("bytes", [](Heads layers, const std::string& type) { return furet::Blocks::bytes(layers, cache_type_of(type)); }, "layers"_a, "type"_a = "f16");
}

void add_cache(nb::module_& m) {
    nb::class_<furet::Cache>(m, "Cache")
        .def("__init__", [](furet::Cache* self, Heads layers, Heads memory, std::vector<int64_t> states, int64_t capacity, int64_t memory_capacity, const std::string& type) {
            new (self) furet::Cache({std::move(layers), std::move(memory), std::move(states), capacity, memory_capacity, cache_type_of(type)});
        }, "layers"_a, "memory"_a, "states"_a, "capacity"_a, "memory_capacity"_a = 0, "type"_a = "f16")
        .def("__init__", [](furet::Cache* self, const PyBlocks& blocks, Heads memory, std::vector<int64_t> states, int64_t capacity, int64_t memory_capacity) {
            new (self) furet::Cache({blocks.layers, std::move(memory), std::move(states), capacity, memory_capacity, blocks.type}, blocks.blocks);
        }, "blocks"_a, "memory"_a, "states"_a, "capacity"_a, "memory_capacity"_a = 0)
        .def_ro("capacity", &furet::Cache::capacity)
        .def_ro("memory_capacity", &furet::Cache::memory_capacity)
        .def_ro("length", &furet::Cache::length)
        .def_ro("memory_length", &furet::Cache::memory_length)
        .def_prop_ro("recurrent", &furet::Cache::recurrent)
        .def_prop_ro("room", &furet::Cache::room)
        .def("hold", &furet::Cache::hold, "blocks"_a, "length"_a)
        .def("truncate", &furet::Cache::truncate, "length"_a)
        .def_static("bytes", [](Heads layers, Heads memory, std::vector<int64_t> states, int64_t capacity, int64_t memory_capacity, const std::string& type) {
            return furet::Cache::bytes({std::move(layers), std::move(memory), std::move(states), capacity, memory_capacity, cache_type_of(type)});
        }, "layers"_a, "memory"_a, "states"_a, "capacity"_a, "memory_capacity"_a = 0, "type"_a = "f16");
}

}  // namespace

void bind_caches(nb::module_& m) {
    add_blocks(m);
    add_cache(m);
}
