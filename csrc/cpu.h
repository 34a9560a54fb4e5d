// Which instruction sets this build has and this machine can run.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace furet {

// Best first; the portable table is always last.
std::vector<const Kernels*> available_kernels();
// The table in use: the best one, unless `use_kernels` chose another.
const Kernels& kernels();
bool use_kernels(const std::string& name);
std::vector<std::string> cpu_features();
std::string cpu_brand();

}  // namespace furet
