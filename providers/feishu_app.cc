#include "providers/feishu_app.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/text.h"
#include "providers/feishu_content.h"
#include "providers/webhook_address.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kLookupKey = "lookup_email";

constexpr std::array kSettings = {
    FeishuApi::kAppId,     FeishuApi::kAppSecret,
    FeishuApi::kHost,      FeishuApi::kMaxCardBytes,
    FeishuApi::kRecipient, SettingInfo{.key = kLookupKey, .required = false, .secret = false}};

// Whom the API itself can address, by the names of its receive_id_type.
constexpr std::array<std::string_view, 5> kIdTypes = {"chat_id", "open_id", "union_id", "user_id", "email"};
constexpr std::string_view kPhone = "phone";
constexpr std::string_view kEmail = "email";
constexpr std::string_view kMessage = "message_id";
// Ids don't change; that somebody has left is said when something is sent.
constexpr std::chrono::hours kIdLife{12};

struct Recipient {
  std::string_view kind;
  std::string_view value;
};

Recipient ReadRecipient(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {};
  return {text.substr(0, colon), TrimSpace(text.substr(colon + 1))};
}

bool IsRecipient(const Recipient& recipient) {
  if (recipient.value.empty()) return false;
  if (recipient.kind == kMessage) return IsPlainToken(recipient.value);
  return recipient.kind == kPhone || std::ranges::find(kIdTypes, recipient.kind) != kIdTypes.end();
}

constexpr std::string_view kForms =
    "chat_id:oc_..., open_id:ou_..., union_id:on_..., user_id:..., email:..., phone:+86... or message_id:om_...";

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

SupplyReading ReadUser(SendOutcome outcome, const http::HttpResponse& response) {
  outcome.provider_message_id.clear();
  if (outcome.verdict != SendVerdict::kAccepted) return outcome;
  const Json body = Json::parse(response.body, nullptr, false);
  const Json::json_pointer list("/data/user_list");
  const bool has_list = body.is_object() && body.contains(list) && body.at(list).is_array();
  if (!has_list) {
    outcome.verdict = SendVerdict::kNotNow;
    outcome.reason = "unreadable_answer";
    outcome.detail = "the answer to the question for the recipient's id has no list of users";
    return outcome;
  }
  for (const Json& user : body.at(list)) {
    const auto id = user.is_object() ? user.find("user_id") : user.end();
    if (!user.is_object() || id == user.end() || !id->is_string()) continue;
    const auto text = id->get<std::string>();
    if (!IsPlainToken(text)) continue;
    Supply supply;
    supply.value = Secret(text);
    supply.life = kIdLife;
    supply.fresh = kIdLife;
    return supply;
  }
  outcome.verdict = SendVerdict::kUnreachable;
  outcome.reason = "recipient_unknown";
  outcome.detail = "the vendor finds nobody with this telephone number or e-mail address whom the app can see";
  return outcome;
}

}  // namespace

std::span<const SettingInfo> FeishuApp::Settings() { return kSettings; }

std::vector<std::string> FeishuApp::Check(const ChannelSettings& channel) {
  std::vector<std::string> faults = FeishuApi::Check(channel);
  const std::string recipient = channel.Setting(FeishuApi::kRecipient.key);
  if (!recipient.empty() && !IsRecipient(ReadRecipient(recipient))) {
    faults.push_back(fmt::format("recipient: must have one of the forms {}", kForms));
  }
  const std::string lookup = channel.Setting(kLookupKey, "false");
  if (lookup != "true" && lookup != "false") faults.emplace_back("lookup_email: must be true or false");
  return faults;
}

std::unique_ptr<Provider> FeishuApp::Make(const ChannelSettings& channel) {
  return std::make_unique<FeishuApp>(channel);
}

FeishuApp::FeishuApp(const ChannelSettings& channel)
    : api_(channel),
      recipient_(channel.Setting(FeishuApi::kRecipient.key)),
      lookup_email_(channel.Setting(kLookupKey) == "true") {}

Need FeishuApp::LookUp(std::string_view kind, const std::string& address, const Secret& token) const {
  const std::string_view list = kind == kPhone ? "mobiles" : "emails";
  const Json body = {{list, Json::array({address})}, {"include_resigned", false}};
  Need need;
  need.key = api_.KeyOf(fmt::format("{}:{}", kind, address));
  need.request = api_.Post("/open-apis/contact/v3/users/batch_get_id?user_id_type=open_id", token, Dump(body));
  need.read = [api = api_](const http::HttpResponse& response) { return ReadUser(api.Read(response), response); };
  return need;
}

SendPlan FeishuApp::BuildRequest(const Notification& notification, const SendContext& context) const {
  const std::string& written = notification.recipient.empty() ? recipient_ : notification.recipient;
  if (written.empty()) return RecipientMissing();
  const Recipient recipient = ReadRecipient(written);
  if (!IsRecipient(recipient)) {
    return RefusedBeforeSending("recipient_invalid", fmt::format("a recipient has one of the forms {}", kForms));
  }
  const bool looks_up = recipient.kind == kPhone || (recipient.kind == kEmail && lookup_email_);
  std::string id(recipient.value);
  std::string_view id_type = recipient.kind;

  const auto render = [&](const Message& message) -> Rendering {
    const auto content = FeishuContentOf(message);
    if (!content) return CantCarry("a Feishu app");
    Json body = {{"msg_type", content->type}, {"content", content->json}};
    if (recipient.kind != kMessage) body["receive_id"] = id;
    if (!context.send_key.empty()) body["uuid"] = context.send_key;
    return api_.Fit(content->type, Dump(body));
  };
  // First, so that what can't be sent at all asks nobody anything.
  auto body = RenderOrFallBack(notification, render);
  if (auto* refused = std::get_if<SendOutcome>(&body)) return std::move(*refused);
  auto token = api_.Token(context);
  if (Need* need = std::get_if<Need>(&token)) return std::move(*need);
  const Secret& bearer = std::get<Secret>(token);
  if (looks_up) {
    Need need = LookUp(recipient.kind, id, bearer);
    const auto found = context.supplies.find(need.key);
    if (found == context.supplies.end()) return need;
    id = found->second.Reveal();
    id_type = "open_id";
    body = RenderOrFallBack(notification, render);
    if (auto* refused = std::get_if<SendOutcome>(&body)) return std::move(*refused);
  }
  const std::string path = recipient.kind == kMessage
                               ? fmt::format("/open-apis/im/v1/messages/{}/reply", recipient.value)
                               : fmt::format("/open-apis/im/v1/messages?receive_id_type={}", id_type);
  return api_.Post(path, bearer, std::get<std::string>(std::move(body)));
}

}  // namespace outrider::providers
