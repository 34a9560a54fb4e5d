// The Python face of the core. It checks dtype, shape and contiguity by type and forwards; see src/furet/_core.pyi.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <map>
#include <stdexcept>

#include "checks.h"
#include "choose.h"
#include "cpu.h"
#include "decode.h"
#include "draw.h"
#include "measure.h"
#include "pack.h"
#include "pages.h"
#include "program.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using furet::Kind;
using furet::Rows;
using furet::Style;

template <class T> using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Logits = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using MaybeBits = std::optional<In<uint32_t>>;
using Places = nb::ndarray<nb::numpy, int64_t, nb::ndim<1>>;
using MaybeFloats = std::optional<In<float>>;
using MaybeTable = std::optional<nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>>;
using Heads = std::vector<std::pair<int, int>>;

using furet::Function;
using furet::require;

template <class T> T one_of(const std::string& name, std::initializer_list<std::pair<const char*, T>> table, const char* what) {
    for (const auto& [key, value] : table)
        if (name == key) return value;
    throw std::invalid_argument(std::string("unknown ") + what + " '" + name + "'");
}

Kind kind_of(const std::string& name) { return one_of<Kind>(name, {{"f32", Kind::F32}, {"q8", Kind::Q8}, {"route", Kind::Route}, {"out", Kind::Out}}, "kind"); }
Rows rows_of(const std::string& name) { return one_of<Rows>(name, {{"tokens", Rows::Tokens}, {"rows", Rows::Rows}}, "rows"); }
Function function_of(const std::string& name) {
    return one_of<Function>(name, {{"silu", Function::Silu}, {"gelu", Function::Gelu}, {"gelu_tanh", Function::GeluTanh},
        {"relu", Function::Relu}, {"sigmoid", Function::Sigmoid}, {"tanh", Function::Tanh}, {"exp", Function::Exp},
        {"softplus", Function::Softplus}, {"scale", Function::Scale}, {"soft_cap", Function::SoftCap}, {"clamp", Function::Clamp}}, "function");
}
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
Style style_of(const std::string& name) { return one_of<Style>(name, {{"interleaved", Style::Interleaved}, {"halves", Style::Halves}}, "style"); }

const furet::TypeInfo& readable(int id) {
    const furet::TypeInfo* info = furet::type_info(id);
    require(info != nullptr, "tensor type " + std::to_string(id) + " is not readable");
    return *info;
}

furet::Floats copy(const In<float>& x) { return furet::Floats(x.data(), x.data() + x.size()); }
furet::Floats copy(const MaybeTable& x) { return x ? furet::Floats(x->data(), x->data() + x->size()) : furet::Floats(); }
furet::Floats copy(const MaybeFloats& x) { return x ? copy(*x) : furet::Floats(); }

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

// A weight keeps the Python array alive, or the memory of its packed copy; programs copy the view and hold on to the object.
struct PyWeight {
    furet::Weight view;
    std::optional<In<uint8_t>> data;
    nb::object packed;

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

    void pack(furet::Pool& pool, nb::handle into) {
        if (view.packed) return;
        uint8_t* out = nb::cast<PyPacked&>(into).take(packed_bytes());
        {
            nb::gil_scoped_release release;
            furet::pack(view, pool, out);
        }
        view.packed = out;
        view.data = nullptr;
        packed = nb::borrow(into);
        data.reset();
    }
};

struct PyProgram {
    furet::Program program;
    std::vector<nb::object> kept;
    int64_t vocabulary = 0;

    PyProgram(int64_t max_tokens, int64_t max_rows, int64_t arena_bytes) : program(max_tokens, max_rows, arena_bytes) {}

    const furet::Weight& keep(nb::handle weight) {
        kept.push_back(nb::borrow(weight));
        return nb::cast<PyWeight&>(weight).view;
    }

    const furet::Weight& keep_rows(nb::handle weight) {
        require(!nb::cast<PyWeight&>(weight).view.packed, "a packed weight has no rows to look up");
        return keep(weight);
    }

