// The Python face of the core. It checks dtype, shape and contiguity by type and forwards; see src/furet/_core.pyi.
#include "bind.h"

#include "cpu.h"
#include "measure.h"
#include "header_strings.h"

namespace {

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

void add_machine(nb::module_& m) {
    m.def("cpu", &cpu);
    m.def("set_isa", [](const std::string& name) { require(furet::use_kernels(name), "no instruction set '" + name + "' here"); });
    m.def("measure_bandwidth", &furet::measure_bandwidth, "threads"_a, "bytes"_a, "seconds"_a, nb::call_guard<nb::gil_scoped_release>());
    m.def("measure_int8_peak", &furet::measure_int8_peak, "threads"_a, "seconds"_a, nb::call_guard<nb::gil_scoped_release>());
    nb::class_<furet::Pool>(m, "Pool")
        .def("__init__", [](furet::Pool* self, int threads) {
            require(threads >= 1 && threads <= 256, "a pool has 1 to 256 threads");
            new (self) furet::Pool(threads);
        }, "threads"_a)
        .def_prop_ro("threads", &furet::Pool::threads);
}

uint64_t skip_strings(In<uint8_t> data, uint64_t at, uint64_t count, int width, bool big_endian) {
    require(width == 4 || width == 8, "a length has 4 or 8 bytes");
    return furet::skip_strings(data.data(), data.size(), at, count, width, big_endian);
}

}  // namespace

NB_MODULE(_core, m) {
    nb::set_leak_warnings(false);  // a program may end while a model still computes
    add_machine(m);
    m.def("skip_strings", &skip_strings, "data"_a, "at"_a, "count"_a, "width"_a, "big_endian"_a);
    bind_choosing(m);
    bind_weights(m);
    bind_caches(m);
    bind_program(m);
}
