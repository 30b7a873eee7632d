// What a vendor's answer means: one small vocabulary that every provider speaks and everything above understands.
// Values. A refusal is an answer, not an Error.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace outrider {

enum class SendVerdict {
  kAccepted,     // positive proof that the provider took it
  kNotNow,       // not taken; may be later (retry_after when told)
  kRefused,      // not taken; this message never will be
  kUnreachable,  // the recipient can't or mustn't receive, or nothing is configured for it
  kChannelDown,  // every message on this channel would fare the same: hold the channel, spend no attempt
  kNoAnswer,     // bytes left and nothing readable came back: taken or not is unknown
};

std::string_view ToString(SendVerdict verdict);

// The reason of a kNotNow with which a vendor who was asked says that it never took the request. Of what was asked,
// only this and kAccepted (it took it) are answers.
inline constexpr std::string_view kNotTaken = "not_taken";

struct SendOutcome {
  SendVerdict verdict = SendVerdict::kNoAnswer;
  std::string reason;  // stable, label-safe: "feishu_19024", "timeout", "invalid_url"; empty when accepted
  std::string detail;  // a sentence for people, redacted, at most 2000 code points
  std::optional<std::chrono::milliseconds> retry_after;  // the vendor's hint
  std::string provider_message_id;                       // empty where the vendor gives none
  std::string provider_log_id;
  std::string provider_code;  // the body's code as the vendor wrote it
  int http_status = 0;
  bool throttled = false;    // with kNotNow: the channel's limit, not this message: hold the channel, spend no attempt
  bool alert = false;        // tell an operator
  bool downgrade = false;    // a simpler rendering may be accepted (a new content, so a new send key)
  bool stale_token = false;  // an access token isn't taken any more: once again with a new one, before this counts
  std::string answer;        // the answer's body, redacted and capped, for the attempt row
};

}  // namespace outrider
