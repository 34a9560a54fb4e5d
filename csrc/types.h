// Tensor types: ids as in the GGUF container, values per block, bytes per block.
#pragma once

#include <cstdint>

namespace furet {

enum class Type : int {
    F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8,
    Q2_K = 10, Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, Q8_K = 15,
    IQ4_NL = 20, IQ4_XS = 23, BF16 = 30, TQ1_0 = 34, TQ2_0 = 35, MXFP4 = 39,
};

// How the integer kernels see a type. Every quantised value is  scale * code (+ min), with one scale per group of
// 16 or 32 values. Float: the codes are the values. Signed: codes in [-128, 127], no min. Minned: codes in [0, 31] and a min.
enum class Form : int { Float, Signed, Minned };

struct TypeInfo {
    Type type;
    int block;        // values per block
    int bytes;        // bytes per block
    Form form;
    int group;        // values that share a scale
};

// nullptr for an id that this core cannot read.
const TypeInfo* type_info(int id);

constexpr int kTypeIds[] = {0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 15, 20, 23, 30, 34, 35, 39};

}  // namespace furet
