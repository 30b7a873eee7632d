#include "consumer/smartflow_event.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "model/message_text.h"
#include "model/text.h"

namespace outrider::consumer {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kEventType = "notification.feishu.requested";
constexpr std::string_view kEventVersion = "1";
constexpr std::string_view kChannel = "feishu";
constexpr std::array<std::string_view, 2> kTargetPrefixes = {"/assistant/", "/schedule-adjust/"};
constexpr std::array<std::string_view, 13> kPayloadFields = {
    "notification_id", "user_id",    "trigger_id",   "preview_id",    "trigger_type", "target_type", "target_id",
    "dedupe_key",      "target_url", "summary_text", "fallback_text", "trace_id",     "requested_at"};
// What the webhook's body and "why was this sent?" need; the texts themselves are never metadata.
constexpr std::array<std::string_view, 10> kMetadataFields = {
    "notification_id", "user_id",   "trigger_id", "preview_id", "trigger_type",
    "target_type",     "target_id", "target_url", "trace_id",   "requested_at"};

// A path of the application: "/assistant/42", never a way out of it.
std::string_view TargetProblem(std::string_view url) {
  if (url.find("://") != std::string_view::npos || url.starts_with("//")) return "must be a path, not a link";
  if (std::ranges::none_of(kTargetPrefixes, [&](std::string_view prefix) { return url.starts_with(prefix); })) {
    return "must begin with /assistant/ or /schedule-adjust/";
  }
  if (std::ranges::any_of(url, [](unsigned char c) { return c <= 0x20 || c == 0x7F || c == '\\'; })) {
    return "must not hold white space, control characters or backslashes";
  }
  std::string path(url.substr(0, url.find_first_of("?#")));
  for (const std::string_view dot : {"%2e", "%2E"}) {
    for (auto at = path.find(dot); at != std::string::npos; at = path.find(dot)) path.replace(at, dot.size(), ".");
  }
  if ((path + '/').find("/../") != std::string::npos) return "must not hold the path segment ..";
  return "";
}

class SmartFlowReader {
 public:
  explicit SmartFlowReader(const Json& envelope) : envelope_(envelope) {}

  EventReading Read() && {
    CheckTypeAndVersion();
    reading_.event_id = Scalar(envelope_, "/", "event_id");
    if (reading_.event_id.empty()) reading_.event_id = Scalar(envelope_, "/", "outbox_id");
    const auto payload = envelope_.find("payload");
    if (payload == envelope_.end() || !payload->is_object()) {
      Fault("invalid_envelope", "/payload", "must be an object");
      return std::move(reading_);
    }
    reading_.content_hash = Sha256(payload->dump());
    for (const auto& [name, value] : payload->items()) {
      if (std::ranges::find(kPayloadFields, name) == kPayloadFields.end()) {
        reading_.unknown_fields.push_back("/payload/" + name);
      }
    }
    ReadPayload(*payload);
    return std::move(reading_);
  }

 private:
  void Fault(std::string_view reason, std::string pointer, std::string problem) {
    // A field of a wrong type is looked at more than once.
    if (std::ranges::find(reading_.faults, pointer, &RequestFault::pointer) != reading_.faults.end()) return;
    if (reading_.reason.empty()) reading_.reason = reason;
    reading_.faults.push_back({std::move(pointer), std::move(problem)});
  }

  // Trimmed; numbers as their digits; empty when the field is absent or null. Another type is a fault.
  std::string Scalar(const Json& object, std::string_view where, std::string_view name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return "";
    if (found->is_number_integer()) return found->dump();
    if (found->is_string()) return std::string(TrimSpace(found->get_ref<const std::string&>()));
    Fault(&object == &envelope_ ? "invalid_envelope" : "invalid_request", fmt::format("{}{}", where, name),
          "must be a string or an integer");
    return "";
  }

  void CheckTypeAndVersion() {
    if (Scalar(envelope_, "/", "event_type") != kEventType) {
      Fault("unknown_event_type", "/event_type", fmt::format("must be {}", kEventType));
    }
    const std::string version = Scalar(envelope_, "/", "event_version");
    if (!version.empty() && version != kEventVersion) {
      Fault("unknown_event_version", "/event_version", fmt::format("must be {} or empty", kEventVersion));
    }
  }

  void ReadPayload(const Json& payload) {
    constexpr std::string_view kWhere = "/payload/";
    const auto text = [&](std::string_view name) { return Scalar(payload, kWhere, name); };

    const auto user = payload.find("user_id");
    if (user == payload.end() || !user->is_number_integer() || *user <= 0) {
      Fault("invalid_request", "/payload/user_id", "must be an integer above 0");
    }
    for (const std::string_view name : {"preview_id", "dedupe_key", "target_url"}) {
      if (text(name).empty()) Fault("invalid_request", fmt::format("{}{}", kWhere, name), "is missing or blank");
    }
    const std::string target = text("target_url");
    if (const auto problem = TargetProblem(target); !target.empty() && !problem.empty()) {
      Fault("invalid_request", "/payload/target_url", std::string(problem));
    }
    reading_.created_at = ParseRfc3339(text("requested_at"));
    if (!reading_.created_at) {
      Fault("invalid_request", "/payload/requested_at",
            "must be an RFC 3339 time with an offset, from 1970 to 9999, such as 2026-11-24T05:11:41Z");
    }

    SummaryChoice choice = ChooseSummary(text("summary_text"), text("fallback_text"));
    NotificationRequest request;
    request.channel = kChannel;
    request.dedupe_key = text("dedupe_key");
    request.recipient = "user:" + text("user_id");
    request.message = Message{.kind = Message::Kind::kText, .text = BuildMessageText(choice, target)};
    for (const std::string_view name : kMetadataFields) {
      if (std::string value = text(name); !value.empty()) request.metadata.emplace(name, std::move(value));
    }
    request.metadata.emplace("fallback_used", choice.fallback_used ? "true" : "false");
    choice.fallback_used = true;
    request.fallback_text = BuildMessageText(choice, target);
    Check(std::move(request));
  }

  // The limits of every request hold for this one too.
  void Check(NotificationRequest request) {
    if (!reading_.faults.empty()) return;
    RequestReading checked = ParseRequest(ToJson(request));
    for (RequestFault& fault : checked.faults) {
      Fault("invalid_request", "/payload" + fault.pointer, std::move(fault.problem));
    }
    reading_.request = std::move(checked.request);
  }

  const Json& envelope_;
  EventReading reading_;
};

}  // namespace

std::optional<EventReading> ReadSmartFlowEvent(std::string_view value) {
  // Most values are requests; these two names tell without a tree.
  const bool may_be =
      value.find("\"event_type\"") != std::string_view::npos || value.find("\"outbox_id\"") != std::string_view::npos;
  if (!may_be || value.size() > kMaxPayloadBytes) return std::nullopt;
  const auto canonical = CanonicalJson(value);
  if (!canonical) return std::nullopt;
  const Json envelope = Json::parse(*canonical);
  const bool is_envelope = envelope.is_object() && !envelope.contains("dedupe_key") && !envelope.contains("channel") &&
                           (envelope.contains("event_type") || envelope.contains("outbox_id"));
  if (!is_envelope) return std::nullopt;
  return SmartFlowReader(envelope).Read();
}

}  // namespace outrider::consumer
