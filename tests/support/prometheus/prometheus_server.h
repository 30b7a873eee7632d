// PrometheusServer: a real Prometheus (Debian's) of a test's own, on a free port, with its own data.
//
// Scrapes its targets from the start, evaluates rules as often as it scrapes. Needs about 60 MB of memory. Threads: one
// at a time. Dies with the test program; its data lives in a folder under /tmp that goes away with the object. Errors:
// std::runtime_error with the end of the server's log, or with what its API answered.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process/child_process.h"
#include "tests/support/process/temp_dir.h"

namespace outrider::testing {

struct PrometheusOptions {
  std::vector<std::string> targets;  // "127.0.0.1:8080"; label `instance`
  std::string job = "outrider";
  std::string metrics_path = "/metrics";
  std::chrono::milliseconds interval{500};  // of scrapes and rules
  std::vector<std::filesystem::path> rule_files;
};

struct PrometheusSample {
  std::map<std::string, std::string> labels;  // with __name__ where the query keeps it
  double value = 0;
};

struct PrometheusAlert {
  std::string name;
  std::string state;  // "pending", "firing"
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
};

class PrometheusServer final {
 public:
  // Returns when it is ready to answer queries.
  static std::unique_ptr<PrometheusServer> Start(PrometheusOptions options);
  ~PrometheusServer();
  PrometheusServer(const PrometheusServer&) = delete;
  PrometheusServer& operator=(const PrometheusServer&) = delete;

  unsigned port() const { return port_; }
  std::string url() const;  // http://127.0.0.1:port

  // The value of each series now; a scalar is one sample without labels.
  std::vector<PrometheusSample> Query(std::string_view expression) const;
  // The value of the one series that the expression yields, nothing for none.
  std::optional<double> Value(std::string_view expression) const;
  bool WaitForValue(std::string_view expression, double value,
                    std::chrono::milliseconds timeout = std::chrono::seconds{30}) const;
  std::vector<PrometheusAlert> Alerts() const;

  // From the next scrape on; a series of a target that is gone ends.
  void SetTargets(std::vector<std::string> targets);

  void Stop();      // SIGTERM, to a clean end
  void Kill();      // SIGKILL
  void Pause();     // SIGSTOP; returns when it stands still
  void Continue();  // SIGCONT
  void Restart();   // stops it if it runs; same port, same data; returns when it is ready

 private:
  explicit PrometheusServer(PrometheusOptions options);
  void WriteConfiguration() const;
  void Launch();

  PrometheusOptions options_;
  TempDir folder_;
  unsigned port_ = 0;
  std::optional<ChildProcess> process_;
};

}  // namespace outrider::testing
