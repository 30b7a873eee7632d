// Publication: the rows that a leader has read and not yet deleted: what is to be submitted, what waits for its report,
// what is stored and may be deleted, what must be read again, and what isn't submitted at all because its key is held.
//
// A row that can't be sent is found before it is submitted, or was submitted alone; from then on no row of its key
// behind it is, so nothing of a held key is in flight behind its dead row.
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
#include <unordered_map>
#include <utility>
#include <vector>

#include "metrics/relay_probe.h"
#include "model/time.h"
#include "outbox/event_sink.h"
#include "outbox/held_reader.h"
#include "outbox/held_store.h"
#include "outbox/on_poison.h"
#include "outbox/outbox_reader.h"
#include "outbox/row_key.h"
#include "outbox/settlement.h"

namespace outrider::outbox {

class Publication final {
 public:
  Publication(EventSink& sink, OnPoison on_poison, RelayProbe& probe, const Clock& clock)
      : sink_(sink), on_poison_(on_poison), probe_(probe), clock_(clock) {}

  // Where the reader puts its rows. REQUIRES: all_submitted().
  std::vector<OutboxRow>& batch() { return batch_; }
  // The first `count` of batch(), which may be fewer afterwards: a row that was refused in company is submitted alone.
  // `held`: keys that were held after those rows had been read. Gives the seq from which the reader must read again.
  // REQUIRES: all of them from the outbox, or all from outbox_held.
  std::optional<std::uint64_t> Accept(std::size_t count, HeldKeys held = {});
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
  const ReleasedRowsUnderWay& released_under_way() const { return released_; }
  std::size_t rows_under_way() const { return under_way_.size() + released_.size(); }
  // The lowest row of the outbox that must be read again, for the next reader.
  std::optional<std::uint64_t> TakeLost() { return std::exchange(lost_, std::nullopt); }
  // Whether rows of outbox_held must be read again.
  bool TakeLostReleased() { return std::exchange(lost_released_, false); }

  // A new turn. REQUIRES: nothing is waiting.
  void Begin();
  // Somebody else may have led meanwhile: forgets everything.
  void Clear();

 private:
  struct Alone {
    std::uint64_t seq = 0;
    std::uint64_t held_id = 0;
    std::string aggregatetype, aggregateid;
  };

  std::optional<std::uint64_t> PutAside(std::size_t count);
  std::optional<KeyNumber> HeldKeyOf(const OutboxRow& row) const;
  void Take(PublishReport& report);
  void Store(const PublishReport& report);
  void Bury(DeadRow row);
  void Lose(std::uint64_t seq);
  void BeginSettlement();

  EventSink& sink_;
  const OnPoison on_poison_;
  RelayProbe& probe_;
  const Clock& clock_;

  std::vector<OutboxRow> batch_;
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  RowsUnderWay under_way_;
  std::size_t waiting_ = 0;
  ReleasedRowsUnderWay released_;
  std::optional<Alone> alone_;        // submitted while nothing else was waiting, nor since
  std::set<std::uint64_t> suspects_;  // refused in company
  bool wants_quiet_ = false;

  HeldKeys held_;  // among those of batch_
  // Keys held by rows that this relay found, for as long as their settlement isn't known to be there.
  struct Holding {
    std::uint64_t above = 0;
    bool settled = false;
  };
  std::unordered_map<KeyNumber, Holding> holding_;

  std::size_t stored_ = 0;
  Settlement settlement_;
  std::map<std::pair<std::string_view, std::int32_t>, LedgerEntry> ledger_;
  std::chrono::steady_clock::time_point settles_since_{};
  std::optional<std::uint64_t> lost_;
  bool lost_released_ = false;
  std::optional<std::chrono::steady_clock::time_point> abandoned_at_;
  std::string problem_;
  std::vector<PublishReport> reports_;
};

}  // namespace outrider::outbox
