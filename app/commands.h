// The commands of the program but `run`: each reads its options, does one thing, prints, and gives the exit code.
// Single-threaded; a command that is interrupted leaves nothing half done, because each works in one
// transaction, or in batches of which each is one.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "app/config.h"
#include "model/result.h"

namespace outrider::app {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnhealthy = 3;
inline constexpr int kExitPartly = 4;

enum class OutputFormat { kTable, kJson };

int MigrateStatus(const Config& config, OutputFormat format);
// Creates what is missing, a line for each set of tables; the first that fails ends it. kUnavailable: a database is
// away.
Result<std::vector<std::string>> ApplyMigrations(const Config& config);
int MigrateUp(const Config& config, OutputFormat format);
int MigrateSql(const Config& config);

// Prints every fault of `reading` on stderr; kExitUsage when there are any.
int ConfigCheck(const ConfigReading& reading);
int ConfigShow(const ConfigReading& reading, OutputFormat format);

struct SendOptions {
  std::string request_file;  // "-": standard input; the other options must be empty then
  std::string channel, text, title, markdown, recipient, dedupe_key, ordering_key, tenant, fallback_text, priority;
  std::string aggregate_id;
  std::optional<std::chrono::milliseconds> wait;
};
int Send(const Config& config, const SendOptions& options, OutputFormat format);

int Show(const Config& config, const std::string& dedupe_key, OutputFormat format);

struct ListOptions {
  std::string status;
  std::size_t limit = 50;
  std::int64_t before_id = 0;
};
int List(const Config& config, const ListOptions& options, OutputFormat format);

// Standard output is a terminal that shows colours.
bool ColourWanted();

// Brings what is sealed under older keys under the first; kExitFailed when something can't be.
int Reseal(const Config& config, OutputFormat format);

// Says what failed and, of a table that is missing, which command creates it; kExitFailed.
int Failed(const std::string& what, const Error& error);

// Needs no configuration.
int ListFailpoints(OutputFormat format);

}  // namespace outrider::app
