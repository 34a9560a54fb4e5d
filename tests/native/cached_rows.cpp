// The rows that a cache holds: decoding them for the tests of attention, and the tests of encoding.
#include "cached_rows.h"

#include "half.h"
#include "kernels.h"

namespace test {

using namespace furet;

const char* name_of(CacheType type) { return type == CacheType::F16 ? "f16" : type == CacheType::Q8_0 ? "q8_0" : "q4_0"; }

bool is_turned(CacheType type) { return type != CacheType::F16; }

void turn_back(CacheType type, int dim, float* x) {
    if (!is_turned(type)) return;
    for (int block = 0; block < dim; block += 32) {
        double sum[32] = {};
        for (unsigned i = 0; i < 32; ++i)
            for (unsigned j = 0; j < 32; ++j) sum[i] += (__builtin_parity(i & j) ? -1.0 : 1.0) * x[block + (int)j];
        for (int i = 0; i < 32; ++i) x[block + i] = (float)(sum[i] / std::sqrt(32.0));
    }
}

void decode(CacheType type, int dim, const uint8_t* row, float* out) {
    for (int d = 0; d < dim; ++d) {
        const uint8_t* block = row + d / 32 * cached_block_bytes(type);
        const int c = d % 32;
        if (type == CacheType::F16) out[d] = half_to_float(load_u16(row + 2 * d));
        else if (type == CacheType::Q8_0) out[d] = load_half(block) * (float)(int8_t)block[2 + c];
        else out[d] = load_half(block) * (float)((block[2 + c % 16] >> (c < 16 ? 0 : 4) & 15) - 8);
    }
}

namespace {

// Every code of a block is the nearest to its turned value that the block's scale allows, and all instruction sets agree.
void test_encoding(const Tables& tables, CacheType type, Random& random) {
    for (double size : {0.0, 1e-30, 1e-3, 1.0, 1e3, 1e5})
        for (int trial = 0; trial < 20; ++trial) {
            const auto x = random_floats(64, random, -size, size);
            const std::vector<float> given(x.get(), x.get() + 64);
            uint8_t wanted[128];
            float y[64];
            kPortable.encode(type, x.get(), 64, wanted);
            decode(type, 64, wanted, y);
            turn_back(type, 64, x.get());
            tally.where = std::string("encoding ") + name_of(type);
            for (int i = 0; i < 64; ++i) {
                double top = 0;
                for (int j = 0; j < 32; ++j) top = std::max(top, std::fabs((double)x[(size_t)(i / 32 * 32 + j)]));
                // Half a step, and of Q4_0 a whole one on the side that has no code 8; a scale below float16's is none at all.
                const double step = type == CacheType::Q8_0 ? top / 127 : top / 8;
                CHECK_NEAR(y[i], x[(size_t)i], std::max(step * (type == CacheType::Q8_0 ? 0.5 : 1) * 1.01 + top * 0x1p-11, 128 * 0x1p-24));
            }
            for (const Kernels* table : tables) {
                uint8_t got[128];
                table->encode(type, given.data(), 64, got);
                CHECK(same_bits(got, wanted, encoded_bytes(type, 64)));
            }
        }
}

}  // namespace

void test_cached_rows(const Tables& tables) {
    Random random(43);
    for (CacheType type : {CacheType::Q8_0, CacheType::Q4_0}) test_encoding(tables, type, random);
}

}  // namespace test
