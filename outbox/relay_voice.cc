#include "outbox/relay_voice.h"

#include <fmt/format.h>

#include <utility>

namespace outrider::outbox {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRepeatComplaint{60'000};
constexpr milliseconds kOtherComplaint{5'000};

std::string Counted(std::size_t count, std::string_view noun) {
  return fmt::format("{}{} {}{}", count >= kHeldCap ? "at least " : "", count, noun, count == 1 ? "" : "s");
}

}  // namespace

std::string WordsOf(const HeldCounts& counts) {
  if (counts.dead == 0 && counts.keys == 0) return "";
  std::string words = fmt::format("; {} in outbox_dead", Counted(counts.dead, "row"));
  if (counts.keys > 0)
    words += fmt::format(", {} held with {}", Counted(counts.keys, "key"), Counted(counts.rows, "row"));
  return words + ": see outrider outbox ls";
}

RelayVoice::RelayVoice(std::string source, const Clock& clock, Health& health, Log& log)
    : source_(std::move(source)), part_("relay " + source_), clock_(clock), health_(health), log_(log) {}

void RelayVoice::Say(bool delivers, std::string words) {
  if (words == said_ && delivers == said_delivers_) return;
  health_.SetPart(part_, delivers, words);
  said_ = std::move(words);
  said_delivers_ = delivers;
}

void RelayVoice::Complain(const std::string& problem) {
  Say(false, "waits: " + problem);
  const auto now = clock_.SteadyNow();
  const bool first = complaint_.empty();
  const bool changed = problem != complaint_ && now - complained_at_ > kOtherComplaint;
  if (!first && !changed && now - complained_at_ < kRepeatComplaint) return;
  log_.Warn("relay.waits", {{"source", source_}, {"why", problem}});
  complaint_ = problem;
  complained_at_ = now;
}

void RelayVoice::Stalled(const std::string& trouble, milliseconds time, std::size_t rows) {
  const std::string why = trouble.empty() ? "no report from the sink" : trouble;
  Say(false, fmt::format("waits: {} for {} s", why, std::chrono::floor<std::chrono::seconds>(time).count()));
  const auto now = clock_.SteadyNow();
  if (complaint_ == "the sink" && now - complained_at_ < kRepeatComplaint) return;
  log_.Warn("relay.waits", {{"source", source_}, {"why", why}, {"rows", rows}});
  complaint_ = "the sink";
  complained_at_ = now;
}

void RelayVoice::AllIsWell(std::string words) {
  if (!complaint_.empty()) log_.Info("relay.resumes", {{"source", source_}});
  complaint_.clear();
  if (!words.empty()) Say(true, std::move(words));
}

void RelayVoice::Settled(const Settlement& settlement, std::size_t gone) {
  for (const DeadRow& dead : settlement.dead) {
    log_.Warn("relay.row_moved_to_dead", {{"source", source_},
                                          {"seq", dead.seq},
                                          {"aggregatetype", dead.aggregatetype},
                                          {"aggregateid", dead.aggregateid},
                                          {"reason", dead.reason},
                                          {"detail", dead.detail},
                                          {"holds_key", dead.holds ? "true" : "false"}});
  }
  if (gone != settlement.rows()) {
    log_.Warn("relay.rows_were_gone", {{"source", source_}, {"expected", settlement.rows()}, {"deleted", gone}});
  }
}

void RelayVoice::Freed(std::string_view aggregatetype, std::string_view aggregateid) {
  log_.Info("relay.key_released",
            {{"source", source_}, {"aggregatetype", aggregatetype}, {"aggregateid", aggregateid}});
}

}  // namespace outrider::outbox
