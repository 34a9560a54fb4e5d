#include "cpu.h"

#include <atomic>
#include <cstring>

#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace furet {
namespace {

struct Feature {
    const char* name;
    bool present;
};

#if defined(__x86_64__)
std::vector<Feature> features() {
    __builtin_cpu_init();
    return {{"sse4.2", (bool)__builtin_cpu_supports("sse4.2")},
            {"avx2", (bool)__builtin_cpu_supports("avx2")},
            {"fma", (bool)__builtin_cpu_supports("fma")},
            {"f16c", (bool)__builtin_cpu_supports("f16c")},
            {"avx512f", (bool)__builtin_cpu_supports("avx512f")},
            {"avx512bw", (bool)__builtin_cpu_supports("avx512bw")},
            {"avx512dq", (bool)__builtin_cpu_supports("avx512dq")},
            {"avx512vl", (bool)__builtin_cpu_supports("avx512vl")},
            {"avx512vnni", (bool)__builtin_cpu_supports("avx512vnni")}};
}
#elif defined(__aarch64__)
#if defined(__APPLE__)
bool system_has(const char* name) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
std::vector<Feature> features() {
    return {{"asimd", true},
            {"asimddp", system_has("hw.optional.arm.FEAT_DotProd")},
            {"i8mm", system_has("hw.optional.arm.FEAT_I8MM")}};
}
#else
std::vector<Feature> features() {
    // The kernel's names for bits of AT_HWCAP and AT_HWCAP2.
    constexpr unsigned long kAsimd = 1ul << 1, kDotProduct = 1ul << 20, kMatrixInt8 = 1ul << 13;
    const unsigned long caps = getauxval(AT_HWCAP), more = getauxval(AT_HWCAP2);
    return {{"asimd", (caps & kAsimd) != 0}, {"asimddp", (caps & kDotProduct) != 0}, {"i8mm", (more & kMatrixInt8) != 0}};
}
#endif
#else
std::vector<Feature> features() { return {}; }
#endif

[[maybe_unused]] bool has_all(std::initializer_list<const char*> wanted) {
    const std::vector<Feature> all = features();
    for (const char* name : wanted) {
        bool found = false;
        for (const Feature& feature : all) found |= feature.present && std::strcmp(feature.name, name) == 0;
        if (!found) return false;
    }
    return true;
}

// A cache that holds much may be filled far ahead of its reader. Measured with 32 KB (Cascade Lake, 11 GB/s a core) and with 48
// (Zen 5, 35 GB/s, where 3 KB cost a tenth to a third of the speed); a system that does not say counts as the former.
int64_t fetch_ahead() {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    return sysconf(_SC_LEVEL1_DCACHE_SIZE) >= 48 << 10 ? 12 << 10 : kPanelAhead;
#else
    return kPanelAhead;
#endif
}

std::atomic<const Kernels*> chosen{nullptr};

}  // namespace

const int64_t kFetchAhead = fetch_ahead();

std::vector<const Kernels*> available_kernels() {
    std::vector<const Kernels*> out;
#if defined(__x86_64__)
    if (has_all({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx2", "fma", "f16c"})) out.push_back(&kAvx512);
    if (has_all({"avx2", "fma", "f16c"})) out.push_back(&kAvx2);
#elif defined(__aarch64__)
    if (has_all({"asimddp", "i8mm"})) out.push_back(&kI8mm);
    if (has_all({"asimddp"})) out.push_back(&kNeon);
#endif
    out.push_back(&kPortable);
    return out;
}

const Kernels& kernels() {
    const Kernels* table = chosen.load();
    if (!table) {
        table = available_kernels().front();
        chosen.store(table);
    }
    return *table;
}

bool use_kernels(const std::string& name) {
    for (const Kernels* table : available_kernels())
        if (name == table->name) {
            chosen.store(table);
            return true;
        }
    return false;
}

std::vector<std::string> cpu_features() {
    std::vector<std::string> out;
    for (const Feature& feature : features())
        if (feature.present) out.emplace_back(feature.name);
    return out;
}

std::string cpu_brand() {
#if defined(__x86_64__)
    unsigned int word[12] = {};
    for (unsigned int i = 0; i < 3; ++i)
        if (!__get_cpuid(0x80000002 + i, &word[4 * i], &word[4 * i + 1], &word[4 * i + 2], &word[4 * i + 3])) return "x86-64";
    char text[49] = {};
    std::memcpy(text, word, 48);
    return text;
#elif defined(__aarch64__)
    return "AArch64";
#else
    return "unknown";
#endif
}

}  // namespace furet
