// FaultRun: one run: load, faults in a shuffled order while it lasts, healing, a quiet period, and the checker's
// verdict.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/fault/runner/row_faults.h"

namespace outrider::fault {

struct RunOptions {
  std::uint64_t seed = 1;
  std::chrono::seconds duration{60};  // of the load; each row is tried at least once, however long that takes
  std::vector<int> rows;
  testing::DatabaseServer::Kind database = testing::DatabaseServer::Kind::kMariaDb;
  std::filesystem::path folder;  // a new one
  double rate = 30;              // transactions a second
};

struct RunResult {
  bool held = false;
  bool drained = false;
  std::vector<FaultCount> faults;
  int lost = 0;
  int stuck = 0;
  std::map<std::string, int> doubled;  // by window
  std::string words;                   // the checker's
};

// Throws std::runtime_error when a part of the harness fails.
RunResult RunOnce(const RunOptions& options);

}  // namespace outrider::fault
