// Config: every setting of the program, strict.
//
// Unknown keys are faults with a suggestion; all faults come at once, each with the place it was written at; any secret
// takes a `_file` twin. A value; safe to share once read.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "app/config_tree.h"
#include "consumer/quotas.h"
#include "metrics/log.h"
#include "model/retry_policy.h"
#include "model/secret.h"
#include "outbox/on_poison.h"
#include "outbox/routes.h"
#include "platform/crypto/sealer.h"
#include "platform/kafka/options.h"
#include "platform/mysql/connection.h"
#include "providers/channel.h"

namespace outrider::app {

struct SourceConfig {
  std::string name;
  mysql::MysqlOptions database;
  std::optional<mysql::MysqlOptions> migrate;  // the account that may create tables
  std::string table = "outbox";
  outbox::OnPoison on_poison = outbox::OnPoison::kSkip;
  outbox::Routes routes;
};

enum class Transport { kKafka, kDirect };

struct Config {
  mysql::MysqlOptions database;
  std::optional<mysql::MysqlOptions> migrate;
  // The database's own outbox (source "outrider") comes last, unless one of these is it.
  std::vector<SourceConfig> sources;
  Transport transport = Transport::kKafka;
  kafka::KafkaOptions kafka;
  std::vector<std::string> topics{"outbox.event.notification"};
  std::string group = "outrider";
  std::vector<providers::ChannelSettings> channels;
  providers::TenantRates tenant_rates;
  RetryPolicy retry;
  std::string api_listen = "127.0.0.1:8080";
  Secret api_token;
  consumer::QuotaRules quotas;                   // by tenant
  std::vector<crypto::SealingKey> sealing_keys;  // the first seals, all open
  bool allow_insecure_targets = false;
  LogOptions log;

  struct Relay {
    std::chrono::milliseconds lease{10'000};
    int batch_rows = 2'000;
    friend bool operator==(const Relay&, const Relay&) = default;
  } relay;
  struct Delivery {
    std::chrono::milliseconds lease{60'000};
    std::chrono::milliseconds call_deadline{15'000};
    std::chrono::hours max_age{72};
    std::chrono::hours dedupe_memory{24 * 30};
    int max_in_flight = 1024;
    friend bool operator==(const Delivery&, const Delivery&) = default;
  } delivery;
  struct Retention {
    std::chrono::milliseconds sent = std::chrono::days{7};
    std::chrono::milliseconds skipped = std::chrono::days{7};
    std::chrono::milliseconds dead = std::chrono::days{90};
    std::chrono::milliseconds rejected = std::chrono::days{90};
    friend bool operator==(const Retention&, const Retention&) = default;
  } retention;
  std::chrono::milliseconds grace{25'000};  // for what is in flight when the program is told to stop
};

// A setting as `config show` prints it: secrets as "***", with the place it was written at ("default" where nowhere).
struct EffectiveSetting {
  std::string path;
  std::string value;
  std::string origin;
};

struct ConfigReading {
  Config config;
  std::vector<std::string> faults;  // empty: usable
  std::vector<EffectiveSetting> effective;
  std::vector<std::string> files;  // every file that was read or tried, those of secrets included
};

// Total: any input gives a reading.
ConfigReading ReadConfig(const ConfigInput& input);

// The settings that differ and can't change while the program runs, by name; empty: `next` can be applied (channels,
// rates of tenants and groups, retry, sealing and log.level can).
std::vector<std::string> NeedRestart(const Config& running, const Config& next);

}  // namespace outrider::app
