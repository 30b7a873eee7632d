// FeishuApi: an app of Feishu or Lark as its API knows it: the host, the credentials, the access token, the reading of
// answers. What FeishuApp and FeishuBatch share. Pure and thread-safe: holds its settings, nothing else.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "providers/coded_answer.h"
#include "providers/content.h"
#include "providers/provider_table.h"

namespace outrider::providers {

class FeishuApi final {
 public:
  static constexpr SettingInfo kAppId{.key = "app_id", .required = true, .secret = false};
  static constexpr SettingInfo kAppSecret{.key = "app_secret", .required = true, .secret = true};
  static constexpr SettingInfo kHost{.key = "host", .required = false, .secret = false};
  static constexpr SettingInfo kMaxCardBytes{.key = "max_card_bytes", .required = false, .secret = false};

  // Where it goes when the request names nobody; each provider has its own form of it.
  static constexpr SettingInfo kRecipient{.key = "recipient", .required = false, .secret = false};

  // Sentences about the first four settings. `host` is open.feishu.cn (the default) or open.larksuite.com; with
  // allow_insecure_targets also an address such as http://127.0.0.1:8080.
  static std::vector<std::string> Check(const ChannelSettings& channel);

  explicit FeishuApi(const ChannelSettings& channel);

  // The tenant's access token as far as the context has it, else what brings it. One for each host and app, whatever
  // the channel; it isn't counted by the API's limits.
  std::variant<Secret, Need> Token(const SendContext& context) const;
  // A question whose answer is kept: `name` tells it from the app's other ones.
  std::string KeyOf(std::string_view name) const;
  // `path` begins with /open-apis/.
  http::HttpRequest Post(std::string_view path, const Secret& token, std::string json) const;
  // By the code, whatever the HTTP status (feishu_app_codes.h). Takes the log id and, of what was accepted,
  // data.message_id.
  SendOutcome Read(const http::HttpResponse& response) const;

  // The vendor says 150 KB for a request with a text, and 30 KB for one with a card or a post.
  Rendering Fit(std::string_view type, std::string body) const;

 private:
  std::string base_;
  std::string app_id_;
  Secret app_secret_;
  std::size_t max_card_bytes_;
};

}  // namespace outrider::providers
