// The core without Python: kernels of every instruction set that this machine has, programs, pool.
//
//   kernel_tests [--quick] [--best NAME]
//
// --quick takes fewer shapes, for a slow machine: an emulated one, or one under sanitizers. --best fails unless NAME is the instruction set that is chosen here.
#include <chrono>

#include "check.h"
#include "cpu.h"

namespace {

template <class Function> void timed(const char* name, Function f) {
    const auto start = std::chrono::steady_clock::now();
    const int64_t before = test::tally.passed;
    f();
    std::printf("%-10s %9lld checks %6.1f s\n", name, (long long)(test::tally.passed - before),
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
}

}  // namespace

int main(int count, char** argument) {
    const char* best = nullptr;
    for (int i = 1; i < count; ++i) {
        if (!std::strcmp(argument[i], "--quick")) test::tally.quick = true;
        else if (!std::strcmp(argument[i], "--best") && i + 1 < count) best = argument[++i];
        else return std::fprintf(stderr, "usage: kernel_tests [--quick] [--best NAME]\n"), 2;
    }
    const test::Tables tables = furet::available_kernels();
    std::printf("instruction sets:");
    for (const furet::Kernels* table : tables) std::printf(" %s", table->name);
    std::printf("\n");
    test::tally.where = "dispatch";
    CHECK(tables.back() == &furet::kPortable && &furet::kernels() == tables.front());
    if (best) CHECK(std::string(best) == furet::kernels().name);

    timed("half", test::test_half);
    timed("decode", test::test_decode);
    timed("quantise", [&] { test::test_quantise(tables); });
    timed("rows", [&] { test::test_rows(tables); });
    timed("functions", [&] { test::test_functions(tables); });
    timed("linear", [&] { test::test_linear(tables); });
    timed("cached rows", [&] { test::test_cached_rows(tables); });
    timed("attention", [&] { test::test_attention(tables); });
    timed("experts", [&] { test::test_experts(tables); });
    timed("recurrent", [&] { test::test_recurrent(tables); });
    timed("equality", [&] { test::test_equality(tables); });
    timed("pool", test::test_pool);
    timed("program", [&] { test::test_program(tables); });
    timed("refusals", test::test_refusals);
    std::printf("%lld passed, %lld failed\n", (long long)test::tally.passed, (long long)test::tally.failed);
    return test::tally.failed ? 1 : 0;
}
