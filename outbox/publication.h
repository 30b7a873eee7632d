// Publication: the rows that a leader has read and not yet deleted: what is to be submitted, what waits for its report,
// what is stored and may be deleted, what must be read again.
//
// Threads: the relay's. Holds nothing that isn't in the outbox too, so a crash loses nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/relay_probe.h"
#include "model/time.h"
#include "outbox/event_sink.h"
#include "outbox/outbox_reader.h"
#include "outbox/outbox_store.h"

namespace outrider::outbox {

class Publication final {
 public:
  Publication(EventSink& sink, RelayProbe& probe, const Clock& clock) : sink_(sink), probe_(probe), clock_(clock) {}

  // Where the reader puts its rows. REQUIRES: all_submitted().
  std::vector<OutboxRow>& batch() { return batch_; }
  // The first `count` of batch(), which may be fewer afterwards: a row that was refused in company is submitted alone.
  // Gives the seq from which the reader must read again.
  std::optional<std::uint64_t> Accept(std::size_t count);
  // Submits what the sink takes.
  void Submit();
  // Waits up to `wait` for reports; whether any came.
  bool Poll(std::chrono::milliseconds wait);
  // Nothing more is submitted, and what is outstanding is given up; its reports follow.
  void Abandon(std::string problem);
  // Nothing more is submitted.
  void DropUnsubmitted();

  bool all_submitted() const { return next_ == count_; }
  std::size_t waiting() const { return waiting_; }  // for a report
  // Whether the reader must wait until nothing is waiting.
  bool wants_quiet() const { return wants_quiet_; }
  bool has_suspects() const { return !suspects_.empty(); }
  bool abandoned() const { return abandoned_at_.has_value(); }
  const std::string& problem() const { return problem_; }
  std::size_t stored() const { return stored_; }  // since Begin()

  const Settlement& settlement() const { return settlement_; }
  std::chrono::steady_clock::time_point settles_since() const { return settles_since_; }
  Settlement TakeSettlement();
  // They are deleted, or aren't known to be.
  void Settled(const Settlement& settlement);

  const RowsUnderWay& under_way() const { return under_way_; }
  // The lowest row that must be read again, for the next reader.
  std::optional<std::uint64_t> TakeLost() { return std::exchange(lost_, std::nullopt); }

  // A new turn. REQUIRES: nothing is waiting.
  void Begin();
  // Somebody else may have led meanwhile: forgets everything.
  void Clear();

 private:
  void Take(PublishReport& report);
  void Store(const PublishReport& report, Timestamp created_at);
  void Lose(std::uint64_t seq);

  EventSink& sink_;
  RelayProbe& probe_;
  const Clock& clock_;

  std::vector<OutboxRow> batch_;
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  RowsUnderWay under_way_;
  std::size_t waiting_ = 0;
  std::optional<std::uint64_t> alone_;  // submitted while nothing else was waiting, nor since
  std::set<std::uint64_t> suspects_;    // refused in company
  bool wants_quiet_ = false;

  std::size_t stored_ = 0;
  Settlement settlement_;
  std::map<std::pair<std::string_view, std::int32_t>, LedgerEntry> ledger_;
  std::chrono::steady_clock::time_point settles_since_{};
  std::optional<std::uint64_t> lost_;
  std::optional<std::chrono::steady_clock::time_point> abandoned_at_;
  std::string problem_;
  std::vector<PublishReport> reports_;
};

}  // namespace outrider::outbox
