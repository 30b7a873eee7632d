// DeliveryGround: the database, topics, bots and configurations that a bench works on, made for it and removed with it.
//
// A database of its own (refused when it is there already) on the given server, topics
// outbox.event.outrider-bench-<number> as they are asked for. Threads: one. What a killed run leaves is refused by the
// next one, in words that say how to remove it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/delivery_bench/fake_bots.h"
#include "app/delivery_bench/options.h"
#include "model/result.h"

namespace outrider::app {

class DeliveryGround final {
 public:
  // The crowds' channels: one that takes 5 a second, one that refuses connections, one that never answers.
  static constexpr std::string_view kSlow = "bench-slow";
  static constexpr std::string_view kDead = "bench-dead";
  static constexpr std::string_view kSilent = "bench-silent";

  static Result<std::unique_ptr<DeliveryGround>> Make(const DeliveryBenchOptions& options);
  ~DeliveryGround();

  mysql::MysqlConnection& connection() { return *connection_; }
  const mysql::MysqlOptions& database() const { return database_; }
  FakeBots& bots() { return *bots_; }
  Result<void> ResetBots();

  std::string Channel(std::size_t number) const;  // of one notification: they take turns
  // A request's payload. The text begins with `key` and a blank.
  std::string Payload(std::string_view key, std::size_t number) const;
  // What a bot gets of it.
  std::string Post(std::string_view key) const;

  struct Topic {
    std::string aggregatetype, name, group;
  };
  Result<Topic> MakeTopic();
  // The text of a configuration file. Without a topic: transport direct.
  std::string Configuration(const Topic* topic, bool with_crowds) const;

  // Statements that clients have sent to the server so far; each call is one itself.
  Result<std::uint64_t> Statements();
  // When no replica reads it any more; else the next ones would scan its shards too.
  Result<void> ForgetShards(const Topic& topic);
  // Until the server has purged what was changed, so that one measurement doesn't pay for the one before; not for long.
  void AwaitPurge();

 private:
  explicit DeliveryGround(const DeliveryBenchOptions& options) : options_(options) {}
  Result<void> MakeDatabase();

  const DeliveryBenchOptions& options_;
  mysql::MysqlOptions database_;
  std::unique_ptr<mysql::MysqlConnection> connection_;
  std::unique_ptr<FakeBots> bots_;
  std::vector<std::string> topics_;
  std::string run_;  // in the names of topics and groups, which brokers remember
  bool made_ = false;
};

bool Stopped(const DeliveryBenchOptions& options);

}  // namespace outrider::app
