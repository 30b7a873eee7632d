#include "app/relay_bench/running_relays.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "metrics/health.h"
#include "metrics/log.h"
#include "metrics/registry.h"
#include "metrics/relay_probe.h"
#include "outbox/kafka_sink.h"
#include "outbox/relay.h"

namespace outrider::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{10};
constexpr std::chrono::minutes kPatience{10};

}  // namespace

class RunningRelays::OneRelay final {
 public:
  OneRelay(outbox::RelayOptions options, std::unique_ptr<outbox::KafkaSink> sink)
      : probe_(registry_, options.source), sink_(std::move(sink)) {
    relay_ = std::make_unique<outbox::Relay>(std::move(options), *sink_, clock_, probe_, health_, log_);
  }
  void Begin() {
    thread_ = std::jthread([this](std::stop_token stop) { relay_->Run(std::move(stop)); });
  }
  void RequestStop() { thread_.request_stop(); }

  std::size_t deleted() const {
    const std::string scrape = registry_.Scrape();
    const std::size_t at = scrape.find("\noutrider_relay_deleted_total{");
    if (at == std::string::npos) return 0;
    return static_cast<std::size_t>(std::strtod(scrape.c_str() + scrape.find("} ", at) + 2, nullptr));
  }
  std::string words() const {
    std::string words;
    for (const auto& [name, part] : health_.parts()) words += part.words;
    return words;
  }

 private:
  SystemClock clock_;
  MetricsRegistry registry_;
  RelayProbe probe_;
  Health health_{clock_};
  Log log_{{.level = LogLevel::kWarn}};
  std::unique_ptr<outbox::KafkaSink> sink_;
  std::unique_ptr<outbox::Relay> relay_;
  std::jthread thread_;
};

RunningRelays::RunningRelays(const RelayBenchOptions& options) : options_(options) {}

RunningRelays::~RunningRelays() {
  for (const auto& relay : relays_) relay->RequestStop();
}

Result<std::unique_ptr<RunningRelays>> RunningRelays::Start(const RelayBenchOptions& options, const BenchGround& ground,
                                                            std::size_t sources) {
  std::unique_ptr<RunningRelays> running(new RunningRelays(options));
  const auto share = std::make_shared<outbox::SourceShare>();
  for (std::size_t i = 0; i < sources; ++i) {
    auto sink = outbox::KafkaSink::Create(options.kafka);
    if (!sink) return std::unexpected(sink.error());
    outbox::RelayOptions relay;
    relay.source = ground.Source(i);
    relay.database = options.database;
    relay.table = ground.Table(i);
    relay.owner = fmt::format("bench:{}", getpid());
    relay.share = share;
    if (options.batch_rows > 0) relay.batch_rows = options.batch_rows;
    running->relays_.push_back(std::make_unique<OneRelay>(std::move(relay), std::move(*sink)));
  }
  for (const auto& relay : running->relays_) relay->Begin();
  return running;
}

std::size_t RunningRelays::deleted() const {
  std::size_t deleted = 0;
  for (const auto& relay : relays_) deleted += relay->deleted();
  return deleted;
}

std::string RunningRelays::words() const {
  std::string words;
  for (const auto& relay : relays_) words += (words.empty() ? "" : "; ") + relay->words();
  return words;
}

Result<void> RunningRelays::AwaitDeleted(std::size_t rows) const {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (deleted() < rows) {
    if (!SleepUnlessStopped(options_.stop, kLook)) return Fail(ErrorCode::kUnavailable, "interrupted");
    if (std::chrono::steady_clock::now() > deadline) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{} of {} rows were deleted: {}", deleted(), rows, words()));
    }
  }
  return {};
}

bool SleepUnlessStopped(const std::stop_token& stop, milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace outrider::app
