// What turns a row into a row, whichever token it belongs to.
#include <cstring>

#include "worker.h"

namespace furet {

namespace {

constexpr int64_t kPiece = 1024;        // columns

// A row that one thread has done before another would have come is one piece.
int64_t pieces_of(const Buffer& b) { return b.width <= 2 * kPiece ? 1 : (b.width + kPiece - 1) / kPiece; }

// The buffer whose rows are the tasks of an instruction; -1 for one with tasks of another kind.
struct RowsOf {
    int operator()(const Embed& i) const { return i.out; }
    int operator()(const EmbedPositions& i) const { return i.out; }
    int operator()(const TakeRows& i) const { return i.out; }
    int operator()(const RmsNorm& i) const { return i.x; }
    int operator()(const LayerNorm& i) const { return i.x; }
    int operator()(const L2Norm& i) const { return i.x; }
    int operator()(const HeadDot& i) const { return i.a; }
    int operator()(const Quantise& i) const { return i.x; }
    int operator()(const Affine& i) const { return i.x; }
    int operator()(const Activate& i) const { return i.x; }
    int operator()(const Gated& i) const { return i.gate; }
    int operator()(const Columns& i) const { return i.out; }
    int operator()(const Add& i) const { return i.a; }
    int operator()(const Subtract& i) const { return i.a; }
    int operator()(const Multiply& i) const { return i.a; }
    int operator()(const Rope& i) const { return i.x; }
    int operator()(const Append& i) const { return i.k; }
    int operator()(const Route& i) const { return i.scores; }
    int operator()(const Dispatch& i) const { return i.out; }
    int operator()(const Combine& i) const { return i.out; }
    template <class Other> int operator()(const Other&) const { return -1; }
};

}  // namespace

bool Worker::is_one_task(const Instruction& instruction) const {
    const int rows = std::visit(RowsOf(), instruction);
    if (rows < 0 || row_count(at(rows)) != 1) return false;
    const bool in_pieces = std::holds_alternative<Activate>(instruction) || std::holds_alternative<Gated>(instruction);
    return !in_pieces || pieces_of(at(rows)) == 1;
}

template <class Task> void Worker::each_piece(const Buffer& b, Counter& next, Task task) {
    const int64_t pieces = pieces_of(b);
    share(next, row_count(b) * pieces, 1, [&](int64_t piece, int64_t) {
        const int64_t begin = piece % pieces * kPiece;
        task(piece / pieces, begin, pieces == 1 ? b.width : std::min(begin + kPiece, b.width));
    });
}

void Worker::operate(const RmsNorm& i, Counter& next) {
    const Buffer& x = at(i.x);
    each_row(x, next, [&](int64_t r) {
        kernels_.rms_norm(floats(x, r), i.weight.data(), (int64_t)i.weight.size(), x.width, i.eps, out(at(i.out), r));
    });
}

void Worker::operate(const LayerNorm& i, Counter& next) {
    const Buffer& x = at(i.x);
    const float* bias = i.bias.empty() ? nullptr : i.bias.data();
    each_row(x, next, [&](int64_t r) {
        kernels_.layer_norm(floats(x, r), i.weight.data(), bias, x.width / i.groups, x.width, i.eps, out(at(i.out), r));
    });
}

void Worker::operate(const L2Norm& i, Counter& next) {
    const Buffer& x = at(i.x);
    each_row(x, next, [&](int64_t r) { kernels_.l2_norm(floats(x, r), x.width / i.heads, x.width, i.eps, floats(at(i.out), r)); });
}

void Worker::operate(const HeadDot& i, Counter& next) {
    const Buffer& a = at(i.a);
    each_row(a, next, [&](int64_t r) {
        kernels_.head_dot(floats(a, r), floats(at(i.b), r), a.width / i.heads, a.width, floats(at(i.out), r));
    });
}

void Worker::operate(const Quantise& i, Counter& next) {
    const Buffer& x = at(i.x);
    each_row(x, next, [&](int64_t r) { kernels_.quantise(floats(x, r), x.width, row(at(i.out), r)); });
}

void Worker::operate(const Affine& i, Counter& next) {
    const Buffer& x = at(i.x);
    const float* weight = i.weight.empty() ? nullptr : i.weight.data();
    const float* bias = i.bias.empty() ? nullptr : i.bias.data();
    each_row(x, next, [&](int64_t r) { kernels_.affine(floats(x, r), weight, bias, x.width, out(at(i.out), r)); });
}

void Worker::operate(const Activate& i, Counter& next) {
    const Buffer& x = at(i.x);
    each_piece(x, next, [&](int64_t r, int64_t begin, int64_t end) {
        kernels_.activate(i.function, i.parameter, floats(x, r), begin, end, out(at(i.out), r));
    });
}

void Worker::operate(const Gated& i, Counter& next) {
    const Buffer& gate = at(i.gate);
    each_piece(gate, next, [&](int64_t r, int64_t begin, int64_t end) {
        kernels_.gated(i.function, floats(gate, r), floats(at(i.up), r), begin, end, out(at(i.out), r));
    });
}

void Worker::operate(const Columns& i, Counter& next) {
    const Buffer& o = at(i.out);
    each_row(o, next, [&](int64_t r) { std::memcpy(floats(o, r), floats(at(i.x), r) + i.first, 4 * (size_t)o.width); });
}

void Worker::operate(const Add& i, Counter& next) {
    each_row(at(i.a), next, [&](int64_t r) { kernels_.add(floats(at(i.a), r), floats(at(i.b), r), at(i.a).width, floats(at(i.out), r)); });
}

void Worker::operate(const Subtract& i, Counter& next) {
    each_row(at(i.a), next, [&](int64_t r) { kernels_.subtract(floats(at(i.a), r), floats(at(i.b), r), at(i.a).width, floats(at(i.out), r)); });
}

void Worker::operate(const Multiply& i, Counter& next) {
    each_row(at(i.a), next, [&](int64_t r) { kernels_.multiply(floats(at(i.a), r), floats(at(i.b), r), at(i.a).width, floats(at(i.out), r)); });
}

}  // namespace furet
