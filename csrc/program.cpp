#include "program.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#include "activations.h"
#include "checks.h"
#include "cut_short.h"
#include "worker.h"

namespace furet {

constexpr int64_t kMostEach = 1024;     // far more experts than any model gives a token to

int64_t buffer_row_bytes(Kind kind, int64_t width) {
    if (kind == Kind::Out) return 0;
    if (kind == Kind::Route) return (width * 8 + 63) / 64 * 64;
    return kind == Kind::Q8 ? q8_row_bytes(width) : (width * 4 + 63) / 64 * 64;
}

Program::Program(int64_t max_tokens, int64_t max_rows, int64_t arena_bytes)
    : max_tokens_(max_tokens), max_rows_(max_rows), arena_bytes_((size_t)(arena_bytes > 0 ? arena_bytes : 64)) {
    require(max_tokens >= 1 && max_tokens <= kMaxTokens, "max_tokens must be 1 to " + std::to_string(kMaxTokens));
    require(max_rows >= 1 && max_rows <= max_tokens, "max_rows must be 1 to max_tokens");
    void* memory = mmap(nullptr, arena_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    arena_ = (uint8_t*)memory;
}

Program::~Program() { munmap(arena_, arena_bytes_); }

int64_t Program::width(int buffer) const {
    require(buffer >= 0 && (size_t)buffer < buffers_.size(), "there is no buffer " + std::to_string(buffer));
    return buffers_[(size_t)buffer].width;
}

void Program::read(int buffer, int64_t rows, float* out) const {
    const int64_t floats = width(buffer);
    const Buffer& b = buffers_[(size_t)buffer];
    require(b.kind == Kind::F32 && b.rows == Rows::Rows && b.each == 1, "read: wanted a buffer of floats for rows of logits");
    require(rows >= 0 && rows <= max_rows_, "read: at most " + std::to_string(max_rows_) + " rows");
    for (int64_t r = 0; r < rows; ++r) std::memcpy(out + r * floats, arena_ + b.offset + r * b.row_bytes, (size_t)floats * 4);
}

int Program::buffer(int64_t width, Kind kind, Rows rows, int64_t offset, int64_t each) {
    require(width >= 1 && width <= (int64_t)1 << 31, "a buffer's width must be positive");
    require(kind != Kind::Q8 || width % kActivationBlock == 0, "a q8 buffer's width must be a multiple of 32");
    require(each >= 1 && each <= kMostEach, "a buffer has 1 to " + std::to_string(kMostEach) + " rows for each token");
    const int64_t bytes = buffer_row_bytes(kind, width);
    require(offset >= 0 && offset % 64 == 0, "a buffer's offset must be a multiple of 64");
    require(offset <= (int64_t)arena_bytes_, "buffer begins at byte " + std::to_string(offset) + " of an arena of " + std::to_string(arena_bytes_));
    const int64_t end = offset + bytes * each * (rows == Rows::Tokens ? max_tokens_ : max_rows_);
    require(kind == Kind::Out || end <= (int64_t)arena_bytes_, "buffer ends at byte " + std::to_string(end) + " of an arena of " + std::to_string(arena_bytes_));
    require(kind != Kind::Out || (rows == Rows::Rows && each == 1), "the out buffer has rows of logits");
    // It stands for the one array that a step is given, whose width is known.
    for (const Buffer& other : buffers_) require(kind != Kind::Out || other.kind != Kind::Out, "a program has one out buffer");
    buffers_.push_back({width, kind, rows, offset, bytes, each});
    return (int)buffers_.size() - 1;
}

int Program::rope_table(std::vector<double> inverse_frequencies, double magnitude) {
    require(!inverse_frequencies.empty() && inverse_frequencies.size() <= kHeadLimit / 2, "a rope table has 1 to 256 frequencies");
    const size_t size = inverse_frequencies.size() * (size_t)max_tokens_;
    tables_.push_back({std::move(inverse_frequencies), magnitude, Floats(size), Floats(size), {}, {}, {}, {}});
    return (int)tables_.size() - 1;
}

void Program::check(const Instruction& instruction) const { std::visit(Check(buffers_, tables_, key_biases_), instruction); }

void Program::add(Instruction instruction) {
    check(instruction);
    if (auto* append = std::get_if<Append>(&instruction)) reader_ = reader_with(*append);
    if (auto* route = std::get_if<Route>(&instruction)) buffers_[(size_t)route->out].experts = width(route->scores);
    if (auto* taken = std::get_if<TakeRows>(&instruction)) buffers_[(size_t)taken->out].experts = buffers_[(size_t)taken->x].experts;
    instructions_.push_back(std::move(instruction));
    tasks_.emplace_back();
}

Reader Program::reader_with(const Append& append) const {
    bool past = false, memory = false;
    for (const Instruction& instruction : instructions_)
        if (auto* earlier = std::get_if<Append>(&instruction)) (earlier->keys == Keys::Past ? past : memory) = true;
    if (append.keys == Keys::Past) {
        require(!memory, "attention: a program reads as an encoder or goes on as a decoder");
        return Reader::Decoder;
    }
    require(!past, "attend_all: a program reads as an encoder or goes on as a decoder");
    return append.keys == Keys::Memory ? Reader::Remembering : std::max(reader_, Reader::Encoder);
}

void Program::fill_tables(const Step& step) {
    int64_t token = 0;
    for (const Run& run : step.runs)
        for (int64_t i = 0; i < run.count; ++i, ++token)
            for (RopeTable& table : tables_) {
                const size_t half = table.inverse_frequencies.size();
                for (size_t d = 0; d < half; ++d) {
                    const double angle = (double)(run.cache->length + i) * table.inverse_frequencies[d];
                    table.cos[(size_t)token * half + d] = (float)(std::cos(angle) * table.magnitude);
                    table.sin[(size_t)token * half + d] = (float)(std::sin(angle) * table.magnitude);
                }
            }
}

void Program::make_room(const Step& step) {
    int64_t floats = 0, done = 0;
    for (const Instruction& instruction : instructions_) {
        auto* i = std::get_if<Attention>(&instruction);
        if (!i) continue;
        int64_t floats_here = 0, done_here = 0;
        for (const Run& run : step.runs) {
            if (run.count * (i->heads / i->kv_heads) > kSplitRows) continue;
            floats_here += parts_of(run.count * i->heads, i->head_dim, i->keys == Keys::Memory ? run.cache->memory_length : run.cache->length + run.count);
            done_here += i->kv_heads;
        }
        floats = std::max(floats, floats_here);
        done = std::max(done, done_here);
    }
    if (floats > parts_.float_count) {
        parts_.floats.reset(new float[(size_t)floats]);
        parts_.float_count = floats;
    }
    if (done > parts_.done_count) {
        parts_.done.reset(new std::atomic<int64_t>[(size_t)done]{});
        parts_.done_count = done;
    }
}

void Program::step(Pool& pool, Step step) {
    const std::lock_guard<std::mutex> alone(stepping_);
    check_step(step, max_tokens_, max_rows_, reader_);
    for (const Instruction& instruction : instructions_) {
        check_step(step, instruction, buffers_);
        check_states(step, instruction, buffers_);
    }
    if (pool.threads() > 1) make_room(step);
    fill_tables(step);
    fill_tiles(step);
    for (Tasks& tasks : tasks_) tasks.reset();
    const Kernels& table = kernels();
    std::atomic<bool> cut_short{false};
    pool.assist([&](int thread) {
        const FileReading reading(cut_short);
        Worker(*this, step, pool, table, thread).run();
    });
    require_whole(cut_short);
    for (const Run& run : step.runs) {
        if (reader_ == Reader::Decoder) run.cache->length += run.count;
        if (reader_ == Reader::Remembering) run.cache->memory_length = run.count;
    }
}

}  // namespace furet
