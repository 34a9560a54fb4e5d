// Marks around the matrix kernel, for neon_instructions.sh: packed weights of every type, one token and 128, every instruction
// set. A line of the standard output names what is between two marks.
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu.h"
#include "linear_cases.h"

namespace {

constexpr long kMark = 5555;
constexpr int64_t kRows = 16, kColumns = 2048;

void measure(const furet::Kernels& table, const test::LinearCase& c, int64_t tokens) {
    const auto rows = test::packed(table, c);
    if (!rows) return;
    std::vector<float> y((size_t)(tokens * kRows));
    furet::LinearArgs args = c.args(tokens, y.data());
    args.packed = rows.get();
    furet::Scratch& scratch = test::dirty_scratch();
    std::printf("%s %s %lld\n", table.name, test::name_of(c.info).c_str(), (long long)tokens);
    syscall(kMark);
    table.linear(args, 0, 1, scratch);
    syscall(kMark);
}

}  // namespace

int main() {
    for (int id : furet::kTypeIds) {
        test::Random random((uint64_t)id);
        test::LinearCase c(*furet::type_info(id), {kRows, kColumns, 128});
        if (c.info.form == furet::Form::Float) continue;
        c.fill_weight(test::Scales::Ordinary, random);
        c.fill_activations(random);
        for (const furet::Kernels* table : furet::available_kernels())
            if (table != &furet::kPortable)
                for (int64_t tokens : {1, 128}) measure(*table, c, tokens);
    }
}
