// KafkaBroker: a real Kafka of a test's own, one broker on free ports, with its own data.
//
// Topics are made by CreateTopic() only (auto.create.topics.enable=false), so that a test of a missing topic means what
// it says. Ready in about a second; a group forms without the usual wait.
//
// Threads: one at a time, but for brokers(), Options(), CreateTopic(). The broker dies with the test program. Its data
// lives in a folder under /tmp. Errors: std::runtime_error with the end of the broker's log.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/kafka/options.h"
#include "tests/support/process/child_process.h"
#include "tests/support/process/temp_dir.h"

namespace outrider::testing {

class KafkaBroker final {
 public:
  // `properties` such as "message.max.bytes=100000" come last, so they win.
  static std::unique_ptr<KafkaBroker> Start(std::vector<std::string> properties = {});
  // The test program's one broker: started on first use, stopped at exit. Tests that stop or pause a broker start their
  // own.
  static KafkaBroker& Shared();

  ~KafkaBroker();
  KafkaBroker(const KafkaBroker&) = delete;
  KafkaBroker& operator=(const KafkaBroker&) = delete;

  std::string brokers() const;                   // "127.0.0.1:port"
  pid_t pid() const { return process_->pid(); }  // REQUIRES: it runs
  kafka::KafkaOptions Options() const { return {brokers(), {}}; }
  // Returns when every partition has a leader.
  void CreateTopic(const std::string& name, int partitions = 1,
                   const std::map<std::string, std::string>& config = {}) const;
  // With a random name that begins with `prefix`; gives it.
  std::string CreateTopic(int partitions = 1, std::string_view prefix = "test-") const;

  void Stop();      // SIGTERM, to a clean end
  void Kill();      // SIGKILL
  void Pause();     // SIGSTOP; returns when it stands still
  void Continue();  // SIGCONT
  void Restart();   // stops it if it runs; same ports, same data; returns when it serves

 private:
  friend class KafkaCluster;
  struct Ports {
    unsigned broker = 0;
    unsigned controller = 0;
  };
  KafkaBroker(Ports ports, std::vector<std::string> properties);
  void Launch();
  void AwaitReady();
  std::size_t StartsLogged() const;

  const Ports ports_;
  const std::vector<std::string> properties_;
  TempDir folder_;
  std::size_t starts_before_ = 0;
  std::optional<ChildProcess> process_;
};

// Makes a topic on any cluster, with librdkafka's admin client; returns when every partition has a leader.
void CreateKafkaTopic(const std::string& brokers, const std::string& name, int partitions, int replicas,
                      const std::map<std::string, std::string>& config);

}  // namespace outrider::testing
