// FeishuBatch: one message of an app's bot in Feishu or Lark to up to 200 people or departments at once.
//
// Recipients: open_ids:ou_a,ou_b (or user_ids, union_ids, department_ids); without any the channel's setting
// `recipient` holds, with neither it is kUnreachable "recipient_missing". The vendor takes the batch and delivers it
// later; whom it didn't take is told in the outcome's detail. It has no key that removes doubles and no replies.
// Contents, token and codes as with FeishuApp. Pure and thread-safe. Facts: the vendor's page on message v4 batch_send.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/feishu_api.h"

namespace outrider::providers {

class FeishuBatch final : public Provider {
 public:
  static constexpr std::string_view kName = "feishu_batch";
  static constexpr std::size_t kMostRecipients = 200;

  static std::span<const SettingInfo> Settings();
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  explicit FeishuBatch(const ChannelSettings& channel);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;

 private:
  FeishuApi api_;
  std::string recipient_;
};

}  // namespace outrider::providers
