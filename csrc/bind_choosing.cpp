// Choosing a token from a row of logits.
#include <map>

#include "bind.h"
#include "choose.h"
#include "draw.h"

namespace {

using Floats = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using MaybeBits = std::optional<In<uint32_t>>;
using Places = nb::ndarray<nb::numpy, int64_t, nb::ndim<1>>;

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

int64_t draw(In<float> logits, In<int64_t> ids, const std::vector<std::pair<std::string, double>>& cuts, double at) {
    static const std::map<std::string, furet::Cut::Kind> kKinds = {
        {"top_p", furet::Cut::kTopP}, {"min_p", furet::Cut::kMinP}, {"temperature", furet::Cut::kTemperature}};
    require(ids.size() > 0, "draw: nothing to draw from");
    for (size_t i = 0; i < ids.size(); ++i)
        require(0 <= ids.data()[i] && ids.data()[i] < (int64_t)logits.size(), "draw: a token that is not in the row");
    std::vector<furet::Cut> read;
    for (const auto& [name, value] : cuts) {
        const auto found = kKinds.find(name);
        require(found != kKinds.end(), "draw: no cut '" + name + "'");
        require(found->second == furet::Cut::kTemperature ? value > 0 : value <= 1, "draw: " + name + " is out of range");
        read.push_back({found->second, value});
    }
    return furet::draw(logits.data(), ids.data(), (int64_t)ids.size(), read, at);
}

}  // namespace

void bind_choosing(nb::module_& m) {
    m.def("all_finite", [](In<float> values) { return furet::all_finite(values.data(), (int64_t)values.size()); }, "values"_a);
    m.def("largest", [](In<float> values, int64_t count, MaybeBits bits) {
        require(!bits || bits->size() == (values.size() + 31) / 32, "largest: wanted a bit for each value");
        return owned(furet::largest(values.data(), (int64_t)values.size(), count, bits ? bits->data() : nullptr));
    }, "values"_a, "count"_a, "bits"_a = nb::none());
    m.def("penalise", &penalise, "logits"_a, "recent"_a, "repeat"_a, "frequency"_a, "presence"_a);
    m.def("draw", &draw, "logits"_a, "ids"_a, "cuts"_a, "at"_a);
    m.def("admit", &admit, "values"_a, "bits"_a, "few"_a, "out"_a);
}
