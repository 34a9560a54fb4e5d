#include "bind_weights.h"

namespace {

nb::ndarray<nb::numpy, float> decode(In<uint8_t> data, int type, int64_t count) {
    const furet::TypeInfo& info = readable(type);
    require(count >= 0 && count % info.block == 0 && (int64_t)data.size() == count / info.block * info.bytes, "decode: data is not that many whole blocks");
    float* out = new float[(size_t)count];
    nb::capsule owner(out, [](void* p) noexcept { delete[] (float*)p; });
    furet::decode_row(info, data.data(), count, out);
    return nb::ndarray<nb::numpy, float>(out, {(size_t)count}, owner);
}

}  // namespace

const furet::TypeInfo& readable(int id) {
    const furet::TypeInfo* info = furet::type_info(id);
    require(info != nullptr, "tensor type " + std::to_string(id) + " is not readable");
    return *info;
}

void bind_weights(nb::module_& m) {
    m.def("readable_types", [] { return std::vector<int>(std::begin(furet::kTypeIds), std::end(furet::kTypeIds)); });
    m.def("decode", &decode);

    nb::class_<PyPacked>(m, "Packed").def(nb::init<int64_t>(), "bytes"_a);

    nb::class_<PyWeight>(m, "Weight")
        .def(nb::init<In<uint8_t>, int, int64_t, int64_t, int64_t>(), "data"_a, "type"_a, "rows"_a, "columns"_a, "matrices"_a = 1)
        .def("pack", &PyWeight::pack, "pool"_a, "into"_a, "bytes"_a = INT64_MAX)
        .def_prop_ro("packed_bytes", &PyWeight::packed_bytes)
        .def_prop_ro("rows", [](const PyWeight& w) { return w.view.rows; })
        .def_prop_ro("columns", [](const PyWeight& w) { return w.view.columns; })
        .def_prop_ro("matrices", [](const PyWeight& w) { return w.view.matrices; })
        .def_prop_ro("quantised", [](const PyWeight& w) { return w.view.info->form != furet::Form::Float; });
}