    int buffer(int64_t width, const std::string& kind, const std::string& rows, int64_t offset, int64_t each) {
        const Kind k = kind_of(kind);
        if (k == Kind::Out) vocabulary = width;
        return program.buffer(width, k, rows_of(rows), offset, each);
    }

    int key_bias(int table, std::vector<int> counts, In<int32_t> channels, In<float> values) {
        require(channels.size() % 3 == 0 && channels.size() / 3 == values.size() / 2 && values.size() % 2 == 0, "key_bias: three channels and two values a pair");
        std::vector<furet::BiasedPair> pairs;
        for (size_t i = 0; i < channels.size() / 3; ++i) {
            const int32_t* c = channels.data() + 3 * i;
            pairs.push_back({c[0], c[1], c[2], values.data()[2 * i], values.data()[2 * i + 1]});
        }
        return program.key_bias(table, counts, std::move(pairs));
    }

    void linear(int x, nb::sequence weights, nb::sequence biases, std::vector<int> outs, int residual) {
        furet::Linear instruction{x, {}, {}, std::move(outs), residual};
        for (nb::handle weight : weights) instruction.weights.push_back(keep(weight));
        for (nb::handle bias : biases) instruction.biases.push_back(bias.is_none() ? furet::Floats() : copy(nb::cast<In<float>>(bias)));
        program.add(std::move(instruction));
    }

    void gated_linear(int x, nb::handle gate, nb::handle up, const std::string& function, int out) {
        program.add(furet::GatedLinear{x, keep(gate), keep(up), function_of(function), out});
    }

    void expert_linear(int x, nb::sequence weights, int route, std::vector<int> outs) {
        furet::ExpertLinear instruction{x, {}, route, std::move(outs)};
        for (nb::handle weight : weights) instruction.weights.push_back(keep(weight));
        program.add(std::move(instruction));
    }

    void attend(int q, std::optional<std::pair<int, int>> kv, furet::Keys keys, int layer, int kv_heads, int head_dim, furet::Scores scores, int64_t window, int out, int bias = -1) {
        require(head_dim > 0 && program.width(q) % head_dim == 0, "attention: q's width is no multiple of head_dim");
        const int heads = (int)(program.width(q) / head_dim);
        if (kv) {
            require(program.width(kv->first) % head_dim == 0, "attention: k's width is no multiple of head_dim");
            kv_heads = (int)(program.width(kv->first) / head_dim);
        }
        furet::Attention attention{q, keys, layer, heads, kv_heads, head_dim, std::move(scores), window, out, bias};
        program.check(attention);
        if (kv) program.add(furet::Append{kv->first, kv->second, layer, head_dim, keys, bias});
        program.add(std::move(attention));
    }

    void read(int buffer, Logits out) const {
        const int64_t floats = program.width(buffer);
        require(out.shape(0) == 0 || (int64_t)out.shape(1) == floats, "read: out must be [rows, " + std::to_string(floats) + "]");
        program.read(buffer, (int64_t)out.shape(0), out.data());
    }

    void step(furet::Pool& pool, In<int32_t> tokens, nb::sequence runs, In<int32_t> rows, Logits out) {
        furet::Step step{tokens.data(), (int64_t)tokens.size(), {}, rows.data(), (int64_t)rows.size(), out.data()};
        require(out.shape(0) == rows.size() && (rows.size() == 0 || (int64_t)out.shape(1) == vocabulary), "out must be [rows, " + std::to_string(vocabulary) + "]");
        for (nb::handle run : runs) {
            nb::tuple pair = nb::cast<nb::tuple>(run);
            require(pair.size() == 2, "a run is (cache, count)");
            step.runs.push_back({&nb::cast<furet::Cache&>(pair[0]), nb::cast<int64_t>(pair[1])});
        }
        nb::gil_scoped_release release;
        program.step(pool, std::move(step));
    }
};

