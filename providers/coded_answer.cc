#include "providers/coded_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/request.h"
#include "model/text.h"
#include "providers/provider.h"
#include "providers/redact.h"
#include "providers/retry_after.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxCode = 64;

std::optional<std::int64_t> WholeNumber(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const AnswerCode* FindCode(std::span<const AnswerCode> codes, std::int64_t code, std::string_view message) {
  const std::string lower = LowerAscii(message);
  for (const AnswerCode& row : codes) {
    if (row.code == code && lower.find(row.text) != std::string::npos) return &row;
  }
  return nullptr;
}

// True when the body settles the outcome.
bool ClassifyByBody(const AnswerRules& rules, const AnswerFields& fields, int status, SendOutcome& outcome) {
  std::string message;
  for (const std::string_view key : rules.message_keys) {
    if (message.empty()) message = TextField(fields, key);
  }
  bool all_read = true;
  std::optional<std::int64_t> proof;
  std::string_view proof_key;
  for (const std::string_view key : rules.code_keys) {
    const auto field = fields.find(key);
    if (field == fields.end()) continue;
    const auto code = IntegerField(fields, key, rules.code_may_be_text);
    if (code && *code != 0) {
      ClassifyByCode(rules, *code, message, status, outcome);
      return true;
    }
    all_read = all_read && code.has_value();
    if (proof_key.empty()) {
      proof_key = key;
      proof = code;
      outcome.provider_code = field->second.substr(0, kMaxCode);
    }
  }
  if (!proof) {
    outcome.provider_code.clear();
    return false;
  }
  outcome.provider_code = std::to_string(*proof);
  if (all_read && status >= 200 && status < 300) {
    outcome.verdict = SendVerdict::kAccepted;
    return true;
  }
  outcome.verdict = SendVerdict::kNoAnswer;
  outcome.reason = "contradictory_answer";
  outcome.detail =
      fmt::format("code 0, but HTTP {} or the body says otherwise; whether the message was taken is unknown", status);
  return true;
}

}  // namespace

std::optional<AnswerFields> ReadAnswerFields(std::string_view body) {
  // Stricter than the library alone, which reads `{"code":0}` out of what goes on after a NUL byte, and bounded in
  // depth.
  const auto canonical = CanonicalJson(body);
  const Json json = canonical ? Json::parse(*canonical) : Json();
  if (!json.is_object()) return std::nullopt;
  AnswerFields fields;
  for (const auto& [key, value] : json.items()) {
    fields.emplace(key, value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return fields;
}

std::optional<std::int64_t> IntegerField(const AnswerFields& fields, std::string_view key, bool may_be_text) {
  const auto field = fields.find(key);
  if (field == fields.end()) return std::nullopt;
  std::string_view text = field->second;
  if (may_be_text && text.size() >= 2 && text.starts_with('"')) text = text.substr(1, text.size() - 2);
  return WholeNumber(text);  // beyond int64 it is no vendor's code
}

std::string TextField(const AnswerFields& fields, std::string_view key) {
  const auto field = fields.find(key);
  if (field == fields.end()) return {};
  const Json json = Json::parse(field->second, nullptr, false);
  return json.is_string() ? json.get<std::string>() : std::string();
}

bool IsAmbiguousStatus(int status) { return status == 408 || status == 425 || status >= 500 || status < 300; }

void ClassifyByStatus(int status, SendOutcome& outcome) {
  outcome.reason = fmt::format("http_{}", status);
  if (IsAmbiguousStatus(status)) {
    outcome.verdict = SendVerdict::kNoAnswer;
    if (status < 300) outcome.reason = "unreadable_answer";
    outcome.detail = fmt::format("HTTP {} without a readable code; whether the message was taken is unknown", status);
  } else if (status == 429) {
    outcome.verdict = SendVerdict::kNotNow;
    outcome.throttled = true;
    outcome.detail = "HTTP 429: too many requests";
  } else if (status < 400) {
    outcome.verdict = SendVerdict::kChannelDown;
    outcome.alert = true;
    outcome.detail = fmt::format("HTTP {}: a redirect, which isn't followed; check the channel's address", status);
  } else if (status == 401 || status == 403 || status == 404 || status == 410) {
    outcome.verdict = SendVerdict::kChannelDown;
    outcome.alert = true;
    outcome.detail = fmt::format("HTTP {}: nothing takes messages there; check the channel's address", status);
  } else {
    outcome.verdict = SendVerdict::kRefused;
    outcome.detail = fmt::format("HTTP {} without a readable code", status);
  }
}

void ClassifyByCode(const AnswerRules& rules, std::int64_t code, const std::string& message, int status,
                    SendOutcome& outcome) {
  outcome.provider_code = std::to_string(code);
  const std::string words = message.empty() ? std::string() : fmt::format(", \"{}\"", message);
  if (const AnswerCode* row = FindCode(rules.codes, code, message)) {
    outcome.verdict = row->verdict;
    // A reason is a label too, so a sign is written out.
    outcome.reason = fmt::format("{}_{}{}", rules.vendor, code < 0 ? "minus_" : "",
                                 code < 0 ? outcome.provider_code.substr(1) : outcome.provider_code);
    outcome.throttled = row->throttled;
    outcome.alert = row->alert;
    outcome.downgrade = row->downgrade;
    outcome.stale_token = row->stale_token;
    outcome.detail = fmt::format("{} (code {}{})", row->meaning, code, words);
    if (row->retry_after.count() > 0) outcome.retry_after = row->retry_after;
    return;
  }
  outcome.verdict = status >= 300 && IsAmbiguousStatus(status) ? SendVerdict::kNoAnswer : SendVerdict::kNotNow;
  outcome.reason = fmt::format("{}{}", rules.vendor, kUnknownCodeSuffix);
  outcome.alert = true;
  outcome.detail =
      fmt::format("an unknown code, taken as temporary until the attempts are used up (code {}{})", code, words);
}

void SealOutcome(const http::HttpResponse& response, std::span<const std::string_view> known_secrets,
                 SendOutcome& outcome) {
  outcome.http_status = response.status;
  if (outcome.verdict != SendVerdict::kAccepted) {
    const auto hint = ReadRetryAfter(response.headers);
    if (hint) outcome.retry_after = std::max(*hint, outcome.retry_after.value_or(*hint));
  }
  outcome.detail = Redact(outcome.detail, kMaxDetailCharacters, known_secrets);
  outcome.answer = Redact(response.body, kMaxAnswerCharacters, known_secrets);
}

SendOutcome ReadCodedAnswer(const AnswerRules& rules, const http::HttpResponse& response,
                            std::span<const std::string_view> known_secrets) {
  SendOutcome outcome;
  const auto fields = ReadAnswerFields(response.body);
  if (!fields || !ClassifyByBody(rules, *fields, response.status, outcome)) {
    ClassifyByStatus(response.status, outcome);
  }
  SealOutcome(response, known_secrets, outcome);
  return outcome;
}

}  // namespace outrider::providers
