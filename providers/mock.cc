#include "providers/mock.h"

#include <fmt/format.h>

#include <array>

namespace outrider::providers {
namespace {

constexpr std::string_view kModeKey = "mode";
constexpr std::array kSettings = {SettingInfo{.key = kModeKey, .required = false, .secret = false}};

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
};

std::string ModeSetting(const ChannelSettings& channel) {
  const auto found = channel.settings.find(std::string(kModeKey));
  return found == channel.settings.end() ? "success" : found->second.Reveal();
}

SendOutcome OutcomeOf(const ModeRow& row, Timestamp now) {
  SendOutcome outcome;
  outcome.verdict = row.verdict;
  outcome.reason = row.reason;
  outcome.detail = row.detail;
  outcome.answer = fmt::format(R"({{"mode":"{}","reason":"{}"}})", row.name, row.reason);
  if (row.verdict == SendVerdict::kAccepted) {
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
    outcome.provider_message_id = fmt::format("mock_feishu_{}", nanoseconds);
  }
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
  if (ParseMode(ModeSetting(channel))) return {};
  return {"mode: must be success, temporary_fail or permanent_fail"};
}

std::unique_ptr<Provider> MockProvider::Make(const ChannelSettings& channel) {
  return std::make_unique<MockProvider>(ParseMode(ModeSetting(channel)).value_or(Mode::kSuccess));
}

SendPlan MockProvider::BuildRequest(const Notification& notification, const SendContext& context) const {
  const std::lock_guard lock(mutex_);
  Mode mode = mode_;
  if (!once_.empty()) {
    mode = once_.front();
    once_.pop_front();
  }
  calls_.push_back({notification, context, mode});
  if (calls_.size() > kMaxCalls) calls_.pop_front();
  ++call_count_;
  for (const ModeRow& row : kModes) {
    if (row.mode == mode) return OutcomeOf(row, context.now);
  }
  return SendOutcome{};
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