nb::dict cpu() {
    nb::list isas, features;
    for (const furet::Kernels* table : furet::available_kernels()) isas.append(table->name);
    for (const std::string& feature : furet::cpu_features()) features.append(feature);
    nb::dict out;
    out["brand"] = furet::cpu_brand();
    out["features"] = features;
    out["isas"] = isas;
    out["isa"] = furet::kernels().name;
    return out;
}

Places owned(std::vector<int64_t> found) {
    auto* places = new std::vector<int64_t>(std::move(found));
    nb::capsule owner(places, [](void* p) noexcept { delete (std::vector<int64_t>*)p; });
    return Places(places->data(), {places->size()}, owner);
}

std::optional<Places> admit(In<float> values, In<uint32_t> bits, int64_t few, Floats out) {
    const int64_t count = (int64_t)values.size();
    require((int64_t)bits.size() == (count + 31) / 32, "admit: wanted a bit for each value");
    require((int64_t)out.size() == count, "admit: out has not the size of values");
    std::vector<int64_t> places;
    if (!furet::admit(values.data(), bits.data(), count, few, out.data(), places)) return std::nullopt;
    return owned(std::move(places));
}

void penalise(Floats logits, std::vector<int64_t> recent, double repeat, double frequency, double presence) {
    for (const int64_t id : recent) require(0 <= id && id < (int64_t)logits.size(), "penalise: a token that is not in the row");
    furet::penalise(logits.data(), std::move(recent), repeat, frequency, presence);
}

const uint32_t* checked(const MaybeBits& bits, size_t count) {
    require(!bits || bits->size() == (count + 31) / 32, "wanted a bit for each value");
    return bits ? bits->data() : nullptr;
}

int64_t draw_of_top(In<float> logits, int64_t wanted, const std::vector<std::pair<std::string, double>>& cuts, double at, MaybeBits bits) {
    static const std::map<std::string, furet::Cut::Kind> kKinds = {
        {"top_p", furet::Cut::kTopP}, {"min_p", furet::Cut::kMinP}, {"temperature", furet::Cut::kTemperature}};
    require(logits.size() > 0 && wanted > 0, "draw_of_top: nothing to draw from");
    std::vector<furet::Cut> read;
    for (const auto& [name, value] : cuts) {
        const auto found = kKinds.find(name);
        require(found != kKinds.end(), "draw_of_top: no cut '" + name + "'");
        require(found->second == furet::Cut::kTemperature ? value > 0 : value <= 1, "draw_of_top: " + name + " is out of range");
        read.push_back({found->second, value});
    }
    return furet::draw_of_top(logits.data(), (int64_t)logits.size(), wanted, read, at, checked(bits, logits.size()));
}

nb::ndarray<nb::numpy, float> decode(In<uint8_t> data, int type, int64_t count) {
    const furet::TypeInfo& info = readable(type);
    require(count >= 0 && count % info.block == 0 && (int64_t)data.size() == count / info.block * info.bytes, "decode: data is not that many whole blocks");
    float* out = new float[(size_t)count];
    nb::capsule owner(out, [](void* p) noexcept { delete[] (float*)p; });
    furet::decode_row(info, data.data(), count, out);
    return nb::ndarray<nb::numpy, float>(out, {(size_t)count}, owner);
}

}  // namespace

