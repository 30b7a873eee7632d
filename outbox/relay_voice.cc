#include "outbox/relay_voice.h"

#include <fmt/format.h>

#include <utility>

namespace outrider::outbox {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRepeatComplaint{60'000};
constexpr milliseconds kOtherComplaint{5'000};

}  // namespace

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

}  // namespace outrider::outbox
