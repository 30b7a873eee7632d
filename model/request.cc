#include "model/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "model/text.h"

namespace outrider {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 17> kFields = {
    "tenant",       "channel",      "dedupe_key",    "recipient",   "message",      "template",
    "variables",    "locale",       "fallback_text", "priority",    "scheduled_at", "expires_at",
    "ordering_key", "max_attempts", "private",       "attachments", "metadata"};
constexpr std::array<std::string_view, 3> kAttachmentFields = {"name", "url", "file_key"};
constexpr std::array<std::string_view, 6> kMessageFields = {"text", "title", "markdown", "card", "html", "subject"};

struct MessageForm {
  Message::Kind kind;
  std::string_view title;  // the title's field, empty when the form has none
  std::string_view body;
};
constexpr std::array kMessageForms = {
    MessageForm{Message::Kind::kText, "", "text"}, MessageForm{Message::Kind::kTitledText, "title", "text"},
    MessageForm{Message::Kind::kMarkdown, "title", "markdown"}, MessageForm{Message::Kind::kCard, "", "card"},
    MessageForm{Message::Kind::kHtml, "subject", "html"}};

const MessageForm& FormOf(Message::Kind kind) { return *std::ranges::find(kMessageForms, kind, &MessageForm::kind); }

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Looks at brackets only. Whatever a parser accepts of these bytes is no deeper than what is found here, and it runs
// before a tree is built, whose writing recurses.
bool IsTooDeep(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxJsonDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

struct Tree {
  std::optional<Json> json;
  std::string problem;  // when there is none
};

Tree ParseTree(std::string_view text) {
  if (text.empty()) return {std::nullopt, "is empty"};
  if (!IsValidUtf8(text)) return {std::nullopt, "is not valid UTF-8"};
  // The library takes a NUL byte for the end of the text.
  if (const auto at = text.find('\0'); at != std::string_view::npos) {
    return {std::nullopt, fmt::format("is not JSON: byte {} is NUL", at + 1)};
  }
  if (IsTooDeep(text)) return {std::nullopt, fmt::format("is nested deeper than {} levels", kMaxJsonDepth)};
  // The library's own messages quote the text, which must not be shown.
  try {
    return {Json::parse(text), ""};
  } catch (const Json::parse_error& error) {
    return {std::nullopt, fmt::format("is not JSON: the fault is at byte {}", error.byte)};
  } catch (const Json::out_of_range&) {
    return {std::nullopt, "holds a number that is too large for JSON's readers"};
  }
}

// A part of the payload and where it stands.
struct Node {
  const Json& json;
  std::string pointer;
};

std::string Join(const std::string& pointer, std::string_view name) {
  std::string joined = pointer + '/';
  for (const char c : name) {
    if (c == '~') {
      joined += "~0";
    } else if (c == '/') {
      joined += "~1";
    } else {
      joined += c;
    }
  }
  return joined;
}

class RequestReader {
 public:
  explicit RequestReader(const Json& payload) : payload_(payload) {}

  void Read(RequestReading& reading) {
    const Node root{payload_, ""};
    if (!payload_.is_object()) {
      Fault("", fmt::format("must be an object, not {}", TypeName(payload_)));
    } else {
      NoteUnknown(root, kFields);
      ReadNames(root);
      ReadContent(root);
      ReadSchedule(root);
      ReadRest(root);
    }
    if (fault_count_ == 0) reading.request = std::move(request_);
    if (fault_count_ > faults_.size()) {
      faults_.push_back({"", fmt::format("has {} further faults", fault_count_ - faults_.size())});
    }
    reading.faults = std::move(faults_);
    reading.unknown_fields = std::move(unknown_fields_);
  }

 private:
  static std::string_view TypeName(const Json& json) {
    switch (json.type()) {
      case Json::value_t::null:
        return "null (leave the field out instead)";
      case Json::value_t::object:
        return "an object";
      case Json::value_t::array:
        return "an array";
      case Json::value_t::string:
        return "a string";
      case Json::value_t::boolean:
        return "a boolean";
      default:
        return "a number";
    }
  }

  void Fault(std::string pointer, std::string problem) {
    if (++fault_count_ <= kMaxFaults) faults_.push_back({std::move(pointer), std::move(problem)});
  }

  void NoteUnknown(const Node& object, std::span<const std::string_view> known) {
    for (const auto& [name, value] : object.json.items()) {
      if (std::ranges::find(known, name) == known.end()) unknown_fields_.push_back(Join(object.pointer, name));
    }
  }

  static std::optional<Node> Find(const Node& object, std::string_view name) {
    const auto found = object.json.find(name);
    if (found == object.json.end()) return std::nullopt;
    return Node{*found, Join(object.pointer, name)};
  }

  bool HasType(const Node& node, Json::value_t type, std::string_view wanted) {
    if (node.json.type() == type) return true;
    Fault(node.pointer, fmt::format("must be {}, not {}", wanted, TypeName(node.json)));
    return false;
  }

  std::optional<std::string> Text(const Node& object, std::string_view name) {
    const auto node = Find(object, name);
    if (!node || !HasType(*node, Json::value_t::string, "a string")) return std::nullopt;
    return node->json.get<std::string>();
  }

  // A text that tables and metrics hold as a name, so with a limit and without NUL.
  enum class Need { kOptional, kFilledIfThere, kRequired };
  void ReadName(const Node& object, std::string_view name, Need need, std::size_t limit, std::string& name_out) {
    const std::string pointer = Join(object.pointer, name);
    if (need == Need::kRequired && !object.json.contains(name)) return Fault(pointer, "is missing");
    const auto text = Text(object, name);
    if (!text) return;
    const std::string_view value = name == "dedupe_key" ? TrimSpace(*text) : std::string_view(*text);
    if (need != Need::kOptional && TrimSpace(value).empty()) Fault(pointer, "is blank");
    if (value.find('\0') != std::string_view::npos) Fault(pointer, "holds a NUL character");
    if (const auto length = CountCodePoints(value); length > limit) {
      Fault(pointer, fmt::format("has {} characters; at most {} are allowed", length, limit));
    }
    name_out = value;
  }

  void ReadNames(const Node& root) {
    ReadName(root, "dedupe_key", Need::kRequired, kMaxDedupeKey, request_.dedupe_key);
    ReadName(root, "channel", Need::kRequired, kMaxChannel, request_.channel);
    // Databases pad texts with spaces when they compare them, so "ops " would be found where "ops" is looked for.
    request_.channel = TrimSpace(request_.channel);
    ReadName(root, "tenant", Need::kFilledIfThere, kMaxTenant, request_.tenant);
    ReadName(root, "recipient", Need::kOptional, kMaxRecipient, request_.recipient);
    ReadName(root, "ordering_key", Need::kOptional, kMaxOrderingKey, request_.ordering_key);
  }

  void ReadContent(const Node& root) {
    request_.fallback_text = Text(root, "fallback_text").value_or("");
    request_.locale = Text(root, "locale").value_or("");
    if (const auto text = Text(root, "template")) {
      if (TrimSpace(*text).empty()) Fault("/template", "is blank");
      request_.template_code = *text;
    }
    if (const auto variables = Find(root, "variables")) {
      if (HasType(*variables, Json::value_t::object, "an object")) request_.variables = Dump(variables->json);
    }
    const auto message = Find(root, "message");
    if (message) ReadMessage(*message);
    const bool has_template = root.json.contains("template");
    if (message && has_template) Fault("/template", "stands beside message; only one of the two is allowed");
    if (!message && !has_template) Fault("/message", "is missing, and so is template; one of the two is needed");
  }

  void ReadMessage(const Node& node) {
    if (!HasType(node, Json::value_t::object, "an object")) return;
    NoteUnknown(node, kMessageFields);
    std::vector<std::string_view> present;
    for (const std::string_view name : kMessageFields) {
      const auto part = Find(node, name);
      if (!part) continue;
      present.push_back(name);
      if (name == "card") {
        HasType(*part, Json::value_t::object, "an object");
      } else {
        HasType(*part, Json::value_t::string, "a string");
      }
    }
    const auto form = std::ranges::find_if(kMessageForms, [&](const MessageForm& candidate) {
      const std::size_t parts = candidate.title.empty() ? 1 : 2;
      return present.size() == parts && node.json.contains(candidate.body) &&
             (candidate.title.empty() || node.json.contains(candidate.title));
    });
    if (form == kMessageForms.end()) {
      return Fault(
          node.pointer,
          fmt::format("must hold text, title and text, title and markdown, card, or html and subject; it holds {}",
                      present.empty() ? "none of them" : fmt::format("{}", fmt::join(present, ", "))));
    }
    ReadForm(node, *form);
  }

  void ReadForm(const Node& node, const MessageForm& form) {
    const Json& body = node.json[std::string(form.body)];
    Message message;
    message.kind = form.kind;
    if (!form.title.empty()) {
      const Json& title = node.json[std::string(form.title)];
      if (title.is_string()) message.title = title.get<std::string>();
    }
    bool blank = false;
    if (form.kind == Message::Kind::kCard) {
      message.card = Dump(body);
      blank = body.is_object() && body.empty();
    } else if (body.is_string()) {
      message.text = body.get<std::string>();
      blank = TrimSpace(message.text).empty();
    }
    if (blank && TrimSpace(request_.fallback_text).empty()) {
      Fault(Join(node.pointer, form.body), "is empty, and there is no fallback_text to send instead");
    }
    request_.message = std::move(message);
  }

  std::optional<Timestamp> Time(const Node& root, std::string_view name) {
    const auto text = Text(root, name);
    if (!text) return std::nullopt;
    const auto time = ParseRfc3339(*text);
    if (!time) {
      Fault(Join(root.pointer, name),
            "must be an RFC 3339 time with an offset, from 1970 to 9999, such as 2026-11-24T05:11:41Z");
    }
    return time;
  }

  void ReadSchedule(const Node& root) {
    if (const auto node = Find(root, "priority")) ReadPriority(*node);
    request_.scheduled_at = Time(root, "scheduled_at");
    request_.expires_at = Time(root, "expires_at");
    if (request_.scheduled_at && request_.expires_at && *request_.expires_at <= *request_.scheduled_at) {
      Fault("/expires_at", "must be later than scheduled_at");
    }
    if (const auto node = Find(root, "max_attempts")) ReadMaxAttempts(*node);
  }

  void ReadPriority(const Node& node) {
    if (!HasType(node, Json::value_t::string, "a string")) return;
    for (const Priority priority : {Priority::kHigh, Priority::kNormal, Priority::kLow}) {
      if (node.json == ToString(priority)) {
        request_.priority = priority;
        return;
      }
    }
    Fault(node.pointer, "must be high, normal or low");
  }

  void ReadMaxAttempts(const Node& node) {
    // 3.0 is an integer in JSON Schema's sense.
    const double number = node.json.is_number() ? node.json.get<double>() : 0;
    if (number < 1 || number > kMaxMaxAttempts || number != std::floor(number)) {
      return Fault(node.pointer, fmt::format("must be an integer from 1 to {}", kMaxMaxAttempts));
    }
    request_.max_attempts = static_cast<int>(number);
  }

  void ReadRest(const Node& root) {
    if (const auto node = Find(root, "private")) {
      if (HasType(*node, Json::value_t::boolean, "true or false")) request_.is_private = node->json.get<bool>();
    }
    if (const auto node = Find(root, "attachments")) {
      if (HasType(*node, Json::value_t::array, "an array")) {
        for (std::size_t i = 0; i < node->json.size(); ++i) {
          ReadAttachment({node->json[i], Join(node->pointer, std::to_string(i))});
        }
      }
    }
    if (const auto node = Find(root, "metadata")) {
      if (HasType(*node, Json::value_t::object, "an object")) {
        for (const auto& [name, value] : node->json.items()) {
          const Node entry{value, Join(node->pointer, name)};
          if (HasType(entry, Json::value_t::string, "a string")) request_.metadata[name] = value.get<std::string>();
        }
      }
    }
  }

  void ReadAttachment(const Node& node) {
    if (!HasType(node, Json::value_t::object, "an object")) return;
    NoteUnknown(node, kAttachmentFields);
    Attachment attachment;
    const std::array parts = {std::pair{"name", &attachment.name}, std::pair{"url", &attachment.url},
                              std::pair{"file_key", &attachment.file_key}};
    for (const auto& [name, value] : parts) {
      const auto text = Text(node, name);
      if (text && TrimSpace(*text).empty()) Fault(Join(node.pointer, name), "is blank");
      *value = text.value_or("");
    }
    if (!node.json.contains("name")) Fault(Join(node.pointer, "name"), "is missing");
    if (node.json.contains("url") == node.json.contains("file_key")) {
      Fault(node.pointer, "must hold exactly one of url and file_key");
    }
    request_.attachments.push_back(std::move(attachment));
  }

  const Json& payload_;
  NotificationRequest request_;
  std::vector<RequestFault> faults_;
  std::size_t fault_count_ = 0;
  std::vector<std::string> unknown_fields_;
};

Json MessageTree(const Message& message) {
  const MessageForm& form = FormOf(message.kind);
  Json tree = Json::object();
  if (!form.title.empty()) tree[std::string(form.title)] = message.title;
  Json& body = tree[std::string(form.body)];
  if (message.kind == Message::Kind::kCard) {
    body = ParseTree(message.card).json.value_or(Json(message.card));
  } else {
    body = message.text;
  }
  return tree;
}

Json AttachmentTree(const Attachment& attachment) {
  Json tree = {{"name", attachment.name}};
  if (!attachment.url.empty()) tree["url"] = attachment.url;
  if (!attachment.file_key.empty()) tree["file_key"] = attachment.file_key;
  return tree;
}

}  // namespace

std::string_view ToString(Priority priority) {
  switch (priority) {
    case Priority::kHigh:
      return "high";
    case Priority::kNormal:
      return "normal";
    case Priority::kLow:
      return "low";
  }
  return "unknown";
}

RequestReading ParseRequest(std::string_view payload) {
  RequestReading reading;
  if (payload.size() > kMaxPayloadBytes) {
    reading.faults.push_back(
        {"", fmt::format("has {} bytes; at most {} are allowed", payload.size(), kMaxPayloadBytes)});
    return reading;
  }
  const Tree tree = ParseTree(payload);
  if (!tree.json) {
    reading.faults.push_back({"", tree.problem});
    return reading;
  }
  reading.content_hash = Sha256(Dump(*tree.json));
  RequestReader(*tree.json).Read(reading);
  // A record keeps ToJson's form and reads it back, so that must pass too. Numbers grow when they are written out: 1e14
  // becomes 100000000000000.0, which is the worst of them.
  if (reading.request && payload.size() > kMaxPayloadBytes / 8) {
    if (const auto size = ToJson(*reading.request).size(); size > kMaxPayloadBytes) {
      reading.faults.push_back({"", fmt::format("has {} bytes once its numbers are written out; at most {} are allowed",
                                                size, kMaxPayloadBytes)});
      reading.request.reset();
    }
  }
  return reading;
}

std::string ToJson(const NotificationRequest& request) {
  const NotificationRequest absent;
  Json tree = {{"channel", request.channel}, {"dedupe_key", request.dedupe_key}};
  const auto add_text = [&tree](const char* name, const std::string& value, const std::string& default_value) {
    if (value != default_value) tree[name] = value;
  };
  add_text("tenant", request.tenant, absent.tenant);
  add_text("recipient", request.recipient, absent.recipient);
  if (request.message) tree["message"] = MessageTree(*request.message);
  add_text("template", request.template_code, absent.template_code);
  if (request.variables != absent.variables) {
    tree["variables"] = ParseTree(request.variables).json.value_or(Json(request.variables));
  }
  add_text("locale", request.locale, absent.locale);
  add_text("fallback_text", request.fallback_text, absent.fallback_text);
  if (request.priority != absent.priority) tree["priority"] = ToString(request.priority);
  if (request.scheduled_at) tree["scheduled_at"] = FormatRfc3339(*request.scheduled_at);
  if (request.expires_at) tree["expires_at"] = FormatRfc3339(*request.expires_at);
  add_text("ordering_key", request.ordering_key, absent.ordering_key);
  if (request.max_attempts) tree["max_attempts"] = *request.max_attempts;
  if (request.is_private) tree["private"] = true;
  for (const Attachment& attachment : request.attachments) tree["attachments"].push_back(AttachmentTree(attachment));
  if (!request.metadata.empty()) tree["metadata"] = request.metadata;
  return Dump(tree);
}

std::optional<std::string> CanonicalJson(std::string_view json) {
  const Tree tree = ParseTree(json);
  if (!tree.json) return std::nullopt;
  return Dump(*tree.json);
}

std::string MessageToJson(const Message& message) { return Dump(MessageTree(message)); }

std::string Describe(const std::vector<RequestFault>& faults) {
  std::string line;
  for (const RequestFault& fault : faults) {
    if (!line.empty()) line += "; ";
    line += fmt::format("{}: {}", fault.pointer.empty() ? "the request" : fault.pointer, fault.problem);
  }
  // A pointer holds the payload's own names.
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  return line;
}

}  // namespace outrider
