// FeishuBot: the custom bot of a Feishu or Lark group, reached by its webhook.
//
// Bodies: text -> text; title and text -> post; Markdown -> a card 2.0 with one Markdown element; card -> that card.
// HTML can't be carried: the fallback text is sent, or the message is refused (payload_invalid). What is empty or too
// big becomes the fallback text too, or is refused (payload_invalid, payload_too_large). Data calls nobody
// (providers/mention.h). There is one recipient, the group, so `recipient` isn't looked at; attachments aren't carried.
// Requests are signed at every attempt, because a signature lives for an hour.
//
// Answers are read by body first, by HTTP status only without a readable code (ReadResponse). The vendor gives no
// message id and has no key that removes doubles: a request without an answer is in doubt for good.
//
// Pure and thread-safe: holds the address and the secret, nothing else. Facts:
// open.feishu.cn/document/client-docs/bot-v3/add-custom-bot.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider_table.h"

namespace outrider::providers {

class FeishuBot final : public Provider {
 public:
  // The vendor says 20 KB and not which; the smaller reading is safe with both.
  static constexpr std::size_t kMaxBodyBytes = 20'000;
  static constexpr std::string_view kName = "feishu_bot";

  static std::span<const SettingInfo> Settings();
  // Sentences about webhook_url and secret, without their values. The address must be
  // https://open.feishu.cn|open.larksuite.com/open-apis/bot/v2/hook/<token>; with allow_insecure_targets any host, port
  // and http will do.
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  FeishuBot(Secret webhook_url, Secret secret);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  // Success is an integer code 0 (or, without it, StatusCode 0) in a 2xx answer that nothing in the body contradicts. A
  // code is looked up in feishu_bot_codes.h; one that isn't there is kNotNow, "feishu_unknown_code" (kNoAnswer when the
  // status leaves open whether the message was taken). Without a readable code the HTTP status decides: 2xx and unknown
  // 5xx kNoAnswer, 408 425 500 502 503 504 kNoAnswer, 429 kNotNow, 3xx 401 403 404 410 kChannelDown, other 4xx
  // kRefused.
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;

 private:
  Secret webhook_url_;
  Secret secret_;
  Secret token_;
};

// base64(HMAC-SHA256(key = timestamp + "\n" + secret, message = "")): the vendor's order, with the secret inside the
// key.
std::string FeishuBotSign(std::string_view secret, std::string_view unix_seconds);

}  // namespace outrider::providers
