// The real program as a test uses it: one installation (a database of its own, a shop's database, a configuration file)
// and what is called in it. Errors: std::runtime_error.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/database/database_server.h"
#include "tests/support/outrider/outrider_program.h"
#include "tests/support/process/child_process.h"

namespace outrider::app {

using Ended = testing::OutriderProgram::Ended;

// Runs `outrider` with these arguments and no configuration of its own to its end.
Ended CallProgram(std::vector<std::string> arguments);

// `outrider run` in the background.
class Running final {
 public:
  explicit Running(std::unique_ptr<testing::ChildProcess> process) : process_(std::move(process)) {}

  // Waits until the HTTP server listens.
  std::uint16_t port() { return testing::HttpPort(*process_); }
  // Status and body of a GET.
  std::string Get(const std::string& path);
  bool WaitForLog(std::string_view text, std::chrono::milliseconds timeout = std::chrono::seconds{30});
  // What stands behind `event` in each of its log lines.
  std::vector<std::string> Said(std::string_view event);
  std::string log() { return process_->Stderr(); }
  testing::ChildProcess& process() { return *process_; }

 private:
  std::unique_ptr<testing::ChildProcess> process_;
};

class Installation final {
 public:
  explicit Installation(testing::DatabaseServer& server = testing::DatabaseServer::Shared());

  // Writes the configuration: both databases, transport direct, and `more` (YAML).
  void Configure(std::string_view more);
  Ended Call(const std::vector<std::string>& arguments) const;
  std::unique_ptr<Running> Run(const std::vector<std::string>& more = {},
                               const std::map<std::string, std::string>& environment = {}) const;
  // A command that is still at work.
  std::unique_ptr<testing::ChildProcess> Start(const std::vector<std::string>& arguments) const;
  std::string configuration_file() const { return program_->configuration_file().string(); }

  const std::string& own_database() const { return own_; }
  const std::string& shop_database() const { return shop_; }
  std::unique_ptr<mysql::MysqlConnection> ConnectToShop() const { return Connect(shop_); }
  std::unique_ptr<mysql::MysqlConnection> ConnectToOwn() const { return Connect(own_); }
  // What a shop does: one request, committed.
  void Order(std::string_view dedupe_key, std::string_view channel = "ops") const;

 private:
  std::unique_ptr<mysql::MysqlConnection> Connect(const std::string& database) const;

  testing::DatabaseServer& server_;
  std::string own_, shop_;
  std::unique_ptr<testing::OutriderProgram> program_;
};

// A channel `code` to that webhook, with quick retries, as a line under `channels:`.
std::string ChannelLine(std::string_view code, const std::string& webhook_url);

}  // namespace outrider::app
