#include "consumer/sealed_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "consumer/event_reader.h"
#include "model/dedupe_key.h"
#include "platform/crypto/hmac.h"

namespace outrider::consumer {
namespace {

using Json = nlohmann::json;

// Every name that a fault may point at and that isn't the request's own.
constexpr std::array<std::string_view, 51> kKnownNames = {"",
                                                          "headers",
                                                          "createdAt",
                                                          "payload",
                                                          "data",
                                                          "data_base64",
                                                          "datacontenttype",
                                                          "specversion",
                                                          "id",
                                                          "source",
                                                          "type",
                                                          "time",
                                                          "tenant",
                                                          "channel",
                                                          "dedupe_key",
                                                          "recipient",
                                                          "message",
                                                          "template",
                                                          "variables",
                                                          "locale",
                                                          "fallback_text",
                                                          "priority",
                                                          "scheduled_at",
                                                          "expires_at",
                                                          "ordering_key",
                                                          "max_attempts",
                                                          "private",
                                                          "attachments",
                                                          "metadata",
                                                          "name",
                                                          "url",
                                                          "file_key",
                                                          "text",
                                                          "title",
                                                          "markdown",
                                                          "card",
                                                          "html",
                                                          "subject",
                                                          "user_id",
                                                          "preview_id",
                                                          "target_url",
                                                          "requested_at",
                                                          "event_type",
                                                          "event_version",
                                                          "event_id",
                                                          "outbox_id",
                                                          "content-type",
                                                          "ce_id",
                                                          "ce_specversion",
                                                          "ce_type",
                                                          "ce_source"};

std::string RecordContext(const Digest& dedupe_hash) { return fmt::format("record\n{}", ToHex(AsBytes(dedupe_hash))); }

std::string ContextOf(const Record& record) {
  return RecordContext(DedupeHash(record.tenant, record.channel, record.dedupe_key));
}

std::optional<std::string> Open(const Record& record, const crypto::Sealer& sealer) {
  const auto bytes = crypto::DecodeBase64(record.request);
  if (!bytes) return std::nullopt;
  return sealer.Open(record.sealed_by, *bytes, ContextOf(record));
}

bool HoldsPrivate(const Json& json) {
  if (json.is_array()) return std::ranges::any_of(json, &HoldsPrivate);
  if (!json.is_object()) return false;
  for (const auto& [name, value] : json.items()) {
    if (name == "private" && value != false) return true;
    if (name == "data_base64" && value.is_string()) {
      const auto inner = crypto::DecodeBase64(value.get_ref<const std::string&>());
      if (!inner || MayBePrivate(*inner)) return true;
    }
    if (HoldsPrivate(value)) return true;
  }
  return false;
}

bool IsIndex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::optional<SealedRequest> SealRequest(const crypto::Sealer& sealer, const NotificationRequest& request,
                                         std::string_view request_json, const Digest& dedupe_hash,
                                         const Digest& content_hash) {
  SealedRequest sealed;
  auto body = sealer.Seal(request_json, RecordContext(dedupe_hash));
  const auto contents = sealer.Macs("content", AsBytes(content_hash));
  const auto recipients = sealer.Macs("recipient", request.recipient);
  if (!body || contents.empty() || recipients.empty()) return std::nullopt;
  sealed.key_id = std::move(body->key_id);
  sealed.text = crypto::Base64(body->bytes);
  if (!request.recipient.empty()) {
    const auto& mac = recipients.front();
    sealed.recipient = fmt::format("{}{}:{}", kRecipientMac, mac.key_id, ToHex(mac.bytes));
  }
  for (const auto& mac : contents) {
    sealed.content_hashes.push_back(DigestFromBytes(mac.bytes).value());
  }
  return sealed;
}

std::optional<Change> OpenRequest(Record& record, const crypto::Sealer* sealer) {
  if (record.sealed_by.empty()) return std::nullopt;
  if (sealer == nullptr || !sealer->Knows(record.sealed_by)) {
    Change change = MakeChange(record, DeliveryEvent::kRescheduled, kRecordMoved);
    change.parked_by = fmt::format("{}{}", kParkedBySealingKey, record.sealed_by);
    change.held = Change::Held::kYes;
    return change;
  }
  record.request = Open(record, *sealer).value_or("");
  return std::nullopt;
}

std::optional<std::string> SealAnew(const Record& record, const crypto::Sealer& sealer) {
  const auto clear = Open(record, sealer);
  const auto sealed = clear ? sealer.Seal(*clear, ContextOf(record)) : std::nullopt;
  if (!sealed) return std::nullopt;
  return crypto::Base64(sealed->bytes);
}

bool IsKeyThere(std::string_view parked_by, const crypto::Sealer* sealer) {
  return sealer != nullptr && parked_by.starts_with(kParkedBySealingKey) &&
         sealer->Knows(parked_by.substr(kParkedBySealingKey.size()));
}

RequestFault LacksKey() {
  return {
      "/private",
      "is true, and no key is configured to seal it under (sealing.keys); its bytes aren't kept here, only its place "
      "in the log"};
}

bool LacksKey(const Event& event, const crypto::Sealer* sealer) {
  if (sealer != nullptr && sealer->has_keys()) return false;
  if (!event.value || !MayBePrivate(*event.value)) return false;
  const EventReading reading = ReadEvent(event);
  return reading.request && reading.request->is_private;
}

std::string RejectedContext(const EventPosition& position) {
  return fmt::format("rejected\n{}\n{}\n{}", position.topic, position.partition, position.offset);
}

bool MayBePrivate(std::string_view value) {
  if (const auto canonical = value.size() <= kMaxPayloadBytes ? CanonicalJson(value) : std::nullopt) {
    return HoldsPrivate(Json::parse(*canonical));
  }
  // \u00 begins the escapes that letters of "private" could hide in.
  constexpr std::array<std::string_view, 3> kSigns = {"private", "\\u00", "data_base64"};
  return std::ranges::any_of(kSigns, [&](std::string_view sign) { return value.find(sign) != std::string_view::npos; });
}

void HideNames(std::vector<RequestFault>& faults) {
  for (RequestFault& fault : faults) {
    std::string hidden;
    std::string_view rest = fault.pointer;
    std::string_view above;
    while (true) {
      const std::size_t end = rest.find('/');
      const std::string_view name = rest.substr(0, end);
      const bool known =
          std::ranges::find(kKnownNames, name) != kKnownNames.end() || (above == "attachments" && IsIndex(name));
      hidden += known ? name : "*";
      if (end == std::string_view::npos) break;
      hidden += '/';
      above = name;
      rest.remove_prefix(end + 1);
    }
    fault.pointer = std::move(hidden);
  }
}

}  // namespace outrider::consumer
