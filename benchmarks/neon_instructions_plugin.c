// A plugin for qemu's user emulation of AArch64 that counts the instructions a program executes, by kind, and writes the counts
// to the standard error at every system call of the number that the program uses as a mark.
//
// Debian ships the plugin interface (version 1, docs/devel/tcg-plugins.rst of QEMU 7.2) without its header; what is used of it
// is declared here.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
extern struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t i);
extern const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* instruction);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* instruction, enum qemu_plugin_op op, void* counter, uint64_t add);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb*));
extern void qemu_plugin_register_vcpu_syscall_cb(
    qemu_plugin_id_t id, void (*called)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));

EXPORT int qemu_plugin_version = 1;

enum { kMark = 5555 };
enum Kind { kDot, kVector, kMemory, kOther, kKinds };

static uint64_t counts[kKinds];

// By the encoding (Arm Architecture Reference Manual, C4.1): sdot by vector and by element, smmla; then bits 25 to 28.
static enum Kind kind_of(uint32_t code) {
    if ((code & 0xffe0fc00) == 0x4e809400 || (code & 0xffc0f400) == 0x4f80e000 || (code & 0xffe0fc00) == 0x4e80a400) return kDot;
    if ((code >> 25 & 5) == 4) return kMemory;
    return (code >> 25 & 7) == 7 ? kVector : kOther;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
        uint32_t code;
        memcpy(&code, qemu_plugin_insn_data(instruction), 4);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &counts[kind_of(code)], 1);
    }
}

static void on_system_call(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                           uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number != kMark) return;
    for (int kind = 0; kind < kKinds; ++kind) fprintf(stderr, "%" PRIu64 "%c", counts[kind], kind + 1 < kKinds ? ' ' : '\n');
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int count, char** arguments) {
    (void)info, (void)count, (void)arguments;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
    return 0;
}
