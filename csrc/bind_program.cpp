// Programs: instructions are added one by one, then steps are made.
#include <algorithm>

#include "bind_weights.h"

namespace {

using furet::Function;
using furet::Kind;
using furet::Rows;
using furet::Style;

using Logits = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using MaybeFloats = std::optional<In<float>>;
using MaybeTable = std::optional<nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>>;

Kind kind_of(const std::string& name) { return one_of<Kind>(name, {{"f32", Kind::F32}, {"q8", Kind::Q8}, {"route", Kind::Route}, {"out", Kind::Out}}, "kind"); }
Rows rows_of(const std::string& name) { return one_of<Rows>(name, {{"tokens", Rows::Tokens}, {"rows", Rows::Rows}}, "rows"); }

Function function_of(const std::string& name) {
    return one_of<Function>(name, {{"silu", Function::Silu}, {"gelu", Function::Gelu}, {"gelu_tanh", Function::GeluTanh},
        {"relu", Function::Relu}, {"sigmoid", Function::Sigmoid}, {"tanh", Function::Tanh}, {"exp", Function::Exp},
        {"softplus", Function::Softplus}, {"scale", Function::Scale}, {"soft_cap", Function::SoftCap}, {"clamp", Function::Clamp}}, "function");
}

Style style_of(const std::string& name) { return one_of<Style>(name, {{"interleaved", Style::Interleaved}, {"halves", Style::Halves}}, "style"); }

furet::Floats copy(const In<float>& x) { return furet::Floats(x.data(), x.data() + x.size()); }
furet::Floats copy(const MaybeTable& x) { return x ? furet::Floats(x->data(), x->data() + x->size()) : furet::Floats(); }
furet::Floats copy(const MaybeFloats& x) { return x ? copy(*x) : furet::Floats(); }

struct PyProgram {
    furet::Program program;
    std::vector<nb::object> kept;
    int64_t vocabulary = 0;

    PyProgram(int64_t max_tokens, int64_t max_rows, int64_t arena_bytes) : program(max_tokens, max_rows, arena_bytes) {}

    const furet::Weight* keep(nb::handle weight) {
        kept.push_back(nb::borrow(weight));
        return &nb::cast<PyWeight&>(weight).view;
    }

    const furet::Weight& keep_rows(nb::handle weight) {
        PyWeight& table = nb::cast<PyWeight&>(weight);
        require(!table.out, "a packed weight has no rows to look up");
        table.looked_up = true;
        return *keep(weight);
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
        require(out.shape(0) == rows.size() && (rows.size() == 0 || (int64_t)out.shape(1) == vocabulary), "out must be [rows, " + std::to_string(vocabulary) + "]");
        // Without the GIL other threads may write to these arrays, which are checked once, and let go of the caches.
        const std::vector<int32_t> given(tokens.data(), tokens.data() + tokens.size()), wanted(rows.data(), rows.data() + rows.size());
        std::vector<nb::object> caches;
        furet::Step step{given.data(), (int64_t)given.size(), {}, wanted.data(), (int64_t)wanted.size(), out.data()};
        for (nb::handle run : runs) {
            nb::tuple pair = nb::cast<nb::tuple>(run);
            require(pair.size() == 2, "a run is (cache, count)");
            caches.push_back(nb::cast<nb::object>(pair[0]));
            step.runs.push_back({&nb::cast<furet::Cache&>(caches.back()), nb::cast<int64_t>(pair[1])});
        }
        nb::gil_scoped_release release;
        program.step(pool, std::move(step));
    }
};

using Face = nb::class_<PyProgram>;

void add_sizes(nb::module_& m) {
    m.def("buffer_row_bytes", [](const std::string& kind, int64_t width) { return furet::buffer_row_bytes(kind_of(kind), width); });
    m.def("scratch_bytes", [](int threads) { return (int64_t)threads * (int64_t)sizeof(furet::Scratch); });
    m.def("part_bytes", [](int heads, int kv_heads, int head_dim, int64_t sequences, int64_t max_tokens) {
        const int64_t shared = furet::kSplitRows / (heads / kv_heads);
        return 4 * furet::parts_of(std::min(max_tokens, sequences * shared) * heads, head_dim, 1);
    }, "heads"_a, "kv_heads"_a, "head_dim"_a, "sequences"_a, "max_tokens"_a);
}

void add_rows(Face& face) {
    face
        .def("embed", [](PyProgram& p, nb::handle weight, int out) { p.program.add(furet::Embed{p.keep_rows(weight), out}); }, "weight"_a, "out"_a)
        .def("embed_positions", [](PyProgram& p, nb::handle weight, int64_t offset, int out) { p.program.add(furet::EmbedPositions{p.keep_rows(weight), offset, out}); }, "weight"_a, "offset"_a, "out"_a)
        .def("take_rows", [](PyProgram& p, int x, int out) { p.program.add(furet::TakeRows{x, out}); }, "x"_a, "out"_a)
        .def("rms_norm", [](PyProgram& p, int x, In<float> w, float eps, int out) { p.program.add(furet::RmsNorm{x, copy(w), eps, out}); }, "x"_a, "weight"_a, "eps"_a, "out"_a)
        .def("layer_norm", [](PyProgram& p, int x, In<float> w, MaybeFloats b, int64_t groups, float eps, int out) { p.program.add(furet::LayerNorm{x, copy(w), copy(b), groups, eps, out}); }, "x"_a, "weight"_a, "bias"_a.none(), "groups"_a, "eps"_a, "out"_a)
        .def("l2_norm", [](PyProgram& p, int x, int64_t heads, float eps, int out) { p.program.add(furet::L2Norm{x, heads, eps, out}); }, "x"_a, "heads"_a, "eps"_a, "out"_a)
        .def("head_dot", [](PyProgram& p, int a, int b, int64_t heads, int out) { p.program.add(furet::HeadDot{a, b, heads, out}); }, "a"_a, "b"_a, "heads"_a, "out"_a)
        .def("affine", [](PyProgram& p, int x, MaybeFloats w, MaybeFloats b, int out) { p.program.add(furet::Affine{x, copy(w), copy(b), out}); }, "x"_a, "weight"_a.none(), "bias"_a.none(), "out"_a)
        .def("quantise", [](PyProgram& p, int x, int out) { p.program.add(furet::Quantise{x, out}); }, "x"_a, "out"_a)
        .def("columns", [](PyProgram& p, int x, int64_t first, int out) { p.program.add(furet::Columns{x, first, out}); }, "x"_a, "first"_a, "out"_a)
        .def("add", [](PyProgram& p, int a, int b, int out) { p.program.add(furet::Add{a, b, out}); }, "a"_a, "b"_a, "out"_a)
        .def("subtract", [](PyProgram& p, int a, int b, int out) { p.program.add(furet::Subtract{a, b, out}); }, "a"_a, "b"_a, "out"_a)
        .def("multiply", [](PyProgram& p, int a, int b, int out) { p.program.add(furet::Multiply{a, b, out}); }, "a"_a, "b"_a, "out"_a);
}

void add_attention(Face& face) {
    face
        .def("rope_table", [](PyProgram& p, In<double> f, double magnitude) { return p.program.rope_table({f.data(), f.data() + f.size()}, magnitude); }, "inverse_frequencies"_a, "magnitude"_a)
        .def("key_bias", &PyProgram::key_bias, "table"_a, "counts"_a, "channels"_a, "values"_a)
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
        }, "q"_a, "layer"_a, "head_dim"_a, "scale"_a, "out"_a);
}

