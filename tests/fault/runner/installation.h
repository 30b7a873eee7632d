// Installation: everything a fault run needs, for real: a database server behind a proxy, a broker, a vendor, and
// Outrider as two relays and two consumers in processes of their own.
//
// Outrider has an account of its own, and reaches the database through the proxy; the workload and the checker come
// straight. Each life of a process has a name ("consumer-1.3"), its log and its last scrape stand in the run's folder
// under it. Threads: one. Errors: std::runtime_error. Everything ends with the object.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/mysql/connection.h"
#include "tests/support/database/database_server.h"
#include "tests/support/fake_im/fake_im_server.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/outrider/outrider_program.h"
#include "tests/support/proxy/fault_proxy.h"

namespace outrider::fault {

inline constexpr std::string_view kRelays[] = {"relay-1", "relay-2"};
inline constexpr std::string_view kConsumers[] = {"consumer-1", "consumer-2"};
inline constexpr std::chrono::milliseconds kRelayLease{2000};
inline constexpr std::chrono::milliseconds kRecordLease{3000};
inline constexpr std::chrono::seconds kGrace{10};

// One life of one process.
struct Life {
  std::string name;
  std::string end = "running";  // terminated, killed, crashed
  int exit_code = 0;
  double stop_seconds = 0;
};

struct Bot {
  std::string channel;
  std::string token;
  std::string secret;
  bool blocks = false;  // a dead record holds those behind it in its ordering key
};
// Its provider is the mock, at whose failpoint a process can be made to die.
inline constexpr std::string_view kPoison = "poison";
inline constexpr int kPoisonAttempts = 3;

class Installation final {
 public:
  Installation(testing::DatabaseServer::Kind kind, std::filesystem::path folder);
  ~Installation();
  Installation(const Installation&) = delete;
  Installation& operator=(const Installation&) = delete;

  // Processes. A slot ("relay-1") is empty or holds one life.
  void StartAll();  // the slots that are empty
  void Start(std::string_view slot, const std::map<std::string, std::string>& environment = {});
  // A consumer in a group of its own, as if somebody had configured two.
  void StartInAnotherGroup(std::string_view slot);
  bool Runs(std::string_view slot);
  void Kill(std::string_view slot);
  // Waits for an end that a failpoint brings; false when it doesn't come.
  bool AwaitCrash(std::string_view slot, std::chrono::milliseconds timeout);
  void Terminate(std::string_view slot);
  void Pause(std::string_view slot);
  void Continue(std::string_view slot);
  // A person's command, to its end.
  testing::OutriderProgram::Ended Command(const std::vector<std::string>& arguments) const {
    return program_->Command(arguments);
  }
  // Keeps the slot's metrics as they are now; gives the text, empty when the process doesn't answer.
  std::string Scrape(std::string_view slot);
  // Who leads a source now, by the lease; empty when nobody of ours does.
  std::string LeadingRelay();

  // Nothing waits in an outbox, and no record is on its way but for those of the unknown channel.
  bool Drained();
  // Ends everything, with logs and metrics in the folder.
  void Collect();

  std::unique_ptr<mysql::MysqlConnection> Connect(std::string_view database) const;  // straight, as root would
  std::string Url(std::string_view database) const { return server->Url(database); }

  const std::filesystem::path folder;
  const std::vector<Bot> bots;  // the workload writes to ops and team, a row of the matrix to gate
  const std::string product_password;
  const std::string sealing_key;  // 64 hexadecimal digits
  std::vector<Life> ended;        // and those that still run, once collected
  std::unique_ptr<testing::DatabaseServer> server;
  std::unique_ptr<testing::FaultProxy> proxy;
  std::unique_ptr<testing::KafkaBroker> broker;
  std::unique_ptr<fake_im::FakeImServer> vendor;
  std::string records_database;
  std::map<std::string, std::string> source_databases;  // by source

 private:
  struct Slot {
    Life life;
    std::unique_ptr<testing::ChildProcess> process;
    std::uint16_t port = 0;
  };
  std::string Configuration(std::string_view group) const;
  void Launch(std::string_view slot, testing::OutriderProgram& program,
              const std::map<std::string, std::string>& environment);
  void Close(std::string_view slot, std::string_view end, testing::ExitStatus status);

  std::unique_ptr<testing::OutriderProgram> program_;
  std::unique_ptr<testing::OutriderProgram> other_group_;
  std::map<std::string, Slot, std::less<>> slots_;
  std::map<std::string, int, std::less<>> lives_;
};

}  // namespace outrider::fault
