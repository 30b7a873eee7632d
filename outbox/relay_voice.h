// RelayVoice: what a relay says of itself: its part of /readyz?verbose, and a log that isn't flooded by an outage.
// Threads: the relay's.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "metrics/health.h"
#include "metrics/log.h"
#include "model/time.h"
#include "outbox/held_store.h"
#include "outbox/settlement.h"

namespace outrider::outbox {

// "; 2 keys are held, ..." or nothing: dead rows and what waits behind them.
std::string WordsOf(const HeldCounts& counts);

class RelayVoice final {
 public:
  RelayVoice(std::string source, const Clock& clock, Health& health, Log& log);

  const std::string& part() const { return part_; }
  void Say(bool delivers, std::string words);
  // It can't go on: said each time, logged when it is new, and each minute.
  void Complain(const std::string& problem);
  // Rows wait for the sink.
  void Stalled(const std::string& trouble, std::chrono::milliseconds time, std::size_t rows);
  void AllIsWell(std::string words);
  // What the settlement did that concerns people; `gone`: rows that it deleted.
  void Settled(const Settlement& settlement, std::size_t gone);
  // Nothing of that key is held any more.
  void Freed(std::string_view aggregatetype, std::string_view aggregateid);

 private:
  const std::string source_;
  const std::string part_;
  const Clock& clock_;
  Health& health_;
  Log& log_;
  std::string said_;
  bool said_delivers_ = false;
  std::string complaint_;
  std::chrono::steady_clock::time_point complained_at_{};
};

}  // namespace outrider::outbox
