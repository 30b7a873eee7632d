// MockProvider: takes every message without a network, or fails the way it is told. For trying a set-up and for tests.
//
// Modes: success (the default), temporary_fail (kNotNow, provider_timeout), permanent_fail (kRefused, payload_invalid);
// lose_answer and lose_message give no answer the first time that a send key comes: the message was taken, or it never
// arrived. Modes that were queued are used once each, first in, first out; then the default holds. A send key that was
// taken is recognised, and who asks is told the truth about it (setting `reconcile`: unknown, then nobody is told).
// Remembers the last kMaxCalls calls and keys. Threads: safe from several, BuildRequest included. All of it is lost on
// a crash.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider_table.h"

namespace outrider::providers {

class MockProvider final : public Provider {
 public:
  enum class Mode { kSuccess, kTemporaryFail, kPermanentFail, kLoseAnswer, kLoseMessage };
  static constexpr std::string_view kName = "mock";
  static constexpr std::size_t kMaxCalls = 10'000;

  struct Call {
    Notification notification;
    SendContext context;
    Mode mode = Mode::kSuccess;
  };

  static std::optional<Mode> ParseMode(std::string_view text);
  static std::span<const SettingInfo> Settings();  // mode, reconcile
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  explicit MockProvider(Mode mode = Mode::kSuccess, bool tells = true) : mode_(mode), tells_(tells) {}
  std::string_view name() const override { return kName; }
  // Always an outcome; the message id of a success is mock_feishu_<nanoseconds of context.now>.
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;
  SendPlan BuildQuestion(const Notification& notification, const SendContext& context) const override;

  void QueueOnce(Mode mode);
  std::vector<Call> calls() const;
  std::size_t call_count() const;  // also those that are no longer remembered

 private:
  SendOutcome Take(const SendContext& context, Mode mode) const;

  const Mode mode_;
  const bool tells_;
  mutable std::mutex mutex_;
  mutable std::deque<Mode> once_;
  mutable std::deque<Call> calls_;
  mutable std::size_t call_count_ = 0;
  mutable std::map<std::string, std::string> taken_;  // message ids, by send key
  mutable std::set<std::string> seen_;                // send keys that came before
};

}  // namespace outrider::providers
