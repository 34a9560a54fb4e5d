// Where an unpacker reads 16 rows of stored blocks from. All three offer the same four reads, in the units of one block at
// byte `at` of its row:
//
//   rows      16 bytes of each row; out[g] lane r holds bytes 4g .. 4g+3 of row r
//   halves    a float16 of each row
//   words     a uint32 of each row
//   bytes     a byte of each row
//
// FileRows reads the file's own layout, row by row. PackedRows reads what Packer wrote: the results of those same reads, in
// the order in which the unpacker makes them, one after the other. So a packed weight has exactly the bytes of the stored
// one, in another order, and is read as one stream; and a new type needs an unpacker and nothing else.
#pragma once

#include "../half.h"
#include "../kernels.h"

namespace furet::FURET_ISA {

struct FileRows {
    const uint8_t* row[16];
    // The rows lie a row's length apart, an order that the hardware does not see through: every 256 bytes read here fetch a
    // little more than 256 of what follows in memory.
    const uint8_t* ahead;

    FURET_INLINE_MEMBER void rows(int64_t at, Bytes out[4]) {
        for (int line = 0; line < 5; ++line) prefetch(ahead + 64 * line);
        ahead += 5 * 64;
        load_transposed(row, at, out);
    }
    FURET_INLINE_MEMBER F32 halves(int64_t at) {
        alignas(64) uint16_t h[16];
        for (int r = 0; r < 16; ++r) std::memcpy(&h[r], row[r] + at, 2);
        return load_half(h);
    }
    FURET_INLINE_MEMBER I32 words(int64_t at) {
        alignas(64) int32_t w[16];
        for (int r = 0; r < 16; ++r) std::memcpy(&w[r], row[r] + at, 4);
        return load_int(w);
    }
    FURET_INLINE_MEMBER I32 bytes(int64_t at) {
        uint8_t b[16];
        for (int r = 0; r < 16; ++r) b[r] = row[r][at];
        return load_uint8(b);
    }
};

// 16 rows from `row` on; rows past the end repeat the last one, and their results are not stored.
static FileRows file_rows(const LinearArgs& a, int64_t row) {
    FileRows out;
    for (int r = 0; r < 16; ++r) out.row[r] = a.weight + (row + r < a.rows ? row + r : a.rows - 1) * a.row_bytes;
    out.ahead = a.weight;
    return out;
}

struct PackedRows {
    const uint8_t* next;
    // The hardware's own prefetching stops where a page ends, and fetches for the second cache: fetch further ahead, for the
    // first.
    int64_t ahead;

    FURET_INLINE_MEMBER void rows(int64_t, Bytes out[4]) {
        for (int g = 0; g < 4; ++g) prefetch_near(next + ahead + 64 * g);
        for (int g = 0; g < 4; ++g) out[g] = load_bytes(next + 64 * g);
        next += 256;
    }
    FURET_INLINE_MEMBER F32 halves(int64_t) {
        const F32 out = load_half((const uint16_t*)next);
        next += 32;
        return out;
    }
    FURET_INLINE_MEMBER I32 words(int64_t) {
        const I32 out = load_int((const int32_t*)next);
        next += 64;
        return out;
    }
    FURET_INLINE_MEMBER I32 bytes(int64_t) {
        const I32 out = load_uint8(next);
        next += 16;
        return out;
    }
};

struct Packer {
    FileRows from;
    uint8_t* to;

    void rows(int64_t at, Bytes out[4]) {
        from.rows(at, out);
        for (int g = 0; g < 4; ++g) store_bytes(to + 64 * g, out[g]);
        to += 256;
    }
    F32 halves(int64_t at) {
        for (int r = 0; r < 16; ++r) std::memcpy(to + 2 * r, from.row[r] + at, 2);
        to += 32;
        return zero();
    }
    I32 words(int64_t at) {
        const I32 out = from.words(at);
        store_int((int32_t*)to, out);
        to += 64;
        return out;
    }
    I32 bytes(int64_t at) {
        for (int r = 0; r < 16; ++r) to[r] = from.row[r][at];
        to += 16;
        return splat_int(0);
    }
};

}  // namespace furet::FURET_ISA
