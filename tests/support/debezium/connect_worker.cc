#include "tests/support/debezium/connect_worker.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_client.h"

namespace outrider::testing {
namespace {

// The first start ever fetches Connect and Debezium.
constexpr std::chrono::minutes kStartTimeout{5};
constexpr std::chrono::seconds kCallTimeout{30};
constexpr std::chrono::seconds kStateTimeout{60};
constexpr int kPortTries = 3;
constexpr std::size_t kLogBytes = 3000;

std::string LastLines(const std::string& text) {
  return text.size() <= kLogBytes ? text : text.substr(text.size() - kLogBytes);
}

bool Serves(unsigned port) {
  RawClient client(static_cast<std::uint16_t>(port));
  return client.connected() && client.Get("/connectors").status == 200;
}

}  // namespace

std::unique_ptr<ConnectWorker> ConnectWorker::Start(const ConnectOptions& options) {
  return std::unique_ptr<ConnectWorker>(new ConnectWorker(options));
}

ConnectWorker::ConnectWorker(const ConnectOptions& options) : folder_("connect") {
  // Somebody else may take the port between our look and the worker's start.
  for (int i = 1;; ++i) {
    port_ = FreePort();
    try {
      Launch(options);
      return;
    } catch (const std::runtime_error&) {
      if (i == kPortTries) throw;
      process_.reset();
    }
  }
}

ConnectWorker::~ConnectWorker() = default;

void ConnectWorker::Launch(const ConnectOptions& options) {
  ChildOptions child;
  child.command = {RUN_CONNECT, folder_.path().string(), std::to_string(port_), options.brokers};
  child.command.insert(child.command.end(), options.properties.begin(), options.properties.end());
  if (!options.java_options.empty()) child.environment["CONNECT_JAVA_OPTIONS"] = options.java_options;
  child.output_directory = folder_.path();
  process_ = std::make_unique<ChildProcess>(child);
  const bool serves = WaitUntil([&] { return !process_->Running() || Serves(port_); }, kStartTimeout);
  if (serves && process_->Running()) return;
  throw std::runtime_error("the test Connect worker didn't start. " + LogsEnd());
}

std::string ConnectWorker::LogsEnd() const {
  return fmt::format("The worker's log ends so:\n{}\n{}", LastLines(process_->Stdout()), LastLines(process_->Stderr()));
}

std::string ConnectWorker::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

std::string ConnectWorker::Call(const std::string& method, const std::string& path, const std::string& body) const {
  RawClient client(static_cast<std::uint16_t>(port_));
  const RawAnswer answer = client.Request(method, path, body, kCallTimeout);
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  throw std::runtime_error(
      fmt::format("{} {} was answered with {}: {}\n{}", method, path, answer.status, answer.body, LogsEnd()));
}

void ConnectWorker::AwaitState(const std::string& connector, std::string_view state, std::size_t tasks) const {
  std::string last;
  const bool reached = WaitUntil(
      [&] {
        // There is no status for a moment after the connector was configured.
        RawClient client(static_cast<std::uint16_t>(port_));
        const RawAnswer answer = client.Get(fmt::format("/connectors/{}/status", connector));
        last = answer.body;
        if (answer.status != 200) return false;
        const auto status = nlohmann::json::parse(answer.body);
        if (status.at("connector").at("state") != state || status.at("tasks").size() != tasks) return false;
        for (const auto& task : status.at("tasks")) {
          if (task.at("state") == "FAILED") throw std::runtime_error(fmt::format("{} failed: {}", connector, last));
          if (task.at("state") != state) return false;
        }
        return true;
      },
      kStateTimeout);
  if (!reached) throw std::runtime_error(fmt::format("{} isn't {}: {}\n{}", connector, state, last, LogsEnd()));
}

void ConnectWorker::Configure(const std::string& connector, const std::string& configuration) {
  Call("PUT", fmt::format("/connectors/{}/config", connector), configuration);
  AwaitState(connector, "RUNNING", 1);
}

void ConnectWorker::StopConnector(const std::string& connector) {
  Call("PUT", fmt::format("/connectors/{}/stop", connector));
  AwaitState(connector, "STOPPED", 0);
}

void ConnectWorker::RequestResume(const std::string& connector) {
  Call("PUT", fmt::format("/connectors/{}/resume", connector));
}

void ConnectWorker::ResumeConnector(const std::string& connector) {
  RequestResume(connector);
  AwaitState(connector, "RUNNING", 1);
}

void ConnectWorker::ForgetOffsets(const std::string& connector) {
  Call("DELETE", fmt::format("/connectors/{}/offsets", connector));
}

void ConnectWorker::RemoveConnector(const std::string& connector) {
  StopConnector(connector);
  ForgetOffsets(connector);
  Call("DELETE", fmt::format("/connectors/{}", connector));
}

std::string ConnectWorker::Status(const std::string& connector) const {
  return Call("GET", fmt::format("/connectors/{}/status", connector));
}

}  // namespace outrider::testing
