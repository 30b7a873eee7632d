#include "platform/kafka/rdkafka.h"

#include <fmt/format.h>

#include <array>

namespace outrider::kafka {
namespace {

// librdkafka calls this from its own threads, for lines that say less than its errors do and at a pace that a broker
// away decides. What matters comes as an error through Poll().
void DropLogLine(const rd_kafka_t*, int, const char*, const char*) {}

Result<void> Set(rd_kafka_conf_t* conf, std::string_view name, std::string_view value) {
  std::array<char, 512> words{};
  if (rd_kafka_conf_set(conf, std::string(name).c_str(), std::string(value).c_str(), words.data(), words.size()) ==
      RD_KAFKA_CONF_OK) {
    return {};
  }
  return Fail(ErrorCode::kInvalid, fmt::format("Kafka property {}: {}", name, words.data()));
}

}  // namespace

Result<Conf> MakeConf(const KafkaOptions& options, const Settings& defaults, const Settings& fixed) {
  std::string faults;
  for (const std::string& fault : CheckProperties(options.properties)) faults += (faults.empty() ? "" : "; ") + fault;
  if (!faults.empty()) return Fail(ErrorCode::kInvalid, std::move(faults));

  Conf conf(rd_kafka_conf_new());
  rd_kafka_conf_set_log_cb(conf.get(), DropLogLine);
  if (auto set = Set(conf.get(), "bootstrap.servers", options.brokers); !set) return std::unexpected(set.error());
  for (const auto& [name, value] : defaults) {
    if (auto set = Set(conf.get(), name, value); !set) return std::unexpected(set.error());
  }
  for (const auto& [name, value] : options.properties) {
    if (auto set = Set(conf.get(), name, value); !set) return std::unexpected(set.error());
  }
  for (const auto& [name, value] : fixed) {
    if (auto set = Set(conf.get(), name, value); !set) return std::unexpected(set.error());
  }
  return conf;
}

Result<Client> MakeClient(rd_kafka_type_t type, Conf conf) {
  std::array<char, 512> words{};
  Client client(rd_kafka_new(type, conf.get(), words.data(), words.size()));
  if (!client) return Fail(ErrorCode::kInvalid, fmt::format("the Kafka client can't be set up: {}", words.data()));
  (void)conf.release();
  return client;
}

std::string Words(rd_kafka_resp_err_t error, std::string_view detail) {
  const std::string_view name = rd_kafka_err2str(error);
  if (detail.empty() || detail == name) return std::string(name);
  return fmt::format("{}: {}", name, detail);
}

}  // namespace outrider::kafka

// librdkafka uses C11's threads and locks, which the thread sanitizer doesn't know, neither g++ 12's nor clang 19's:
// its threads would crash in the sanitizer, and every lock of theirs would be invisible. In glibc they are POSIX's
// under another name.
#ifdef OUTRIDER_THREAD_SANITIZER
#include <pthread.h>
#include <threads.h>

#include <cerrno>

namespace {

int ToC11(int error) { return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error; }
pthread_mutex_t* ToPosix(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* ToPosix(cnd_t* condition) { return reinterpret_cast<pthread_cond_t*>(condition); }

struct Start {
  thrd_start_t function;
  void* argument;
};

void* Run(void* start) {
  const Start copy = *static_cast<Start*>(start);
  delete static_cast<Start*>(start);
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(copy.function(copy.argument)));
}

}  // namespace

extern "C" {
int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  return ToC11(pthread_create(thread, nullptr, Run, new Start{function, argument}));
}
int thrd_join(thrd_t thread, int* result) {
  void* value = nullptr;
  const int error = pthread_join(thread, &value);
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(value));
  return ToC11(error);
}
int thrd_detach(thrd_t thread) { return ToC11(pthread_detach(thread)); }
int mtx_lock(mtx_t* mutex) { return ToC11(pthread_mutex_lock(ToPosix(mutex))); }
int mtx_unlock(mtx_t* mutex) { return ToC11(pthread_mutex_unlock(ToPosix(mutex))); }
int cnd_wait(cnd_t* condition, mtx_t* mutex) { return ToC11(pthread_cond_wait(ToPosix(condition), ToPosix(mutex))); }
int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
  return ToC11(pthread_cond_timedwait(ToPosix(condition), ToPosix(mutex), until));
}
int cnd_signal(cnd_t* condition) { return ToC11(pthread_cond_signal(ToPosix(condition))); }
int cnd_broadcast(cnd_t* condition) { return ToC11(pthread_cond_broadcast(ToPosix(condition))); }
}
#endif
