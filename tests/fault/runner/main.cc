// outrider-fault-run: breaks a real installation under load, and lets the independent checker judge what is left.
//   outrider-fault-run [--seed N] [--minutes M] [--rows 1,2,3] [--database mariadb|mysql] [--keep FOLDER]
// Prints a table: row, faults planned and fired; lost, doubled by window, stuck. Exit code 0: everything held and every
// planned fault fired; 1: not so, and the run's folder is kept; 2: usage; 3: the harness failed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <optional>
#include <random>

#include "tests/fault/runner/fault_run.h"

namespace {

using outrider::fault::FaultCount;
using outrider::fault::RowFaults;
using outrider::fault::RunOptions;
using outrider::fault::RunResult;

void PrintTable(const RunResult& result) {
  fmt::print("{:>4}  {:<44}{:>8}{:>8}\n", "ROW", "FAULT", "PLANNED", "FIRED");
  std::vector<FaultCount> faults = result.faults;
  std::ranges::sort(faults, {}, [](const FaultCount& count) { return std::pair(count.row, count.kind); });
  int fired = 0;
  for (const FaultCount& count : faults) {
    fmt::print("{:>4}  {:<44}{:>8}{:>8}{}\n", count.row, count.kind, count.planned, count.fired,
               count.fired < count.planned ? "  NOT ALL FIRED" : "");
    fired += count.fired;
  }
  std::vector<std::string> doubled;
  int doubles = 0;
  for (const auto& [window, count] : result.doubled) {
    doubled.push_back(fmt::format("{} {}", window, count));
    doubles += count;
  }
  fmt::print("faults fired {}, lost {}, doubled {} ({}), stuck {}: {}\n", fired, result.lost, doubles,
             doubled.empty() ? "none" : fmt::format("{}", fmt::join(doubled, ", ")), result.stuck,
             result.held && result.drained ? "held" : "VIOLATED");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Breaks a real installation under load and judges what is left."};
  std::optional<std::uint64_t> seed;
  double minutes = 1;
  std::vector<int> rows;
  std::string database = "mariadb";
  std::string keep;
  app.add_option("--seed", seed, "Replays a run's plan (random by default, and printed)");
  app.add_option("--minutes", minutes, "How long the load lasts; each row is tried at least once");
  app.add_option("--rows", rows, "Rows of the fault matrix, between commas (all there are by default)")->delimiter(',');
  app.add_option("--database", database)->check(CLI::IsMember({"mariadb", "mysql"}));
  app.add_option("--keep", keep, "A new folder for the run, kept whatever comes");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);

  RunOptions options;
  options.seed = seed.value_or(std::random_device{}());
  options.duration = std::chrono::seconds{static_cast<int>(minutes * 60)};
  for (const RowFaults::Row& row : RowFaults::Rows()) {
    if (rows.empty()) options.rows.push_back(row.number);
  }
  for (const int number : rows) {
    const auto& all = RowFaults::Rows();
    if (std::ranges::none_of(all, [&](const RowFaults::Row& row) { return row.number == number; })) {
      fmt::print(stderr, "outrider-fault-run: there is no row {}; there are:\n", number);
      for (const RowFaults::Row& row : all) fmt::print(stderr, "  {:>3}  {}\n", row.number, row.what);
      return 2;
    }
    options.rows.push_back(number);
  }
  if (database == "mysql") options.database = outrider::testing::DatabaseServer::Kind::kMysql;
  std::optional<outrider::testing::TempDir> temporary;
  if (keep.empty()) temporary.emplace("fault-run");
  options.folder = keep.empty() ? temporary->path() / "run" : std::filesystem::path(keep);

  fmt::print("seed {}, rows {}, {}\n", options.seed, fmt::join(options.rows, ","), database);
  std::fflush(stdout);
  try {
    const RunResult result = outrider::fault::RunOnce(options);
    PrintTable(result);
    if (result.held && result.drained) return 0;
    if (!result.drained) fmt::print("the backlog did not drain\n");
    fmt::print("{}\n", result.words);
    if (temporary) {
      const std::filesystem::path kept = fmt::format("/tmp/outrider-fault-run-{}", options.seed);
      std::filesystem::copy(options.folder, kept, std::filesystem::copy_options::recursive);
      fmt::print("the run's folder is kept: {}\n", kept.string());
    }
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "outrider-fault-run: {}\n", error.what());
    return 3;
  }
}
