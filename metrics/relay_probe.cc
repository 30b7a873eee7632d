#include "metrics/relay_probe.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <utility>

#include "metrics/registry_state.h"

namespace outrider {
namespace {

// Topics are made of the rows' aggregatetype, so an application decides how many there are.
constexpr std::size_t kMaxTopics = 32;

double Seconds(std::chrono::microseconds duration) { return std::chrono::duration<double>(duration).count(); }
double Seconds(Timestamp time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

}  // namespace

struct RelayProbe::State {
  State(MetricsRegistry::State& registry, const SeriesLabels& source)
      : read(registry.Counter("relay_read_total", "Rows read from the outbox, repeated reads included.", source)),
        published(registry, "relay_published_total", "Rows whose publication was acknowledged.", "topic",
                  {"outbox.event.notification"}, source, kMaxTopics),
        failures(registry, "relay_publish_failures_total", "Publications that were not acknowledged.", "class",
                 {"unavailable", "poison", "abandoned"}, source),
        deleted(registry.Counter("relay_deleted_total", "Rows deleted after their acknowledgement.", source)),
        insert_to_publish(registry.Seconds(
            "insert_to_publish_seconds", "From a row's created_at to the acknowledgement of its publication.", source)),
        leader(registry.Gauge("relay_leader", "1 while this process leads the source.", source)),
        takeovers(registry.Counter("relay_takeovers_total", "Times this process became the leader.", source)),
        leases_lost(registry.Counter("relay_leases_lost_total",
                                     "Times another leader's epoch refused a write of this process.", source)),
        moved_to_dead(registry.Counter("relay_moved_to_dead_total",
                                       "Rows that can't be published, moved to outbox_dead.", source)),
        moved_to_held(
            registry.Counter("relay_moved_to_held_total", "Rows of held keys, moved to outbox_held.", source)),
        dead_rows(registry.Gauge("outbox_dead_rows", "Rows in outbox_dead, counted up to a cap.", source)),
        held_keys(
            registry.Gauge("outbox_held_keys", "Keys whose rows wait in outbox_held, counted up to a cap.", source)),
        held_rows(registry.Gauge("outbox_held_rows", "Rows that wait in outbox_held, counted up to a cap.", source)),
        rows(registry.Gauge("outbox_rows", "Rows waiting in the outbox, counted up to a cap.", source)),
        oldest(registry.Gauge("outbox_oldest_timestamp_seconds", "created_at of the oldest waiting row; 0: none waits.",
                              source)),
        probed(registry.Gauge("outbox_probe_timestamp_seconds",
                              "When outbox_rows was last read (database clock); 0: never.", source)) {}

  prometheus::Counter& read;
  CounterByFirstSeen published;
  CounterByLabel failures;
  prometheus::Counter& deleted;
  prometheus::Histogram& insert_to_publish;
  prometheus::Gauge& leader;
  prometheus::Counter& takeovers;
  prometheus::Counter& leases_lost;
  prometheus::Counter& moved_to_dead;
  prometheus::Counter& moved_to_held;
  prometheus::Gauge& dead_rows;
  prometheus::Gauge& held_keys;
  prometheus::Gauge& held_rows;
  prometheus::Gauge& rows;
  prometheus::Gauge& oldest;
  prometheus::Gauge& probed;
};

RelayProbe::RelayProbe(MetricsRegistry& registry, std::string source)
    : state_(std::make_unique<State>(registry.state(), SeriesLabels{{"source", std::move(source)}})) {}
RelayProbe::~RelayProbe() = default;

void RelayProbe::Read(std::size_t rows) { state_->read.Increment(static_cast<double>(rows)); }
void RelayProbe::Published(std::string_view topic, std::size_t rows) {
  state_->published[topic].Increment(static_cast<double>(rows));
}
void RelayProbe::PublishFailed(std::string_view failure_class) { state_->failures[failure_class].Increment(); }
void RelayProbe::Deleted(std::size_t rows) { state_->deleted.Increment(static_cast<double>(rows)); }
void RelayProbe::InsertToPublish(std::chrono::microseconds age) {
  state_->insert_to_publish.Observe(std::max(0.0, Seconds(age)));
}
void RelayProbe::Leading(bool leader) { state_->leader.Set(leader ? 1 : 0); }
void RelayProbe::TookOver() { state_->takeovers.Increment(); }
void RelayProbe::LostLease() { state_->leases_lost.Increment(); }
void RelayProbe::MovedToDead(std::size_t rows) { state_->moved_to_dead.Increment(static_cast<double>(rows)); }
void RelayProbe::MovedToHeld(std::size_t rows) { state_->moved_to_held.Increment(static_cast<double>(rows)); }
void RelayProbe::Held(std::size_t dead_rows_capped, std::size_t keys_capped, std::size_t rows_capped) {
  state_->dead_rows.Set(static_cast<double>(dead_rows_capped));
  state_->held_keys.Set(static_cast<double>(keys_capped));
  state_->held_rows.Set(static_cast<double>(rows_capped));
}
void RelayProbe::Backlog(std::size_t rows_capped, std::optional<Timestamp> oldest, Timestamp probed_at) {
  state_->rows.Set(static_cast<double>(rows_capped));
  state_->oldest.Set(oldest ? Seconds(*oldest) : 0);
  state_->probed.Set(Seconds(probed_at));
}

}  // namespace outrider
