// WecomRobot: the robot of a WeCom (Enterprise WeChat) group, reached by its webhook.
//
// Bodies: text, title and text -> text; Markdown -> markdown (or markdown_v2, by the channel's setting), with its title
// as a heading; card -> the vendor's own body, which names its msgtype (template_card, news). Anything else becomes the
// fallback text or is refused. Data calls nobody (providers/mention.h). Limits are in bytes: the vendor refuses what is
// longer, it doesn't cut. Its pages say 2048 for a text; a refusal has been seen that said 5120, so the setting
// max_text_bytes may raise it to that.
//
// The vendor gives no message id and has no key that removes doubles. Pure and thread-safe: holds its settings, nothing
// else. Facts: developer.work.weixin.qq.com, "group robot configuration".
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider_table.h"

namespace outrider::providers {

class WecomRobot final : public Provider {
 public:
  static constexpr std::size_t kMaxTextBytes = 2048;
  static constexpr std::size_t kLargestMaxTextBytes = 5120;
  static constexpr std::size_t kMaxMarkdownBytes = 4096;
  static constexpr std::string_view kName = "wecom_robot";

  static std::span<const SettingInfo> Settings();
  // The address must be https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=<key>; with allow_insecure_targets any
  // host, port and http will do.
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  explicit WecomRobot(const ChannelSettings& channel);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  // By wecom_robot_codes.h. The vendor's words hold this machine's address; it is taken out with the secrets.
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;

 private:
  Secret webhook_url_;
  Secret key_;
  std::string markdown_;  // the msgtype
  std::size_t max_text_bytes_ = kMaxTextBytes;
};

}  // namespace outrider::providers
