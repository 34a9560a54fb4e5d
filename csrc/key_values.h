// How keys and values lie in a cache: tiles of 32 positions by 32 channels, so that one line of a tile is 32 positions of a
// channel of keys, or 32 channels of a position of values: what the attention kernel works on together.
#pragma once

#include <cstdint>

namespace furet {

// Q8_0 and Q4_0 have a float16 scale for each 32 channels of a position, as in files of these types, but hold turned values
// (kernels/turn.h); both want a multiple of 32 channels.
enum class CacheType { F16, Q8_0, Q4_0 };

constexpr int kTile = 32;
constexpr int64_t kBlock = 64;  // positions that lie together; a span of attention is a multiple

// Bytes of 32 values and, if there is one, their scale.
constexpr int64_t cached_block_bytes(CacheType type) { return type == CacheType::F16 ? 64 : type == CacheType::Q8_0 ? 34 : 18; }

// Keys and values of one layer, in blocks of positions that a table says the places of. In each, head by head: [2] tiles of keys
// [channel, position] for each 32 positions; then [D / 32] tiles of values [position, channel] for each 32 channels; within a tile
//
//   F16     the values; D need not be a multiple of 32: a last tile of keys has fewer lines, and of values lines of 16
//   Q8_0    the scales of 32 positions, then the codes
//   Q4_0    the scales of 32 positions, then 16 lines of codes: the line of channel c of keys also holds that of c + 16 in the
//           high halves of its bytes; that of a position of values has 16 bytes, for channels c and c + 16
struct KeyValues {
    int heads, dim;
    CacheType type;
    int64_t room;               // positions, a multiple of kBlock, that the table has entries for
    uint8_t* const* blocks;     // [room / kBlock]
    int64_t keys, values;       // where they are in a block, in bytes

    int64_t padded() const { return (dim + 15) / 16 * 16; }
    // Of all 32 positions of a tile, in one head; then of all of a block.
    int64_t key_tile_bytes() const { return type == CacheType::F16 ? 64 * (int64_t)dim : dim * cached_block_bytes(type); }
    int64_t key_bytes() const { return kBlock / kTile * key_tile_bytes(); }
    int64_t value_bytes() const { return kBlock * (type == CacheType::F16 ? 2 * padded() : dim / kTile * cached_block_bytes(type)); }
    // Channels of a line of values that begins at `channel`.
    int64_t line(int64_t channel) const { return padded() - channel < kTile ? 16 : kTile; }

    uint8_t* key_tile(int head, int64_t position) const {
        return blocks[position / kBlock] + keys + head * key_bytes() + position % kBlock / kTile * key_tile_bytes();
    }
    // For F16 at the very position, otherwise at its tile.
    uint8_t* value_tile(int head, int64_t channel, int64_t position) const {
        uint8_t* base = blocks[position / kBlock] + values + head * value_bytes();
        const int64_t place = position % kBlock;
        if (type == CacheType::F16) return base + 2 * (kBlock * channel + place * line(channel));
        return base + (channel / kTile * kBlock + place / kTile * kTile) * cached_block_bytes(type);
    }

    // Write the key and value of one position, encoded as `Kernels::encode` does.
    void put(int head, int64_t position, const uint8_t* key, const uint8_t* value) const;
};

constexpr int64_t encoded_bytes(CacheType type, int dim) { return type == CacheType::F16 ? 2 * dim : dim / kTile * cached_block_bytes(type); }

}  // namespace furet
