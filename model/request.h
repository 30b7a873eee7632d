// The notification request: what an application writes into its outbox.
//
// ParseRequest reads the JSON payload and names every fault at once. Structure alone decides: whether a channel or a
// template exists is not looked at here. model/request.schema.json says the same as JSON Schema, and a test holds the
// two against each other. Values and pure functions.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/digest.h"
#include "model/time.h"

namespace outrider {

enum class Priority { kHigh = 0, kNormal = 1, kLow = 2 };
std::string_view ToString(Priority priority);

// What the recipient sees. `text` holds the text, the Markdown or the HTML; `card` the provider's own JSON, canonical.
struct Message {
  enum class Kind { kText, kTitledText, kMarkdown, kCard, kHtml };
  Kind kind = Kind::kText;
  std::string title;  // kTitledText, kMarkdown: the title; kHtml: the subject
  std::string text;
  std::string card;
  friend bool operator==(const Message&, const Message&) = default;
};

struct Attachment {
  std::string name;
  std::string url;  // exactly one of url and file_key is set
  std::string file_key;
  friend bool operator==(const Attachment&, const Attachment&) = default;
};

struct NotificationRequest {
  std::string tenant = "default";
  std::string channel;     // trimmed
  std::string dedupe_key;  // trimmed
  std::string recipient;
  std::optional<Message> message;  // either message or template_code is set
  std::string template_code;
  std::string variables = "{}";  // canonical JSON object
  std::string locale;
  std::string fallback_text;
  Priority priority = Priority::kNormal;
  std::optional<Timestamp> scheduled_at;
  std::optional<Timestamp> expires_at;
  std::string ordering_key;
  std::optional<int> max_attempts;
  bool is_private = false;
  std::vector<Attachment> attachments;
  std::map<std::string, std::string> metadata;
  friend bool operator==(const NotificationRequest&, const NotificationRequest&) = default;
};

// Where a request is wrong: a JSON pointer ("/message/text", "" for the whole) and a sentence for people, without the
// values themselves.
struct RequestFault {
  std::string pointer;
  std::string problem;
};

struct RequestReading {
  std::optional<NotificationRequest> request;  // set when there is no fault
  std::vector<RequestFault> faults;
  std::vector<std::string> unknown_fields;  // JSON pointers; kept in the payload, ignored, counted
  Digest content_hash{};                    // of the canonical JSON; set when the payload is JSON at all
};

// Limits that are part of the contract: characters unless the name says bytes.
inline constexpr std::size_t kMaxDedupeKey = 191;
inline constexpr std::size_t kMaxChannel = 64;
inline constexpr std::size_t kMaxTenant = 64;
inline constexpr std::size_t kMaxRecipient = 255;
inline constexpr std::size_t kMaxOrderingKey = 191;
inline constexpr int kMaxMaxAttempts = 1000;
inline constexpr std::size_t kMaxPayloadBytes = 1 << 20;
inline constexpr int kMaxJsonDepth = 64;  // the whole is level 1
// A payload with more faults than this names these, and counts the others in a last one.
inline constexpr std::size_t kMaxFaults = 100;

// Total: any bytes give a reading. Bounded by kMaxPayloadBytes and kMaxJsonDepth.
RequestReading ParseRequest(std::string_view payload);
// The request as canonical JSON: what ParseRequest(ToJson(r)) gives back equals r, for each r that ParseRequest could
// give. Total: bytes that aren't UTF-8 become U+FFFD, and a card or variables that aren't JSON become a text that
// ParseRequest refuses.
std::string ToJson(const NotificationRequest& request);
// Sorted keys, no white space, the last of repeated keys; nothing when the text isn't JSON or is
// deeper than kMaxJsonDepth. MySQL normalises JSON columns and
// MariaDB doesn't, so contents are compared by the hash of this form.
std::optional<std::string> CanonicalJson(std::string_view json);
std::string MessageToJson(const Message& message);

// "/dedupe_key: is missing; /channel: ..." in one line.
std::string Describe(const std::vector<RequestFault>& faults);

}  // namespace outrider
