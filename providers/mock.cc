#include "providers/mock.h"

#include <fmt/format.h>

#include <array>

#include "platform/failpoint/failpoint.h"

namespace outrider::providers {
namespace {

constexpr std::string_view kModeKey = "mode";
constexpr std::string_view kReconcileKey = "reconcile";
constexpr std::array kSettings = {SettingInfo{.key = kModeKey, .required = false, .secret = false},
                                  SettingInfo{.key = kReconcileKey, .required = false, .secret = false}};

struct ModeRow {
  MockProvider::Mode mode;
  std::string_view name;
  SendVerdict verdict;
  std::string_view reason;
  std::string_view detail;
};

constexpr std::array kModes = {
    ModeRow{MockProvider::Mode::kSuccess, "success", SendVerdict::kAccepted, "", ""},
    ModeRow{MockProvider::Mode::kTemporaryFail, "temporary_fail", SendVerdict::kNotNow, "provider_timeout",
            "the mock was told to fail for now"},
    ModeRow{MockProvider::Mode::kPermanentFail, "permanent_fail", SendVerdict::kRefused, "payload_invalid",
            "the mock was told to refuse"},
    ModeRow{MockProvider::Mode::kLoseAnswer, "lose_answer", SendVerdict::kNoAnswer, "timeout",
            "the mock took it and was told to lose the answer"},
    ModeRow{MockProvider::Mode::kLoseMessage, "lose_message", SendVerdict::kNoAnswer, "timeout",
            "the mock was told to lose the message"},
};

std::string ModeSetting(const ChannelSettings& channel) { return channel.Setting(kModeKey, "success"); }
std::string ReconcileSetting(const ChannelSettings& channel) { return channel.Setting(kReconcileKey, "truth"); }

std::string MessageId(Timestamp now) {
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  return fmt::format("mock_feishu_{}", nanoseconds);
}

SendOutcome OutcomeOf(const ModeRow& row, Timestamp now) {
  SendOutcome outcome;
  outcome.verdict = row.verdict;
  outcome.reason = row.reason;
  outcome.detail = row.detail;
  outcome.answer = fmt::format(R"({{"mode":"{}","reason":"{}"}})", row.name, row.reason);
  if (row.verdict == SendVerdict::kAccepted) outcome.provider_message_id = MessageId(now);
  return outcome;
}

}  // namespace

std::optional<MockProvider::Mode> MockProvider::ParseMode(std::string_view text) {
  for (const ModeRow& row : kModes) {
    if (row.name == text) return row.mode;
  }
  return std::nullopt;
}

std::span<const SettingInfo> MockProvider::Settings() { return kSettings; }

std::vector<std::string> MockProvider::Check(const ChannelSettings& channel) {
  std::vector<std::string> faults;
  if (!ParseMode(ModeSetting(channel))) {
    faults.emplace_back("mode: must be success, temporary_fail, permanent_fail, lose_answer or lose_message");
  }
  const std::string reconcile = ReconcileSetting(channel);
  if (reconcile != "truth" && reconcile != "unknown") faults.emplace_back("reconcile: must be truth or unknown");
  return faults;
}

std::unique_ptr<Provider> MockProvider::Make(const ChannelSettings& channel) {
  return std::make_unique<MockProvider>(ParseMode(ModeSetting(channel)).value_or(Mode::kSuccess),
                                        ReconcileSetting(channel) == "truth");
}

SendOutcome MockProvider::Take(const SendContext& context, Mode mode) const {
  const bool again = !context.send_key.empty() && seen_.contains(context.send_key);
  const bool loses = !again && (mode == Mode::kLoseAnswer || mode == Mode::kLoseMessage);
  if (!context.send_key.empty()) seen_.insert(context.send_key);
  if (seen_.size() > kMaxCalls) seen_.erase(seen_.begin());
  if (again && (mode == Mode::kLoseAnswer || mode == Mode::kLoseMessage)) mode = Mode::kSuccess;
  SendOutcome outcome;
  for (const ModeRow& row : kModes) {
    if (row.mode == mode) outcome = OutcomeOf(row, context.now);
  }
  const bool taken = outcome.verdict == SendVerdict::kAccepted || (loses && mode == Mode::kLoseAnswer);
  if (taken && !context.send_key.empty()) {
    const auto [entry, fresh] = taken_.try_emplace(context.send_key, MessageId(context.now));
    if (outcome.verdict == SendVerdict::kAccepted) outcome.provider_message_id = entry->second;
    if (fresh && taken_.size() > kMaxCalls) taken_.erase(taken_.begin());
  }
  return outcome;
}

SendPlan MockProvider::BuildQuestion(const Notification&, const SendContext& context) const {
  const std::lock_guard lock(mutex_);
  SendOutcome outcome;
  // What came to another process it can't know.
  if (!tells_ || !seen_.contains(context.send_key)) {
    outcome.reason = "not_told";
    outcome.detail = tells_ ? "the mock doesn't remember it" : "the mock was told to tell nobody";
    return outcome;
  }
  const auto taken = taken_.find(context.send_key);
  if (taken == taken_.end()) {
    outcome.verdict = SendVerdict::kNotNow;
    outcome.reason = kNotTaken;
    outcome.detail = "the mock never took it";
    return outcome;
  }
  outcome.verdict = SendVerdict::kAccepted;
  outcome.provider_message_id = taken->second;
  return outcome;
}

SendPlan MockProvider::BuildRequest(const Notification& notification, const SendContext& context) const {
  (void)PassFailpoint(Failpoint::kMockBeforeTaking);
  const std::lock_guard lock(mutex_);
  Mode mode = mode_;
  if (!once_.empty()) {
    mode = once_.front();
    once_.pop_front();
  }
  calls_.push_back({notification, context, mode});
  if (calls_.size() > kMaxCalls) calls_.pop_front();
  ++call_count_;
  return Take(context, mode);
}

SendOutcome MockProvider::ReadResponse(const http::HttpResponse& response) const {
  SendOutcome outcome;
  outcome.verdict = SendVerdict::kNoAnswer;
  outcome.reason = "unreadable_answer";
  outcome.detail = "the mock asks nobody";
  outcome.http_status = response.status;
  return outcome;
}

void MockProvider::QueueOnce(Mode mode) {
  const std::lock_guard lock(mutex_);
  once_.push_back(mode);
}

std::vector<MockProvider::Call> MockProvider::calls() const {
  const std::lock_guard lock(mutex_);
  return {calls_.begin(), calls_.end()};
}

std::size_t MockProvider::call_count() const {
  const std::lock_guard lock(mutex_);
  return call_count_;
}

}  // namespace outrider::providers
