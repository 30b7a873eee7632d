// FeishuFlow: the webhook trigger of a Feishu flow, with the body and the error codes of SmartFlow's notification
// service. The flow decides what is done with it; it is no group's custom bot.
//
// The text becomes the message's summary, the request's metadata the ids (notification_id is the record's), target_url
// the address of the button: a whole link stays, a path goes behind frontend_base_url. Success is an integer code 0 in
// a 2xx answer; another code, and statuses that say nothing else, are kRefused "payload_invalid"; 429 kNotNow
// "provider_rate_limited"; 408 and 425 kNotNow "provider_timeout"; 401 and 403 kRefused "provider_auth_failed"; what
// may have been taken (5xx: "provider_5xx", a 2xx that can't be read) is kNoAnswer. The vendor has no key that removes
// doubles, and gives no message id.
//
// Pure and thread-safe: holds the addresses and the token, nothing else.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider_table.h"

namespace outrider::providers {

class FeishuFlow final : public Provider {
 public:
  static constexpr std::string_view kName = "feishu_flow";

  static std::span<const SettingInfo> Settings();
  // The address must be https://www.feishu.cn|feishu.cn/flow/api/trigger-webhook/<id>; with allow_insecure_targets any
  // host, port and http will do.
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  FeishuFlow(Secret webhook_url, Secret bearer_token, std::string frontend_base_url);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;
  // "provider_timeout", "network_error".
  std::string_view NameFailure(std::string_view reason) const override;

 private:
  Secret webhook_url_;
  Secret bearer_token_;
  std::string frontend_base_url_;
};

}  // namespace outrider::providers
