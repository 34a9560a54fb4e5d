// What a program refuses: instructions whose buffers do not fit together, steps that its buffers or caches cannot hold.
// All throw std::invalid_argument, before anything is changed.
#pragma once

#include <initializer_list>
#include <string>

#include "program.h"

namespace furet {

void require(bool holds, const std::string& what);

// Visits an instruction that is about to join a program with these buffers and tables.
class Check {
public:
    Check(const std::vector<Buffer>& buffers, const std::vector<RopeTable>& tables, const std::vector<StoredKeyBias>& key_biases)
        : buffers_(buffers), tables_(tables), key_biases_(key_biases) {}

    void operator()(const Embed&) const;
    void operator()(const EmbedPositions&) const;
    void operator()(const TakeRows&) const;
    void operator()(const Linear&) const;
    void operator()(const RmsNorm&) const;
    void operator()(const LayerNorm&) const;
    void operator()(const L2Norm&) const;
    void operator()(const HeadDot&) const;
    void operator()(const Quantise&) const;
    void operator()(const Affine&) const;
    void operator()(const Activate&) const;
    void operator()(const Gated&) const;
    void operator()(const GatedLinear&) const;
    void operator()(const Columns&) const;
    void operator()(const Add&) const;
    void operator()(const Subtract&) const;
    void operator()(const Multiply&) const;
    void operator()(const Rope&) const;
    void operator()(const Append&) const;
    void operator()(const Attention&) const;
    void operator()(const Route&) const;
    void operator()(const Dispatch&) const;
    void operator()(const ExpertLinear&) const;
    void operator()(const Combine&) const;
    void operator()(const Shift&) const;
    void operator()(const Convolve&) const;
    void operator()(const SelectiveScan&) const;
    void operator()(const Wkv4&) const;
    void operator()(const Wkv7&) const;

private:
    const Buffer& at(int id) const;
    void is_float(int id, const char* who) const;
    void of_tokens(int id, const char* who) const;
    void same_rows(int a, int b, const char* who) const;
    void same_shape(int a, int b, const char* who) const;
    void row_by_row(std::initializer_list<int> inputs, int out, const char* who) const;
    void floats_row_by_row(std::initializer_list<int> inputs, int out, const char* who) const;
    void in_groups(int x, int64_t group, int out, const char* who) const;
    void recurrent(int state, std::initializer_list<int> values, const char* who) const;
    void routed(int x, int route, int64_t each, const char* who) const;
    void multiplies(int x, const Weight& w, const char* who) const;
    void bias_fits(int bias, int64_t heads, int head_dim) const;

    const std::vector<Buffer>& buffers_;
    const std::vector<RopeTable>& tables_;
    const std::vector<StoredKeyBias>& key_biases_;
};

// Counts, rows and runs of a step against the program's limits and the caches' room.
void check_step(const Step& step, int64_t max_tokens, int64_t max_rows, Reader reader);
// Tokens and caches against what one instruction reads.
void check_step(const Step& step, const Instruction& instruction, const std::vector<Buffer>& buffers);

// The states of caches against what a recurrent instruction keeps.
void check_states(const Step& step, const Instruction& instruction, const std::vector<Buffer>& buffers);

}  // namespace furet
