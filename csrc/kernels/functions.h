// Functions of single values, 16 at a time, to a few ulp.
#pragma once

#include <cstdint>
#include <type_traits>

#include "../kernels.h"

namespace furet::FURET_ISA {

FURET_INLINE F32 negative(F32 x) { return sub(zero(), x); }
FURET_INLINE F32 magnitude(F32 x) { return as_float(bit_and(as_int(x), splat_int(0x7fffffff))); }
FURET_INLINE F32 with_sign_of(F32 sign, F32 x) { return as_float(bit_or(as_int(x), bit_and(as_int(sign), splat_int((int32_t)0x80000000)))); }

// c[0] x^(n-1) + ... + c[n-1]
template <int n> FURET_INLINE F32 polynomial(F32 x, const float (&c)[n]) {
    F32 p = splat(c[0]);
    for (int i = 1; i < n; ++i) p = fma(p, x, splat(c[i]));
    return p;
}

// e^x to 2 ulp; 0 below -87, so that e^-inf = 0 and masked scores vanish exactly; e^0 = 1 exactly; NaN stays NaN, for which
// the order of the arguments of min and max matters.
// 2^n * p(r) with n = round(x / ln 2), r = x - n ln 2 in two parts, p of degree 6 (Taylor).
FURET_INLINE F32 exponential(F32 x) {
    const F32 low = splat(-87.0f);
    const F32 bounded = min(splat(88.0f), max(low, x));
    const I32 n = to_int_nearest(mul(bounded, splat(1.44269504f)));
    const F32 whole = to_float(n);
    F32 r = fma(whole, splat(-0.693359375f), bounded);
    r = fma(whole, splat(2.12194440e-4f), r);
    F32 p = splat(1.0f / 720);
    p = fma(p, r, splat(1.0f / 120));
    p = fma(p, r, splat(1.0f / 24));
    p = fma(p, r, splat(1.0f / 6));
    p = fma(p, r, splat(0.5f));
    p = fma(p, r, splat(1.0f));
    p = fma(p, r, splat(1.0f));
    const F32 power = as_float(shift_left<23>(add(n, splat_int(127))));
    return where_less(x, low, zero(), mul(p, power));
}

FURET_INLINE F32 sigmoid(F32 x) { return div(splat(1.0f), add(splat(1.0f), exponential(negative(x)))); }

FURET_INLINE F32 silu(F32 x) { return div(x, add(splat(1.0f), exponential(negative(x)))); }

// 1 - 2 / (e^2|x| + 1); near 0, where this cancels, x + x^3 p(x^2) with p fitted to 5e-9 of the result.
FURET_INLINE F32 tangent(F32 x) {
    constexpr float p[] = {-0.0057049869f, 0.020639086f, -0.053739715f, 0.13331442f, -0.33333281f};
    const F32 size = magnitude(x), square = mul(x, x);
    const F32 near = fma(mul(x, square), polynomial(square, p), x);
    const F32 far = sub(splat(1.0f), div(splat(2.0f), add(exponential(add(size, size)), splat(1.0f))));
    return where_less(size, splat(0.625f), near, with_sign_of(x, far));
}

// x times the share of a normal distribution below x. The share beyond t = |x| is e^(-t^2/2) p(1 / (1 + 0.4 t)) with p fitted
// to 7e-8 of it for t up to 13.3, after which the power vanishes.
FURET_INLINE F32 gelu(F32 x) {
    constexpr float p[] = {-0.040075097f, 0.20264748f, -0.37739605f, 0.25465882f, -0.014566528f, 0.15920149f, 0.15561929f, 0.15992346f, -1.29052969e-5f};
    const F32 size = magnitude(x);
    const F32 power = exponential(mul(mul(size, size), splat(-0.5f)));
    const F32 beyond = mul(power, polynomial(div(splat(1.0f), fma(size, splat(0.4f), splat(1.0f))), p));
    return mul(x, where_less(x, zero(), beyond, sub(splat(1.0f), beyond)));
}

// (1 + tanh u) / 2 = 1 / (1 + e^-2u)
FURET_INLINE F32 gelu_tanh(F32 x) {
    const F32 u = mul(splat(0.79788456f), fma(mul(x, mul(x, x)), splat(0.044715f), x));
    return div(x, add(splat(1.0f), exponential(mul(u, splat(-2.0f)))));
}

// ln(1 + y) for y in [0, 1]: 2 (s + s^3/3 + s^5/5 + ...) with s = y / (2 + y), at most 1/3.
FURET_INLINE F32 log_one_plus(F32 y) {
    constexpr float p[] = {2.0f / 15, 2.0f / 13, 2.0f / 11, 2.0f / 9, 2.0f / 7, 2.0f / 5, 2.0f / 3, 2.0f};
    const F32 s = div(y, add(splat(2.0f), y));
    return mul(s, polynomial(mul(s, s), p));
}

FURET_INLINE F32 softplus(F32 x) { return add(max(zero(), x), log_one_plus(exponential(negative(magnitude(x))))); }

// e^x as a square, so that it may leave the range of `exponential` on either side.
FURET_INLINE F32 wide_exponential(F32 x) {
    const F32 root = exponential(mul(x, splat(0.5f)));
    return mul(root, root);
}

// The second argument of max and min is the one that a NaN comes through.
template <Function f> FURET_INLINE F32 apply(F32 x, F32 parameter) {
    if constexpr (f == Function::Silu) return silu(x);
    else if constexpr (f == Function::Gelu) return gelu(x);
    else if constexpr (f == Function::GeluTanh) return gelu_tanh(x);
    else if constexpr (f == Function::Relu) return max(zero(), x);
    else if constexpr (f == Function::Sigmoid) return sigmoid(x);
    else if constexpr (f == Function::Tanh) return tangent(x);
    else if constexpr (f == Function::Exp) return wide_exponential(x);
    else if constexpr (f == Function::Softplus) return softplus(x);
    else if constexpr (f == Function::Scale) return mul(x, parameter);
    else if constexpr (f == Function::SoftCap) return mul(parameter, tangent(div(x, parameter)));
    else return min(parameter, max(negative(parameter), x));
}

// use(std::integral_constant<Function, f>()), so that a loop is compiled for every function.
template <class Use> FURET_INLINE void choose(Function f, Use use) {
    switch (f) {
        case Function::Silu: return use(std::integral_constant<Function, Function::Silu>());
        case Function::Gelu: return use(std::integral_constant<Function, Function::Gelu>());
        case Function::GeluTanh: return use(std::integral_constant<Function, Function::GeluTanh>());
        case Function::Relu: return use(std::integral_constant<Function, Function::Relu>());
        case Function::Sigmoid: return use(std::integral_constant<Function, Function::Sigmoid>());
        case Function::Tanh: return use(std::integral_constant<Function, Function::Tanh>());
        case Function::Exp: return use(std::integral_constant<Function, Function::Exp>());
        case Function::Softplus: return use(std::integral_constant<Function, Function::Softplus>());
        case Function::Scale: return use(std::integral_constant<Function, Function::Scale>());
        case Function::SoftCap: return use(std::integral_constant<Function, Function::SoftCap>());
        case Function::Clamp: return use(std::integral_constant<Function, Function::Clamp>());
    }
}

}  // namespace furet::FURET_ISA
