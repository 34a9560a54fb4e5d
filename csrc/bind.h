// What the files of the Python face share: arrays whose type checks dtype, shape and contiguity, and values by name.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>

#include "checks.h"
#include "program.h"

namespace nb = nanobind;
using namespace nb::literals;
using furet::require;

template <class T> using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T> T one_of(const std::string& name, std::initializer_list<std::pair<const char*, T>> table, const char* what) {
    for (const auto& [key, value] : table)
        if (name == key) return value;
    throw std::invalid_argument(std::string("unknown ") + what + " '" + name + "'");
}

// Each adds one part of the module.
void bind_choosing(nb::module_& m);
void bind_weights(nb::module_& m);
void bind_caches(nb::module_& m);
void bind_program(nb::module_& m);