NB_MODULE(_core, m) {
    nb::set_leak_warnings(false);  // a program may end while a model still computes

    m.def("cpu", &cpu);
    m.def("all_finite", [](In<float> values) { return furet::all_finite(values.data(), (int64_t)values.size()); }, "values"_a);
    m.def("largest", [](In<float> values, int64_t count, MaybeBits bits) {
        return owned(furet::largest(values.data(), (int64_t)values.size(), count, checked(bits, values.size())));
    }, "values"_a, "count"_a, "bits"_a = nb::none());
    m.def("penalise", &penalise, "logits"_a, "recent"_a, "repeat"_a, "frequency"_a, "presence"_a);
    m.def("draw_of_top", &draw_of_top, "logits"_a, "wanted"_a, "cuts"_a, "at"_a, "bits"_a = nb::none());
    m.def("admit", &admit, "values"_a, "bits"_a, "few"_a, "out"_a);
    m.def("set_isa", [](const std::string& name) { require(furet::use_kernels(name), "no instruction set '" + name + "' here"); });
    m.def("readable_types", [] { return std::vector<int>(std::begin(furet::kTypeIds), std::end(furet::kTypeIds)); });
    m.def("buffer_row_bytes", [](const std::string& kind, int64_t width) { return furet::buffer_row_bytes(kind_of(kind), width); });
    m.def("scratch_bytes", [](int threads) { return (int64_t)threads * (int64_t)sizeof(furet::Scratch); });
    m.def("part_bytes", [](int heads, int kv_heads, int head_dim, int64_t sequences, int64_t max_tokens) {
        const int64_t shared = furet::kSplitRows / (heads / kv_heads);
        return 4 * furet::parts_of(std::min(max_tokens, sequences * shared) * heads, head_dim, 1);
    }, "heads"_a, "kv_heads"_a, "head_dim"_a, "sequences"_a, "max_tokens"_a);
    m.def("decode", &decode);
    m.def("measure_bandwidth", &furet::measure_bandwidth, "threads"_a, "bytes"_a, "seconds"_a, nb::call_guard<nb::gil_scoped_release>());
    m.def("measure_int8_peak", &furet::measure_int8_peak, "threads"_a, "seconds"_a, nb::call_guard<nb::gil_scoped_release>());

    nb::class_<furet::Pool>(m, "Pool")
        .def("__init__", [](furet::Pool* self, int threads) {
            require(threads >= 1 && threads <= 256, "a pool has 1 to 256 threads");
            new (self) furet::Pool(threads);
        }, "threads"_a)
        .def_prop_ro("threads", &furet::Pool::threads);

    nb::class_<PyPacked>(m, "Packed").def(nb::init<int64_t>(), "bytes"_a);

    nb::class_<PyWeight>(m, "Weight")
        .def(nb::init<In<uint8_t>, int, int64_t, int64_t, int64_t>(), "data"_a, "type"_a, "rows"_a, "columns"_a, "matrices"_a = 1)
        .def("pack", &PyWeight::pack, "pool"_a, "into"_a)
        .def_prop_ro("packed_bytes", &PyWeight::packed_bytes)
        .def_prop_ro("rows", [](const PyWeight& w) { return w.view.rows; })
        .def_prop_ro("columns", [](const PyWeight& w) { return w.view.columns; })
        .def_prop_ro("matrices", [](const PyWeight& w) { return w.view.matrices; })
        .def_prop_ro("quantised", [](const PyWeight& w) { return w.view.info->form != furet::Form::Float; });

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

    nb::class_<PyProgram>(m, "Program")
        .def(nb::init<int64_t, int64_t, int64_t>(), "max_tokens"_a, "max_rows"_a, "arena_bytes"_a)
        .def("buffer", &PyProgram::buffer, "width"_a, "kind"_a, "rows"_a, "offset"_a, "each"_a = 1)
        .def("rope_table", [](PyProgram& p, In<double> f, double magnitude) { return p.program.rope_table({f.data(), f.data() + f.size()}, magnitude); }, "inverse_frequencies"_a, "magnitude"_a)
        .def("key_bias", &PyProgram::key_bias, "table"_a, "counts"_a, "channels"_a, "values"_a)
        .def("embed", [](PyProgram& p, nb::handle weight, int out) { p.program.add(furet::Embed{p.keep_rows(weight), out}); }, "weight"_a, "out"_a)
        .def("embed_positions", [](PyProgram& p, nb::handle weight, int64_t offset, int out) { p.program.add(furet::EmbedPositions{p.keep_rows(weight), offset, out}); }, "weight"_a, "offset"_a, "out"_a)
        .def("take_rows", [](PyProgram& p, int x, int out) { p.program.add(furet::TakeRows{x, out}); }, "x"_a, "out"_a)
        .def("rms_norm", [](PyProgram& p, int x, In<float> w, float eps, int out) { p.program.add(furet::RmsNorm{x, copy(w), eps, out}); }, "x"_a, "weight"_a, "eps"_a, "out"_a)
        .def("layer_norm", [](PyProgram& p, int x, In<float> w, MaybeFloats b, int64_t groups, float eps, int out) { p.program.add(furet::LayerNorm{x, copy(w), copy(b), groups, eps, out}); }, "x"_a, "weight"_a, "bias"_a.none(), "groups"_a, "eps"_a, "out"_a)
        .def("l2_norm", [](PyProgram& p, int x, int64_t heads, float eps, int out) { p.program.add(furet::L2Norm{x, heads, eps, out}); }, "x"_a, "heads"_a, "eps"_a, "out"_a)
        .def("head_dot", [](PyProgram& p, int a, int b, int64_t heads, int out) { p.program.add(furet::HeadDot{a, b, heads, out}); }, "a"_a, "b"_a, "heads"_a, "out"_a)
        .def("affine", [](PyProgram& p, int x, MaybeFloats w, MaybeFloats b, int out) { p.program.add(furet::Affine{x, copy(w), copy(b), out}); }, "x"_a, "weight"_a.none(), "bias"_a.none(), "out"_a)
        .def("quantise", [](PyProgram& p, int x, int out) { p.program.add(furet::Quantise{x, out}); }, "x"_a, "out"_a)
        .def("linear", &PyProgram::linear, "x"_a, "weights"_a, "biases"_a, "outs"_a, "residual"_a = -1)
        .def("rope", [](PyProgram& p, int x, int head_dim, int table, const std::string& style) { p.program.add(furet::Rope{x, head_dim, table, style_of(style)}); }, "x"_a, "head_dim"_a, "table"_a, "style"_a)
        .def("attention", [](PyProgram& p, int q, int k, int v, int layer, int head_dim, float scale, int64_t window, int out, float soft_cap, MaybeFloats slopes, MaybeTable distances, int64_t first_distance, int key_bias) {
            p.attend(q, std::pair(k, v), furet::Keys::Past, layer, 0, head_dim, {scale, soft_cap, copy(slopes), copy(distances), first_distance}, window, out, key_bias);
        }, "q"_a, "k"_a, "v"_a, "layer"_a, "head_dim"_a, "scale"_a, "window"_a, "out"_a, "soft_cap"_a = 0.0f, "slopes"_a.none() = nb::none(), "distances"_a.none() = nb::none(), "first_distance"_a = 0, "key_bias"_a = -1)
        .def("attend_all", [](PyProgram& p, int q, int k, int v, int head_dim, float scale, int out, MaybeTable distances, int64_t first_distance, int key_bias) {
            p.attend(q, std::pair(k, v), furet::Keys::Step, 0, 0, head_dim, {scale, 0, {}, copy(distances), first_distance}, 0, out, key_bias);
        }, "q"_a, "k"_a, "v"_a, "head_dim"_a, "scale"_a, "out"_a, "distances"_a.none() = nb::none(), "first_distance"_a = 0, "key_bias"_a = -1)
        .def("remember", [](PyProgram& p, int k, int v, int layer, int head_dim) {
            p.program.add(furet::Append{k, v, layer, head_dim, furet::Keys::Memory});
        }, "k"_a, "v"_a, "layer"_a, "head_dim"_a)
        .def("recall", [](PyProgram& p, int q, int layer, int head_dim, float scale, int out) {
            p.attend(q, std::nullopt, furet::Keys::Memory, layer, head_dim > 0 ? (int)(p.program.width(q) / head_dim) : 0, head_dim, {scale, 0, {}, {}, 0}, 0, out);
        }, "q"_a, "layer"_a, "head_dim"_a, "scale"_a, "out"_a)
        .def("activate", [](PyProgram& p, const std::string& function, int x, float parameter, int out) { p.program.add(furet::Activate{function_of(function), x, parameter, out}); }, "function"_a, "x"_a, "parameter"_a, "out"_a)
        .def("gated", [](PyProgram& p, const std::string& function, int gate, int up, int out) { p.program.add(furet::Gated{function_of(function), gate, up, out}); }, "function"_a, "gate"_a, "up"_a, "out"_a)
        .def("gated_linear", &PyProgram::gated_linear, "x"_a, "gate"_a, "up"_a, "function"_a, "out"_a)
        .def("columns", [](PyProgram& p, int x, int64_t first, int out) { p.program.add(furet::Columns{x, first, out}); }, "x"_a, "first"_a, "out"_a)
        .def("add", [](PyProgram& p, int a, int b, int out) { p.program.add(furet::Add{a, b, out}); }, "a"_a, "b"_a, "out"_a)
        .def("subtract", [](PyProgram& p, int a, int b, int out) { p.program.add(furet::Subtract{a, b, out}); }, "a"_a, "b"_a, "out"_a)
        .def("multiply", [](PyProgram& p, int a, int b, int out) { p.program.add(furet::Multiply{a, b, out}); }, "a"_a, "b"_a, "out"_a)
        .def("route", [](PyProgram& p, int scores, bool normalise, int out) { p.program.add(furet::Route{scores, normalise, out}); }, "scores"_a, "normalise"_a, "out"_a)
        .def("dispatch", [](PyProgram& p, int x, int route, int out) { p.program.add(furet::Dispatch{x, route, out}); }, "x"_a, "route"_a, "out"_a)
        .def("expert_linear", &PyProgram::expert_linear, "x"_a, "weights"_a, "route"_a, "outs"_a)
        .def("combine", [](PyProgram& p, int x, int route, int out) { p.program.add(furet::Combine{x, route, out}); }, "x"_a, "route"_a, "out"_a)
        .def("shift", [](PyProgram& p, int state, int x, int out) { p.program.add(furet::Shift{state, x, out}); }, "state"_a, "x"_a, "out"_a)
        .def("convolve", [](PyProgram& p, int state, int x, In<float> w, std::optional<In<float>> b, int out) {
            p.program.add(furet::Convolve{state, x, copy(w), b ? copy(*b) : furet::Floats(), out});
        }, "state"_a, "x"_a, "weight"_a, "bias"_a.none(), "out"_a)
        .def("selective_scan", [](PyProgram& p, int state, int x, int dt, int b, int c, In<float> rates, In<float> skip, int out) {
            p.program.add(furet::SelectiveScan{state, x, dt, b, c, copy(rates), copy(skip), out});
        }, "state"_a, "x"_a, "dt"_a, "b"_a, "c"_a, "rates"_a, "skip"_a, "out"_a)
        .def("wkv4", [](PyProgram& p, int state, int k, int v, In<float> decay, In<float> first, int out) {
            p.program.add(furet::Wkv4{state, k, v, copy(decay), copy(first), out});
        }, "state"_a, "k"_a, "v"_a, "decay"_a, "first"_a, "out"_a)
        .def("wkv7", [](PyProgram& p, int state, int r, int decay, int k, int v, int a, int b, int heads, int out) {
            p.program.add(furet::Wkv7{state, r, decay, k, v, a, b, heads, out});
        }, "state"_a, "r"_a, "decay"_a, "k"_a, "v"_a, "a"_a, "b"_a, "heads"_a, "out"_a)
        .def("read", &PyProgram::read, "buffer"_a, "out"_a)
        .def("step", &PyProgram::step, "pool"_a, "tokens"_a, "runs"_a, "rows"_a, "out"_a);
}