void add_linear(Face& face) {
    face
        .def("linear", &PyProgram::linear, "x"_a, "weights"_a, "biases"_a, "outs"_a, "residual"_a = -1)
        .def("gated_linear", &PyProgram::gated_linear, "x"_a, "gate"_a, "up"_a, "function"_a, "out"_a)
        .def("activate", [](PyProgram& p, const std::string& function, int x, float parameter, int out) { p.program.add(furet::Activate{function_of(function), x, parameter, out}); }, "function"_a, "x"_a, "parameter"_a, "out"_a)
        .def("gated", [](PyProgram& p, const std::string& function, int gate, int up, int out) { p.program.add(furet::Gated{function_of(function), gate, up, out}); }, "function"_a, "gate"_a, "up"_a, "out"_a)
        .def("route", [](PyProgram& p, int scores, bool normalise, int out) { p.program.add(furet::Route{scores, normalise, out}); }, "scores"_a, "normalise"_a, "out"_a)
        .def("dispatch", [](PyProgram& p, int x, int route, int out) { p.program.add(furet::Dispatch{x, route, out}); }, "x"_a, "route"_a, "out"_a)
        .def("expert_linear", &PyProgram::expert_linear, "x"_a, "weights"_a, "route"_a, "outs"_a)
        .def("combine", [](PyProgram& p, int x, int route, int out) { p.program.add(furet::Combine{x, route, out}); }, "x"_a, "route"_a, "out"_a);
}

void add_recurrence(Face& face) {
    face
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
        }, "state"_a, "r"_a, "decay"_a, "k"_a, "v"_a, "a"_a, "b"_a, "heads"_a, "out"_a);
}

}  // namespace

void bind_program(nb::module_& m) {
    add_sizes(m);
    Face face(m, "Program");
    face
        .def(nb::init<int64_t, int64_t, int64_t>(), "max_tokens"_a, "max_rows"_a, "arena_bytes"_a)
        .def("buffer", &PyProgram::buffer, "width"_a, "kind"_a, "rows"_a, "offset"_a, "each"_a = 1)
        .def("read", &PyProgram::read, "buffer"_a, "out"_a)
        .def("step", &PyProgram::step, "pool"_a, "tokens"_a, "runs"_a, "rows"_a, "out"_a);
    add_rows(face);
    add_attention(face);
    add_linear(face);
    add_recurrence(face);
}
