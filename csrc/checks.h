// What a program refuses: instructions whose buffers do not fit together, steps that its buffers or caches cannot hold.
// All throw std::invalid_argument, before anything is changed.
#pragma once

#include <string>

#include "program.h"

namespace furet {

void require(bool holds, const std::string& what);

// Visits an instruction that is about to join a program with these buffers and tables.
class Check {
public:
    Check(const std::vector<Buffer>& buffers, const std::vector<RopeTable>& tables) : buffers_(buffers), tables_(tables) {}

    void operator()(const Embed&) const;
    void operator()(const TakeRows&) const;
    void operator()(const RmsNorm&) const;
    void operator()(const Quantise&) const;
    void operator()(const Linear&) const;
    void operator()(const Rope&) const;
    void operator()(const Append&) const;
    void operator()(const Attention&) const;
    void operator()(const Swiglu&) const;
    void operator()(const Silu&) const;
    void operator()(const Add&) const;
    void operator()(const Multiply&) const;

private:
    const Buffer& at(int id) const;
    void is_float(int id, const char* who) const;
    void of_tokens(int id, const char* who) const;
    void same_rows(int a, int b, const char* who) const;
    void same_shape(int a, int b, const char* who) const;
    void all_float_of_one_shape(int a, int b, int c, const char* who) const;

    const std::vector<Buffer>& buffers_;
    const std::vector<RopeTable>& tables_;
};

// Counts, rows and runs of a step against the program's limits and the caches' room.
void check_step(const Step& step, int64_t max_tokens, int64_t max_rows);
// Tokens and caches against what one instruction reads.
void check_step(const Step& step, const Instruction& instruction, const std::vector<Buffer>& buffers);

}  // namespace furet
