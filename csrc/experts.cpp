// Mixtures of experts in a program: what they refuse, and a thread's share of each instruction.
//
// A route row is the numbers of a token's experts by rank, int32, and then their weights, float32. The rows of a token's
// experts lie one after the other, by rank.
#include <algorithm>
#include <cstring>

#include "checks.h"
#include "worker.h"

namespace furet {
namespace {

const int32_t* experts_of(const uint8_t* route_row) { return (const int32_t*)route_row; }
const float* weights_of(const uint8_t* route_row, int64_t used) { return (const float*)route_row + used; }

int64_t units_of(const ExpertLinear& i, int row_tile) {
    int64_t units = 0;
    for (const Weight* w : i.weights) units += (w->rows + row_tile - 1) / row_tile;
    return units;
}

}  // namespace

void Check::routed(int x, int route, int64_t each, const char* who) const {
    require(at(route).kind == Kind::Route, std::string(who) + ": wants a route");
    require(at(x).rows == at(route).rows && at(x).each == each, std::string(who) + ": rows differ from those of the route");
}

void Check::operator()(const Route& i) const {
    is_float(i.scores, "route");
    routed(i.scores, i.out, 1, "route");
    const int64_t experts = at(i.scores).width, used = at(i.out).width;
    require(experts <= kMaxExperts, "route: at most " + std::to_string(kMaxExperts) + " experts");
    require(used <= experts, "route: more experts are used than there are");
    require(at(i.out).experts == 0 || at(i.out).experts == experts, "route: the buffer is another route's");
}

void Check::operator()(const Dispatch& i) const {
    routed(i.x, i.route, 1, "dispatch");
    routed(i.out, i.route, at(i.route).width, "dispatch");
    const Kind kind = at(i.x).kind;
    require((kind == Kind::F32 || kind == Kind::Q8) && at(i.out).kind == kind && at(i.out).width == at(i.x).width,
            "dispatch: out must be like the input");
}

void Check::operator()(const ExpertLinear& i) const {
    const Buffer& x = at(i.x);
    const int64_t used = at(i.route).width;
    routed(i.x, i.route, x.each == 1 ? 1 : used, "expert_linear");
    require(!i.weights.empty() && i.weights.size() == i.outs.size(), "expert_linear: as many weights as outs");
    for (size_t j = 0; j < i.weights.size(); ++j) {
        const Weight& w = *i.weights[j];
        routed(i.outs[j], i.route, used, "expert_linear");
        require(x.kind == (w.info->form == Form::Float ? Kind::F32 : Kind::Q8),
                "expert_linear: a quantised weight wants q8 input, a float weight f32");
        require(x.width == w.columns, "expert_linear: input width is not the weight's columns");
        require(at(i.outs[j]).kind == Kind::F32 && at(i.outs[j]).width == w.rows, "expert_linear: out must be f32 and as wide as an expert has rows");
        require(w.matrices == at(i.route).experts, "expert_linear: the weight has not the route's number of experts");
    }
}

void Check::operator()(const Combine& i) const {
    is_float(i.x, "combine");
    is_float(i.out, "combine");
    routed(i.x, i.route, at(i.route).width, "combine");
    routed(i.out, i.route, 1, "combine");
    require(at(i.x).width == at(i.out).width, "combine: widths differ");
}

void Worker::operate(const Route& i, Counter& next) {
    const Buffer& scores = at(i.scores);
    const Buffer& o = at(i.out);
    each_row(scores, next, [&](int64_t t) {
        uint8_t* to = row(o, t);
        kernels_.route(floats(scores, t), scores.width, o.width, i.normalise, (int32_t*)to, (float*)to + o.width, pool_.scratch(thread_));
    });
}

void Worker::operate(const Dispatch& i, Counter& next) {
    const Buffer& x = at(i.x);
    const Buffer& o = at(i.out);
    each_row(o, next, [&](int64_t r) { std::memcpy(row(o, r), row(x, r / o.each), (size_t)x.row_bytes); });
}

void Worker::operate(const Combine& i, Counter& next) {
    const Buffer& x = at(i.x);
    const Buffer& route = at(i.route);
    each_row(at(i.out), next, [&](int64_t t) {
        kernels_.combine(floats(x, t * x.each), x.row_bytes / 4, weights_of(row(route, t), route.width), route.width, x.width, floats(at(i.out), t));
    });
}

// The experts that any token of the step goes to, in order; returns how many.
int64_t Worker::find_experts(const Buffer& route, int32_t* out) const {
    bool wanted[kMaxExperts] = {};
    for (int64_t t = 0; t < row_count(route); ++t) {
        const int32_t* chosen = experts_of(row(route, t));
        for (int64_t rank = 0; rank < route.width; ++rank)
            if (chosen[rank] >= 0 && chosen[rank] < route.experts) wanted[chosen[rank]] = true;
    }
    int64_t count = 0;
    for (int32_t e = 0; e < route.experts; ++e)
        if (wanted[e]) out[count++] = e;
    return count;
}

// The tokens of an expert: the rows that it reads and those that it writes; returns how many. A token goes to an expert once.
int64_t Worker::find_tokens(const Buffer& route, int32_t expert, int64_t x_each, Scratch& scratch) const {
    int64_t count = 0;
    for (int64_t t = 0; t < row_count(route); ++t) {
        const int32_t* chosen = experts_of(row(route, t));
        const int64_t rank = std::find(chosen, chosen + route.width, expert) - chosen;
        if (rank == route.width) continue;
        scratch.x_rows[count] = (int32_t)(x_each == 1 ? t : t * x_each + rank);
        scratch.y_rows[count++] = (int32_t)(t * route.width + rank);
    }
    return count;
}

void Worker::multiply(const ExpertLinear& i, int32_t expert, int64_t tokens, int64_t first, int64_t last) {
    const Buffer& x = at(i.x);
    Scratch& scratch = pool_.scratch(thread_);
    int64_t begin = 0;
    for (size_t j = 0; j < i.weights.size(); ++j) {
        const Weight& w = *i.weights[j];
        const Buffer& y = at(i.outs[j]);
        const int64_t end = begin + (w.rows + kernels_.row_tile - 1) / kernels_.row_tile;
        const int64_t from = std::max(first, begin), to = std::min(last, end);
        if (from < to) {
            LinearArgs args{};
            args.info = w.info;
            if (w.packed) args.packed = w.packed + expert * w.packed_bytes();
            else args.weight = w.data + expert * w.rows * w.row_bytes;
            args.row_bytes = w.row_bytes;
            args.rows = w.rows;
            args.columns = w.columns;
            args.x = row(x, 0);
            args.x_stride = x.row_bytes;
            args.tokens = tokens;
            args.y = floats(y, 0);
            args.y_stride = floats_between_rows(y);
            args.x_rows = scratch.x_rows;
            args.y_rows = scratch.y_rows;
            kernels_.linear(args, from - begin, to - begin, scratch);
        }
        begin = end;
    }
}

// The units of work are row tiles of the experts that are used, expert by expert: so an expert's weights are unpacked once and
// meet all of its tokens, and the experts that no token goes to are never touched.
void Worker::operate(const ExpertLinear& i, Counter& next) {
    const Buffer& route = at(i.route);
    Scratch& scratch = pool_.scratch(thread_);
    const int64_t of_each = units_of(i, kernels_.row_tile);
    const int64_t units = of_each * std::min(route.experts, row_count(route) * route.width);    // the most that can be
    int32_t found = -1;
    int64_t tokens = 0, used = -1;
    share(next, units, {1, 64}, [&](int64_t first, int64_t last) {
        if (used < 0) used = of_each * find_experts(route, scratch.experts);
        last = std::min(last, used);
        while (first < last) {
            const int32_t expert = scratch.experts[first / of_each];
            const int64_t begin = first % of_each, end = std::min(of_each, begin + last - first);
            if (expert != found) tokens = find_tokens(route, expert, at(i.x).each, scratch);
            found = expert;
            multiply(i, expert, tokens, begin, end);
            first += end - begin;
        }
    });
}

}  // namespace furet
