// Reading a mapped file that somebody cuts short meanwhile.
//
// Touching memory that has no file behind it any more raises SIGBUS, which ends the process. Within a FileReading the missing
// page becomes one of zeros instead, and whoever waits for the result learns that it is worth nothing.
#pragma once

#include <atomic>
#include <stdexcept>

namespace furet {

struct FileCutShort : std::runtime_error {
    FileCutShort() : std::runtime_error("the file that weights are read from was cut short") {}
};

// A time in which this thread reads mapped files; they may be nested. `cut_short` becomes true when one of them lacks a page.
class FileReading {
public:
    explicit FileReading(std::atomic<bool>& cut_short);
    ~FileReading();
    FileReading(const FileReading&) = delete;
    FileReading& operator=(const FileReading&) = delete;

private:
    std::atomic<bool>* outer_;
};

// Throws FileCutShort.
inline void require_whole(const std::atomic<bool>& cut_short) {
    if (cut_short.load()) throw FileCutShort();
}

}  // namespace furet
