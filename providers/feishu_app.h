// FeishuApp: messages of an app's bot in Feishu or Lark, to chats and people, and replies to messages.
//
// Recipients: chat_id:oc_..., open_id:ou_..., union_id:on_..., user_id:..., email:a@b.c, phone:+86..., and
// message_id:om_... for a reply. A telephone number is turned into an id by the vendor first (so is an address where
// lookup_email is true); somebody whom it doesn't find, or who has left, is kUnreachable "recipient_unknown". Without a
// recipient the channel's setting `recipient` holds; with neither it is kUnreachable "recipient_missing".
//
// Contents as providers/feishu_content.h has them, in a string; what can't be shown or is too big becomes the fallback
// text, or is refused. The send key is the vendor's uuid: of all requests with the same one within an hour it takes one
// at most, so what is in doubt is repeated with it. Each request needs the tenant's access token first.
//
// Success is an integer code 0 in a 2xx answer; other codes as feishu_app_codes.h says, whatever the HTTP status.
// Pure and thread-safe. Facts: the vendor's pages on im-v1 messages, contact-v3 batch_get_id and access tokens.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/feishu_api.h"

namespace outrider::providers {

class FeishuApp final : public Provider {
 public:
  static constexpr std::string_view kName = "feishu_app";

  static std::span<const SettingInfo> Settings();
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  explicit FeishuApp(const ChannelSettings& channel);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  SendOutcome ReadResponse(const http::HttpResponse& response) const override { return api_.Read(response); }

 private:
  Need LookUp(std::string_view kind, const std::string& address, const Secret& token) const;

  FeishuApi api_;
  std::string recipient_;
  bool lookup_email_;
};

}  // namespace outrider::providers
