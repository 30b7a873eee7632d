// SlackWebhook: an incoming webhook of Slack.
//
// Bodies: text, title and text -> text without mark-up; Markdown -> text in Slack's own mark-up (mrkdwn); card -> the
// vendor's own body, with blocks or attachments. Anything else becomes the fallback text or is refused. Data calls
// nobody and links nothing: `&`, `<` and `>` are escaped, and only links that stand in Markdown as such become links.
// There is one recipient, the webhook's channel, so `recipient` isn't looked at; attachments aren't carried.
//
// The vendor gives no message id and has no key that removes doubles. Pure and thread-safe: holds the address, nothing
// else. Facts: docs.slack.dev, "sending messages using incoming webhooks" and "formatting message text".
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "providers/provider_table.h"

namespace outrider::providers {

class SlackWebhook final : public Provider {
 public:
  static constexpr std::size_t kMaxTextCharacters = 40'000;  // the vendor cuts what is longer, and says nothing
  static constexpr std::string_view kName = "slack_webhook";

  static std::span<const SettingInfo> Settings();
  // The address must be https://hooks.slack.com/services/<workspace>/<webhook>/<secret>; with allow_insecure_targets
  // any host, port and http will do.
  static std::vector<std::string> Check(const ChannelSettings& channel);
  static std::unique_ptr<Provider> Make(const ChannelSettings& channel);

  explicit SlackWebhook(const ChannelSettings& channel);
  std::string_view name() const override { return kName; }
  SendPlan BuildRequest(const Notification& notification, const SendContext& context) const override;
  // Success is the body `ok` in a 2xx answer. Another single word is looked up in slack_webhook_codes.h; one that isn't
  // there is kNotNow, "slack_unknown_code" (kNoAnswer under 2xx and 5xx). A redirect, and everything else, by its HTTP
  // status.
  SendOutcome ReadResponse(const http::HttpResponse& response) const override;

 private:
  Secret webhook_url_;
  Secret path_;    // what follows /services/
  Secret secret_;  // its last part
};

// A text that says what it said, whatever signs of Slack's are in it.
std::string EscapeSlack(std::string_view text);
// Markdown in Slack's mark-up: bold, struck, headings, http and https links and code; the rest as it stands, escaped.
std::string SlackMarkup(std::string_view markdown);

}  // namespace outrider::providers
