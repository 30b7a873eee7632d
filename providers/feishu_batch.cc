#include "providers/feishu_batch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "model/text.h"
#include "providers/feishu_content.h"
#include "providers/redact.h"
#include "providers/webhook_address.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::array kSettings = {FeishuApi::kAppId, FeishuApi::kAppSecret, FeishuApi::kHost, FeishuApi::kMaxCardBytes,
                                  FeishuApi::kRecipient};
constexpr std::array<std::string_view, 4> kLists = {"open_ids", "user_ids", "union_ids", "department_ids"};
constexpr std::string_view kForm = "open_ids:ou_a,ou_b (or user_ids, union_ids, department_ids) with at most 200 ids";

struct Targets {
  std::string_view list;
  std::vector<std::string> ids;
};

std::optional<Targets> ReadTargets(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto list = std::ranges::find(kLists, text.substr(0, colon));
  if (list == kLists.end()) return std::nullopt;
  Targets targets{*list, {}};
  for (std::string_view rest = text.substr(colon + 1);;) {
    const std::size_t comma = rest.find(',');
    const std::string_view id = TrimSpace(rest.substr(0, comma));
    if (!IsPlainToken(id)) return std::nullopt;
    targets.ids.emplace_back(id);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (targets.ids.size() > FeishuBatch::kMostRecipients) return std::nullopt;
  return targets;
}

}  // namespace

std::span<const SettingInfo> FeishuBatch::Settings() { return kSettings; }

std::vector<std::string> FeishuBatch::Check(const ChannelSettings& channel) {
  std::vector<std::string> faults = FeishuApi::Check(channel);
  const std::string recipient = channel.Setting(FeishuApi::kRecipient.key);
  if (!recipient.empty() && !ReadTargets(recipient)) {
    faults.push_back(fmt::format("recipient: must have the form {}", kForm));
  }
  return faults;
}

std::unique_ptr<Provider> FeishuBatch::Make(const ChannelSettings& channel) {
  return std::make_unique<FeishuBatch>(channel);
}

FeishuBatch::FeishuBatch(const ChannelSettings& channel)
    : api_(channel), recipient_(channel.Setting(FeishuApi::kRecipient.key)) {}

SendPlan FeishuBatch::BuildRequest(const Notification& notification, const SendContext& context) const {
  const std::string& written = notification.recipient.empty() ? recipient_ : notification.recipient;
  if (written.empty()) return RecipientMissing();
  const auto targets = ReadTargets(written);
  if (!targets) return RefusedBeforeSending("recipient_invalid", fmt::format("a batch goes to {}", kForm));
  auto body = RenderOrFallBack(notification, [&](const Message& message) -> Rendering {
    const auto object = FeishuObjectBody(message);
    if (!object) return CantCarry("a Feishu app");
    Json json = Json::parse(*object);
    json[std::string(targets->list)] = targets->ids;
    const auto type = json["msg_type"].get<std::string>();
    return api_.Fit(type, json.dump(-1, ' ', false, Json::error_handler_t::replace));
  });
  if (auto* refused = std::get_if<SendOutcome>(&body)) return std::move(*refused);
  auto token = api_.Token(context);
  if (Need* need = std::get_if<Need>(&token)) return std::move(*need);
  return api_.Post("/open-apis/message/v4/batch_send/", std::get<Secret>(token),
                   std::get<std::string>(std::move(body)));
}

SendOutcome FeishuBatch::ReadResponse(const http::HttpResponse& response) const {
  SendOutcome outcome = api_.Read(response);
  if (outcome.verdict != SendVerdict::kAccepted) return outcome;
  const Json body = Json::parse(response.body, nullptr, false);
  std::vector<std::string> left_out;
  for (const std::string_view list : kLists) {
    const Json::json_pointer at(fmt::format("/data/invalid_{}", list));
    if (!body.is_object() || !body.contains(at) || !body.at(at).is_array()) continue;
    for (const Json& id : body.at(at)) {
      if (id.is_string()) left_out.push_back(id.get<std::string>());
    }
  }
  if (!left_out.empty()) {
    outcome.detail =
        Redact(fmt::format("not taken for {} of the recipients: {}", left_out.size(), fmt::join(left_out, ", ")),
               kMaxDetailCharacters);
  }
  return outcome;
}

}  // namespace outrider::providers
