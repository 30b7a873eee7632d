// CodedAnswer: what is common to vendors that answer with a JSON object and a number in it.
//
// A vendor gives its table of codes and the names of its fields; the reading is the same for all: a code decides
// whatever the HTTP status is, success needs the code 0 in a 2xx answer that nothing in the body contradicts, and only
// without a readable code does the status decide. Pure and total: any bytes yield an outcome.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/outcome.h"
#include "platform/http/message.h"

namespace outrider::providers {

// One row of a vendor's table: the first whose code and text fit decides.
struct AnswerCode {
  std::int64_t code = 0;
  std::string_view text;  // must occur in the vendor's message, in lower case; empty: any message
  SendVerdict verdict = SendVerdict::kRefused;
  bool throttled = false;
  bool alert = false;
  bool downgrade = false;
  std::string_view meaning;             // for people: what is wrong and what to do
  std::chrono::seconds retry_after{0};  // as the vendor's pages say it; zero: they don't
  bool stale_token = false;             // SendOutcome's
};

struct AnswerRules {
  std::string_view vendor;  // begins the reasons: "feishu_19024", "dingtalk_minus_1"
  std::span<const AnswerCode> codes;
  std::span<const std::string_view> code_keys;     // all that are there must be 0
  std::span<const std::string_view> message_keys;  // the first that isn't empty
  bool code_may_be_text = false;                   // "0" counts as 0
};

// The object's members, their values as JSON texts; nothing when the bytes are no JSON object.
using AnswerFields = std::map<std::string, std::string, std::less<>>;
std::optional<AnswerFields> ReadAnswerFields(std::string_view body);
std::optional<std::int64_t> IntegerField(const AnswerFields& fields, std::string_view key, bool may_be_text = false);
std::string TextField(const AnswerFields& fields, std::string_view key);

// Which statuses leave open whether the message was taken: 2xx, 408, 425, 5xx.
bool IsAmbiguousStatus(int status);
// Without a readable code: 429 kNotNow, 3xx 401 403 404 410 kChannelDown, other 4xx kRefused; ambiguous ones kNoAnswer.
void ClassifyByStatus(int status, SendOutcome& outcome);
// By the vendor's table; what it doesn't have is kNotNow (kNoAnswer under an ambiguous failure) and counted as an
// unknown code. The detail takes the vendor's own words in.
void ClassifyByCode(const AnswerRules& rules, std::int64_t code, const std::string& message, int status,
                    SendOutcome& outcome);
// What every reading ends with: the hint of the headers where it is longer, the answer's body, and in what was taken
// from the vendor nothing secret.
void SealOutcome(const http::HttpResponse& response, std::span<const std::string_view> known_secrets,
                 SendOutcome& outcome);

// The whole of it.
SendOutcome ReadCodedAnswer(const AnswerRules& rules, const http::HttpResponse& response,
                            std::span<const std::string_view> known_secrets);

}  // namespace outrider::providers
