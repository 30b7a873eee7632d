#include <map>
#include <stdexcept>

#include "consumer/event_reader.h"
#include "consumer/settlement.h"
#include "providers/mock.h"
#include "providers/provider_table.h"
#include "providers/smartflow_profile.h"
#include "tests/integration/smartflow/notification_service.h"

namespace outrider::consumer {
namespace {

using std::chrono::microseconds;

constexpr double kNoJitter = 0.5;

class MemoryService final : public NotificationService {
 public:
  MemoryService() {
    channel_.code = "feishu";
    channel_.provider = "mock";
    ApplySmartFlowProfile(channel_);
  }

  std::string Handle(const std::string& event) override {
    Event read;
    read.position = {"t", 0, ++offset_};
    read.value = event;
    EventReading reading = ReadEvent(read);
    if (!reading.request) return "rejected " + reading.reason;
    const std::string key = reading.request->dedupe_key;
    const auto [entry, fresh] = entries_.try_emplace(key);
    if (!fresh) return "reused";
    entry->second.request = std::move(*reading.request);
    entry->second.record.id = static_cast<std::int64_t>(entries_.size());
    entry->second.record.version = 1;
    entry->second.due = now_;
    return "recorded";
  }

  RetryCounts Retry() override {
    RetryCounts counts;
    for (auto& [key, entry] : entries_) {
      const DeliveryStatus status = entry.record.status;
      if (!IsOpen(status) || entry.due > now_) continue;
      ++counts.scanned;
      ++counts.retried;
      if (status == DeliveryStatus::kSending) {
        Apply(entry, Recover(entry.record, Rules(), kNoJitter));
      } else {
        Deliver(entry);
      }
      Count(counts, entry.record.status);
    }
    return counts;
  }

  void Interrupt(const std::string& dedupe_key) override {
    Entry& entry = entries_.at(dedupe_key);
    Claim(entry.record);
    entry.due = now_ + kLease;
  }
  void Pass(std::chrono::seconds time) override { now_ += time; }
  void SetMode(const std::string& mode) override {
    channel_.settings.insert_or_assign("mode", Secret(mode));
    mock_ = MakeMock();
  }
  void Disable() override { channel_.enabled = false; }

  NotificationState Find(const std::string& dedupe_key) override {
    NotificationState state;
    const auto found = entries_.find(dedupe_key);
    if (found == entries_.end()) return state;
    const Entry& entry = found->second;
    state.status = ToString(entry.record.status);
    state.error_code = entry.record.reason;
    state.attempts = entry.record.attempt_no;
    state.next_retry = entry.delay;
    state.has_message_id = !entry.message_id.empty();
    state.text = entry.request.message->text;
    state.fallback_used = entry.request.metadata.at("fallback_used");
    return state;
  }
  std::size_t records() override { return entries_.size(); }

 private:
  struct Entry {
    NotificationRequest request;
    Record record;
    std::chrono::seconds due{0};
    std::chrono::seconds delay{0};
    std::string message_id;
  };

  static bool IsOpen(DeliveryStatus status) {
    return status == DeliveryStatus::kPending || status == DeliveryStatus::kFailed ||
           status == DeliveryStatus::kSending;
  }
  std::unique_ptr<providers::Provider> MakeMock() const { return providers::FindProvider("mock")->make(channel_); }

  static void Count(RetryCounts& counts, DeliveryStatus status) {
    if (status == DeliveryStatus::kSent) ++counts.sent;
    if (status == DeliveryStatus::kFailed) ++counts.failed;
    if (status == DeliveryStatus::kDead) ++counts.dead;
    if (status == DeliveryStatus::kSkipped) ++counts.skipped;
  }

  SendOutcome Outcome(const Entry& entry) const {
    if (!channel_.enabled) {
      SendOutcome outcome;
      outcome.verdict = SendVerdict::kUnreachable;
      outcome.reason = channel_.disabled_reason;
      return outcome;
    }
    providers::Notification notification;
    notification.record_id = entry.record.id;
    notification.message = *entry.request.message;
    return std::get<SendOutcome>(mock_->BuildRequest(notification, {.now = Timestamp{now_}}));
  }

  SettleRules Rules() const { return {channel_, std::chrono::hours{72}}; }

  static void Claim(Record& record) {
    record.status = Next(record.status, DeliveryEvent::kClaimed).value();
    ++record.version;
    ++record.attempt_no;
    ++record.attempts_spent;
  }

  void Deliver(Entry& entry) {
    Claim(entry.record);
    Apply(entry, Settle(entry.record, Outcome(entry), Rules(), std::chrono::milliseconds{0}, kNoJitter));
  }

  void Apply(Entry& entry, const Change& change) const {
    Record& record = entry.record;
    record.status = change.to;
    record.reason = change.reason;
    record.uncertain = change.uncertain;
    ++record.version;
    entry.delay = std::chrono::duration_cast<std::chrono::seconds>(change.due_in.value_or(microseconds{0}));
    entry.due = now_ + entry.delay;
    entry.message_id = change.provider_message_id;
  }

  providers::ChannelSettings channel_;
  std::unique_ptr<providers::Provider> mock_ = providers::FindProvider("mock")->make(providers::ChannelSettings{});
  std::map<std::string, Entry> entries_;
  std::chrono::seconds now_{1'000'000};
  std::int64_t offset_ = 0;
};

}  // namespace

std::unique_ptr<NotificationService> MakeMemoryService() { return std::make_unique<MemoryService>(); }

}  // namespace outrider::consumer
