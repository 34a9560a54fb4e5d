// What turns a row into a row, whichever token it belongs to.
#include <cstring>

#include "worker.h"

namespace furet {

template <class Task> void Worker::each_piece(const Buffer& b, Counter& next, Task task) {
    constexpr int64_t kColumns = 1024;
    const int64_t pieces = (b.width + kColumns - 1) / kColumns;
    share(next, row_count(b) * pieces, 1, [&](int64_t piece, int64_t) {
        const int64_t begin = piece % pieces * kColumns;
        task(piece / pieces, begin, std::min(begin + kColumns, b.width));
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
        kernels_.activate(i.function, i.parameter, floats(x, r), begin, end, x.width, out(at(i.out), r));
    });
}

void Worker::operate(const Gated& i, Counter& next) {
    const Buffer& gate = at(i.gate);
    each_piece(gate, next, [&](int64_t r, int64_t begin, int64_t end) {
        kernels_.gated(i.function, floats(gate, r), floats(at(i.up), r), begin, end, gate.width, out(at(i.out), r));
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
