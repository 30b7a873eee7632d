// MockProvider: takes every message without a network, or fails the way it is told. For trying a set-up and for tests.
//
// Modes: success (the default), temporary_fail (kNotNow, provider_timeout), permanent_fail (kRefused, payload_invalid).
// Modes that were queued are used once each, first in, first out; then the default holds. Remembers the last kMaxCalls
// calls. Threads: safe from several, BuildRequest included. The calls are lost on a crash.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider_table.h"

namespace outrider::providers {

class MockProvider final : public Provider {
 public:
  enum class Mode { kSuccess, kTemporaryFail, kPermanentFail };
  static constexpr std::string_view kName = "mock";
  static constexpr std::size_t kMaxCalls = 10'000;

  struct Call {
    Notification notification;
    SendContext context;
    Mode mode = Mode::kSuccess;
  };

  static std::optional<Mode> ParseMode(std::string_view text);
  static std::span<const SettingInfo> Settings();  // mode
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  explicit MockProvider(Mode mode = Mode::kSuccess) : mode_(mode) {}
  std::string_view name() const override { return kName; }
  // Always an outcome; the message id of a success is mock_feishu_<nanoseconds of context.now>.
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;

  void QueueOnce(Mode mode);
  std::vector<Call> calls() const;
  std::size_t call_count() const;  // also those that are no longer remembered

 private:
  const Mode mode_;
  mutable std::mutex mutex_;
  mutable std::deque<Mode> once_;
  mutable std::deque<Call> calls_;
  mutable std::size_t call_count_ = 0;
};

}  // namespace outrider::providers
