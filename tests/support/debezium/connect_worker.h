// ConnectWorker: a real Kafka Connect worker of a test's own, with Debezium's connectors on its plugin path.
//
// Standalone: one process, its offsets in a file of its own folder, committed each second. Ready in some three seconds.
// Threads: one at a time. The worker dies with the test program. Errors: std::runtime_error with the worker's answer,
// the task's trace, or the end of the worker's log.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process/child_process.h"
#include "tests/support/process/temp_dir.h"

namespace outrider::testing {

struct ConnectOptions {
  std::string brokers;
  std::string java_options = {};             // empty: quick to start and slow under load, see run-connect
  std::vector<std::string> properties = {};  // of the worker; they win
};

class ConnectWorker final {
 public:
  static std::unique_ptr<ConnectWorker> Start(const ConnectOptions& options);
  ~ConnectWorker();
  ConnectWorker(const ConnectWorker&) = delete;
  ConnectWorker& operator=(const ConnectWorker&) = delete;

  std::string url() const;  // "http://127.0.0.1:port"
  pid_t pid() const { return process_->pid(); }

  // `configuration`: the connector's settings as a JSON object. Returns when the connector and its task are at work.
  void Configure(const std::string& connector, const std::string& configuration);
  // Its offsets of what was published are committed when this returns.
  void StopConnector(const std::string& connector);
  // Returns when the task is at work again.
  void ResumeConnector(const std::string& connector);
  // Returns at once.
  void RequestResume(const std::string& connector);
  // Of a stopped one, so that it begins anew when it's resumed.
  void ForgetOffsets(const std::string& connector);
  // Stops and forgets it with its offsets, so that one of the same name begins anew.
  void RemoveConnector(const std::string& connector);
  // As the worker tells it, JSON.
  std::string Status(const std::string& connector) const;

 private:
  explicit ConnectWorker(const ConnectOptions& options);
  void Launch(const ConnectOptions& options);
  std::string Call(const std::string& method, const std::string& path, const std::string& body = "") const;
  void AwaitState(const std::string& connector, std::string_view state, std::size_t tasks) const;
  std::string LogsEnd() const;

  TempDir folder_;
  unsigned port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace outrider::testing
