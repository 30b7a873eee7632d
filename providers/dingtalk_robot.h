// DingtalkRobot: the custom robot of a DingTalk group, reached by its webhook.
//
// Bodies: text, title and text -> text; Markdown -> markdown, with its title as a heading; card -> the vendor's own
// body, which names its msgtype (link, actionCard, feedCard). Anything else becomes the fallback text or is refused.
// Whom a message calls stands in the body's field `at`, which no data reaches. Requests are signed at every attempt.
// There is one recipient, the group, so `recipient` isn't looked at; attachments aren't carried.
//
// The vendor has a key against doubles, msgUuid, and doesn't say for how long it holds or what a repetition is
// answered. So it is sent, and what it means is the channel's setting: `sent`, a repetition may double the message;
// `trusted`, it doesn't; `off`, there is none in the request.
//
// Pure and thread-safe: holds its settings, nothing else. Facts: open.dingtalk.com, "custom robot access".
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/content.h"
#include "providers/provider_table.h"

namespace outrider::providers {

class DingtalkRobot final : public Provider {
 public:
  static constexpr std::size_t kMaxBodyBytes = 20'000;
  static constexpr std::string_view kName = "dingtalk_robot";

  static std::span<const SettingInfo> Settings();
  // The address must be https://oapi.dingtalk.com/robot/send?access_token=<token>; with allow_insecure_targets any
  // host, port and http will do.
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);
  // Whether the channel says that a repetition under the same key is recognised.
  static bool TrustsSendKey(const ChannelSettings& channel);

  explicit DingtalkRobot(const ChannelSettings& channel);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  // By dingtalk_robot_codes.h; `errcode` may be a number or a text. The gate in front (status 1111, no errcode) is
  // kNotNow for at least a minute.
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;

 private:
  Secret webhook_url_;
  Secret token_;
  Secret secret_;
  Keywords keywords_;
  bool sends_key_ = true;
};

// base64(HMAC-SHA256(key = secret, message = timestamp + "\n" + secret)), before it is percent-encoded.
std::string DingtalkSign(std::string_view secret, std::string_view unix_milliseconds);

}  // namespace outrider::providers
