// WecomApp: messages of an app in WeCom (Enterprise WeChat) to members, departments and tags.
//
// Recipients: user:a|b (or user:@all), party:1|2, tag:3; without any the channel's setting `recipient` holds, with
// neither it is kUnreachable "recipient_missing". Bodies: text, title and text -> text; Markdown -> markdown, with its
// title as a heading; card -> the vendor's own body, which names its msgtype. Anything else, and what is too long,
// becomes the fallback text or is refused: the vendor would cut it without a word. Data calls nobody.
//
// The vendor has no key that removes doubles. It can be told to drop a message whose content equals that of one before
// (setting duplicate_check_interval), which also drops equal ones that are meant. Each request needs an access token
// first. Code 0 may be a success in part: whom the vendor left out is told in the outcome's detail.
//
// Pure and thread-safe: holds its settings, nothing else. Facts: developer.work.weixin.qq.com, "send application
// messages".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider_table.h"

namespace outrider::providers {

class WecomApp final : public Provider {
 public:
  static constexpr std::size_t kMaxTextBytes = 2048;  // of a text, and of Markdown
  static constexpr std::string_view kName = "wecom_app";

  static std::span<const SettingInfo> Settings();
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  explicit WecomApp(const ChannelSettings& channel);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  // By wecom_app_codes.h.
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;

 private:
  Need TokenNeed() const;

  std::string base_;
  std::string corp_id_;
  Secret corp_secret_;
  std::int64_t agent_id_;
  std::int64_t duplicate_check_;
  std::string recipient_;
};

}  // namespace outrider::providers
