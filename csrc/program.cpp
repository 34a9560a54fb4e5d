#include "program.h"

#include <sys/mman.h>

#include <cmath>
#include <new>
#include <stdexcept>

#include "activations.h"
#include "worker.h"

namespace furet {

int64_t buffer_row_bytes(Kind kind, int64_t width) {
    if (kind == Kind::Out) return 0;
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

void Program::require(bool holds, const std::string& what) const {
    if (!holds) throw std::invalid_argument(what);
}

const Buffer& Program::at(int id) const {
    require(id >= 0 && (size_t)id < buffers_.size(), "there is no buffer " + std::to_string(id));
    return buffers_[(size_t)id];
}

int Program::buffer(int64_t width, Kind kind, Rows rows, int64_t offset) {
    require(width >= 1 && width <= (int64_t)1 << 31, "a buffer's width must be positive");
    require(kind != Kind::Q8 || width % kActivationBlock == 0, "a q8 buffer's width must be a multiple of 32");
    const int64_t bytes = buffer_row_bytes(kind, width);
    require(offset >= 0 && offset % 64 == 0, "a buffer's offset must be a multiple of 64");
    require(offset <= (int64_t)arena_bytes_, "buffer begins at byte " + std::to_string(offset) + " of an arena of " + std::to_string(arena_bytes_));
    const int64_t end = offset + bytes * (rows == Rows::Tokens ? max_tokens_ : max_rows_);
    require(kind == Kind::Out || end <= (int64_t)arena_bytes_, "buffer ends at byte " + std::to_string(end) + " of an arena of " + std::to_string(arena_bytes_));
    require(kind != Kind::Out || rows == Rows::Rows, "the out buffer has rows of logits");
    // It stands for the one array that a step is given, whose width is known.
    for (const Buffer& other : buffers_) require(kind != Kind::Out || other.kind != Kind::Out, "a program has one out buffer");
    buffers_.push_back({width, kind, rows, offset, bytes});
    return (int)buffers_.size() - 1;
}

int Program::rope_table(std::vector<double> inverse_frequencies, double magnitude) {
    require(!inverse_frequencies.empty() && inverse_frequencies.size() <= kHeadLimit / 2, "a rope table has 1 to 256 frequencies");
    const size_t size = inverse_frequencies.size() * (size_t)max_tokens_;
    tables_.push_back({std::move(inverse_frequencies), magnitude, Floats(size), Floats(size)});
    return (int)tables_.size() - 1;
}

void Program::add(Instruction instruction) {
    check(instruction);
    instructions_.push_back(std::move(instruction));
    next_.reset(new std::atomic<int64_t>[instructions_.size()]);
}

namespace {

bool writes_float(const Buffer& b) { return b.kind != Kind::Q8; }

}  // namespace

void Program::check(const Instruction& instruction) const {
    auto same_shape = [&](int a, int b, const char* who) {
        require(at(a).width == at(b).width && at(a).rows == at(b).rows, std::string(who) + ": widths or rows differ");
    };
    auto is_float = [&](int id, const char* who) { require(at(id).kind == Kind::F32, std::string(who) + ": input must be f32"); };
    auto of_tokens = [&](int id, const char* who) { require(at(id).rows == Rows::Tokens, std::string(who) + ": wants a row for each token"); };
    if (auto* i = std::get_if<Embed>(&instruction)) {
        require(at(i->out).kind == Kind::F32 && at(i->out).width == i->weight.columns && at(i->out).rows == Rows::Tokens, "embed: out must be f32 [tokens, columns]");
    } else if (auto* i = std::get_if<TakeRows>(&instruction)) {
        is_float(i->x, "take_rows");
        require(at(i->out).kind == Kind::F32 && at(i->out).width == at(i->x).width, "take_rows: out must be f32 of the same width");
        require(at(i->x).rows == Rows::Tokens && at(i->out).rows == Rows::Rows, "take_rows: from tokens to rows");
    } else if (auto* i = std::get_if<RmsNorm>(&instruction)) {
        is_float(i->x, "rms_norm");
        same_shape(i->x, i->out, "rms_norm");
        const int64_t group = (int64_t)i->weight.size();
        require(group > 0 && at(i->x).width % group == 0, "rms_norm: width is no multiple of the weight's length");
        require(writes_float(at(i->out)) || group % kActivationBlock == 0, "rms_norm: q8 output wants groups of a multiple of 32");
    } else if (auto* i = std::get_if<Quantise>(&instruction)) {
        is_float(i->x, "quantise");
        same_shape(i->x, i->out, "quantise");
        require(at(i->out).kind == Kind::Q8, "quantise: out must be q8");
    } else if (auto* i = std::get_if<Linear>(&instruction)) {
        require(!i->weights.empty() && i->weights.size() == i->outs.size() && i->weights.size() == i->biases.size(), "linear: as many weights as biases and outs");
        for (size_t j = 0; j < i->weights.size(); ++j) {
            const Weight& w = i->weights[j];
            const Kind wanted = w.info->form == Form::Float ? Kind::F32 : Kind::Q8;
            require(at(i->x).kind == wanted, "linear: a quantised weight wants q8 input, a float weight f32");
            require(at(i->x).width == w.columns, "linear: input width " + std::to_string(at(i->x).width) + " is not the weight's " + std::to_string(w.columns) + " columns");
            require(writes_float(at(i->outs[j])) && at(i->outs[j]).width == w.rows, "linear: out must be f32 and as wide as the weight has rows");
            require(at(i->outs[j]).rows == at(i->x).rows, "linear: input and out rows differ");
            require(i->biases[j].empty() || (int64_t)i->biases[j].size() == w.rows, "linear: bias length is not the weight's rows");
        }
        if (i->residual >= 0) {
            require(i->weights.size() == 1, "linear: a residual goes with one weight");
            is_float(i->residual, "linear residual");
            same_shape(i->residual, i->outs[0], "linear residual");
        }
    } else if (auto* i = std::get_if<Rope>(&instruction)) {
        is_float(i->x, "rope");
        of_tokens(i->x, "rope");
        require(i->table >= 0 && (size_t)i->table < tables_.size(), "rope: there is no such table");
        require(i->head_dim > 0 && at(i->x).width % i->head_dim == 0, "rope: width is no multiple of head_dim");
        require(2 * tables_[(size_t)i->table].inverse_frequencies.size() <= (size_t)i->head_dim, "rope: more angles than the head has pairs");
    } else if (auto* i = std::get_if<Append>(&instruction)) {
        is_float(i->k, "attention");
        is_float(i->v, "attention");
        of_tokens(i->k, "attention");
        same_shape(i->k, i->v, "attention");
    } else if (auto* i = std::get_if<Attention>(&instruction)) {
        is_float(i->q, "attention");
        of_tokens(i->q, "attention");
        require(i->head_dim > 0 && i->head_dim <= kHeadLimit, "attention: head_dim must be 1 to " + std::to_string(kHeadLimit));
        require(i->kv_heads > 0 && i->heads % i->kv_heads == 0, "attention: heads must be a multiple of kv heads");
        require(at(i->q).width == (int64_t)i->heads * i->head_dim, "attention: width is not heads times head_dim");
        require(i->window >= 0, "attention: window must not be negative");
        same_shape(i->q, i->out, "attention");
        require(writes_float(at(i->out)) || i->head_dim % kActivationBlock == 0, "attention: q8 output wants a head_dim that is a multiple of 32");
    } else if (auto* i = std::get_if<Swiglu>(&instruction)) {
        is_float(i->gate, "swiglu");
        is_float(i->up, "swiglu");
        same_shape(i->gate, i->up, "swiglu");
        same_shape(i->gate, i->out, "swiglu");
    } else if (auto* i = std::get_if<Silu>(&instruction)) {
        is_float(i->x, "silu");
        same_shape(i->x, i->out, "silu");
        require(at(i->out).kind == Kind::F32, "silu: out must be f32");
    } else if (auto* i = std::get_if<Add>(&instruction)) {
        same_shape(i->a, i->b, "add");
        same_shape(i->a, i->out, "add");
        require(at(i->a).kind == Kind::F32 && at(i->b).kind == Kind::F32 && at(i->out).kind == Kind::F32, "add: all must be f32");
    } else if (auto* i = std::get_if<Multiply>(&instruction)) {
        same_shape(i->a, i->b, "multiply");
        same_shape(i->a, i->out, "multiply");
        require(at(i->a).kind == Kind::F32 && at(i->b).kind == Kind::F32 && at(i->out).kind == Kind::F32, "multiply: all must be f32");
    }
}

void Program::check(const Step& step) const {
    require(step.count >= 1 && step.count <= max_tokens_, "a step takes 1 to " + std::to_string(max_tokens_) + " tokens, not " + std::to_string(step.count));
    require(step.row_count >= 0 && step.row_count <= max_rows_, "at most " + std::to_string(max_rows_) + " rows of logits a step");
    int64_t total = 0;
    for (size_t r = 0; r < step.runs.size(); ++r) {
        const KVCache& cache = *step.runs[r].cache;
        require(step.runs[r].count >= 1, "a run has at least one token");
        require(step.runs[r].count <= step.count, "a run has more tokens than the step");
        require(cache.length + step.runs[r].count <= cache.capacity, "the cache holds " + std::to_string(cache.capacity) + " tokens, " + std::to_string(cache.length + step.runs[r].count) + " are needed");
        for (size_t other = 0; other < r; ++other) require(step.runs[other].cache != &cache, "a sequence appears twice in one step");
        total += step.runs[r].count;
    }
    require(total == step.count, "the runs cover " + std::to_string(total) + " of " + std::to_string(step.count) + " tokens");
    for (int64_t r = 0; r < step.row_count; ++r) require(step.rows[r] >= 0 && step.rows[r] < step.count, "a row of logits is not a token of the step");
    for (const Instruction& instruction : instructions_) {
        if (auto* embed = std::get_if<Embed>(&instruction)) {
            for (int64_t t = 0; t < step.count; ++t)
                require(step.tokens[t] >= 0 && step.tokens[t] < embed->weight.rows, "token id " + std::to_string(step.tokens[t]) + " is not in a vocabulary of " + std::to_string(embed->weight.rows));
        } else if (auto* append = std::get_if<Append>(&instruction)) {
            for (const Run& run : step.runs)
                require(append->layer >= 0 && append->layer < run.cache->layers && append->head_dim == run.cache->head_dim && at(append->k).width == (int64_t)run.cache->kv_heads * run.cache->head_dim, "the cache was made for another model");
        }
    }
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

void Program::step(Pool& pool, Step step) {
    check(step);
    fill_tables(step);
    for (size_t i = 0; i < instructions_.size(); ++i) next_[i].store(0, std::memory_order_relaxed);
    const Kernels& table = kernels();
    pool.run([&](int thread) { Worker(*this, step, pool, table, thread).run(); });
    for (const Run& run : step.runs) run.cache->length += run.count;
}

}  // namespace furet
