#include "consumer/claim.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "model/dedupe_key.h"
#include "model/digest.h"
#include "providers/message_forms.h"
#include "providers/provider_table.h"

namespace outrider::consumer {
namespace {

constexpr std::size_t kTokenOwner = 46;  // with '#' and a counter it fits lease_owner
// Feishu would take 50.
constexpr std::size_t kSendKey = 40;

}  // namespace

// An owner's name ends with what makes it unique.
ClaimTokens::ClaimTokens(std::string_view owner)
    : prefix_(owner.substr(owner.size() - std::min(owner.size(), kTokenOwner))) {}

std::string ClaimTokens::Next() { return fmt::format("{}#{:x}", prefix_, ++count_); }

// Derived, not drawn: a database that was put back to where the key wasn't stored yet leads to the same one. What is
// sent anew (a replay, another content) begins at a later attempt.
std::string SendKeyOf(const Record& record, const providers::ChannelSettings& channel) {
  const providers::ProviderInfo* info = providers::FindProvider(channel.provider);
  if (info == nullptr || !info->has_send_key) return "";
  if (!record.send_key.empty()) return record.send_key;
  const Digest identity = DedupeHash(record.tenant, record.channel, record.dedupe_key);
  return ToHex(AsBytes(Sha256(fmt::format("{}\n{}", AsBytes(identity), record.attempt_no)))).substr(0, kSendKey);
}

providers::Notification MakeNotification(Record& record, NotificationRequest request) {
  const Message message = request.message ? std::move(*request.message)
                                          : Message{.kind = Message::Kind::kText, .text = request.fallback_text};
  std::vector<Message> forms = providers::FormsOf(message, request.fallback_text);
  const auto form = std::min(static_cast<std::size_t>(record.form_no), forms.size() - 1);
  record.has_simpler = form + 1 < forms.size();
  providers::Notification notification;
  notification.record_id = record.id;
  notification.tenant = record.tenant;
  notification.channel = record.channel;
  notification.dedupe_key = record.dedupe_key;
  notification.recipient = std::move(request.recipient);
  notification.message = std::move(forms[form]);
  notification.fallback_text = std::move(request.fallback_text);
  notification.attachments = std::move(request.attachments);
  notification.metadata = std::move(request.metadata);
  notification.attempt = record.attempt_no + 1;
  notification.is_private = record.is_private;
  return notification;
}

Change GiveClaimBack(const Record& record, std::string_view token) {
  Change change = MakeChange(record, DeliveryEvent::kHeld, kRecordReturned);
  change.claim = token;
  change.due_in = std::chrono::microseconds{0};
  change.give_attempt_back = true;
  return change;
}

}  // namespace outrider::consumer
