#include "providers/wecom_app.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <utility>

#include "model/digest.h"
#include "model/text.h"
#include "providers/access_token.h"
#include "providers/coded_answer.h"
#include "providers/content.h"
#include "providers/mention.h"
#include "providers/redact.h"
#include "providers/webhook_address.h"
#include "providers/wecom_app_codes.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kCorpKey = "corp_id";
constexpr std::string_view kSecretKey = "corp_secret";
constexpr std::string_view kAgentKey = "agent_id";
constexpr std::string_view kHostKey = "host";
constexpr std::string_view kRecipientKey = "recipient";
constexpr std::string_view kDuplicateKey = "duplicate_check_interval";
constexpr std::string_view kDefaultHost = "qyapi.weixin.qq.com";
constexpr std::string_view kVendor = "a WeCom app";
constexpr std::int64_t kLongestDuplicateCheck = 14'400;

constexpr std::array kSettings = {SettingInfo{.key = kCorpKey, .required = true, .secret = false},
                                  SettingInfo{.key = kSecretKey, .required = true, .secret = true},
                                  SettingInfo{.key = kAgentKey, .required = true, .secret = false},
                                  SettingInfo{.key = kHostKey, .required = false, .secret = false},
                                  SettingInfo{.key = kRecipientKey, .required = false, .secret = false},
                                  SettingInfo{.key = kDuplicateKey, .required = false, .secret = false}};

constexpr std::array<std::string_view, 1> kCodeKeys = {"errcode"};
constexpr std::array<std::string_view, 1> kMessageKeys = {"errmsg"};
constexpr AnswerRules kAnswers{
    .vendor = "wecom", .codes = kWecomAppCodes, .code_keys = kCodeKeys, .message_keys = kMessageKeys};

struct Address {
  std::string_view prefix;
  std::string_view field;     // of the request
  std::string_view left_out;  // of the answer
  std::size_t most;
};
constexpr std::array kAddresses = {Address{"user", "touser", "invaliduser", 1000},
                                   Address{"party", "toparty", "invalidparty", 100},
                                   Address{"tag", "totag", "invalidtag", 100}};
constexpr std::string_view kForms = "user:a|b, user:@all, party:1|2 or tag:3";

struct Recipient {
  const Address* address = nullptr;
  std::string_view value;
};

std::optional<Recipient> ReadRecipient(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto address = std::ranges::find(kAddresses, text.substr(0, colon), &Address::prefix);
  const std::string_view value = text.substr(colon + 1);
  const bool plain = !value.empty() && std::ranges::all_of(value, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (address == kAddresses.end() || !plain) return std::nullopt;
  if (static_cast<std::size_t>(std::ranges::count(value, '|')) >= address->most) return std::nullopt;
  return Recipient{&*address, value};
}

std::optional<std::int64_t> Number(std::string_view text, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most) return std::nullopt;
  return value;
}

std::string HostOf(const ChannelSettings& channel) { return channel.Setting(kHostKey, kDefaultHost); }

std::variant<Json, Unfit> BodyOf(const Message& message) {
  const auto content = [](std::string_view type, std::string text) -> std::variant<Json, Unfit> {
    if (text.size() > WecomApp::kMaxTextBytes) {
      return TooLarge(kVendor, type, text.size(), WecomApp::kMaxTextBytes, "bytes").error();
    }
    return Json{{"msgtype", type}, {type, {{"content", std::move(text)}}}};
  };
  switch (message.kind) {
    case Message::Kind::kText:
    case Message::Kind::kTitledText: {
      std::string text = NeutralizeMentions(PlainText(message));
      if (text.empty()) break;
      return content("text", std::move(text));
    }
    case Message::Kind::kMarkdown: {
      if (TrimSpace(message.text).empty()) break;
      const std::string title = AsMarkdownTitle(message.title);
      const std::string text = NeutralizeMentions(message.text);
      return content("markdown", title.empty() ? text : fmt::format("# {}\n{}", title, text));
    }
    case Message::Kind::kCard: {
      Json body = Json::parse(message.card, nullptr, false);
      if (!body.is_object() || !body.contains("msgtype")) break;
      return body;
    }
    case Message::Kind::kHtml:
      break;
  }
  return CantCarry(kVendor).error();
}

}  // namespace

std::span<const SettingInfo> WecomApp::Settings() { return kSettings; }

std::vector<std::string> WecomApp::Check(const ChannelSettings& channel) {
  std::vector<std::string> faults;
  if (!IsPlainToken(channel.Setting(kCorpKey)))
    faults.emplace_back("corp_id: must be the company's id, such as ww1a2b");
  if (!IsPlainToken(channel.Setting(kSecretKey))) faults.emplace_back("corp_secret: must be the app's secret");
  if (!Number(channel.Setting(kAgentKey), INT32_MAX)) faults.emplace_back("agent_id: must be the app's number");
  static const std::regex kAnyHost(R"(https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?)");
  const std::string host = HostOf(channel);
  if (host != kDefaultHost && !(channel.allow_insecure_targets && std::regex_match(host, kAnyHost))) {
    faults.push_back(fmt::format("host: must be {}", kDefaultHost));
  }
  const std::string recipient = channel.Setting(kRecipientKey);
  if (!recipient.empty() && !ReadRecipient(recipient)) {
    faults.push_back(fmt::format("recipient: must have one of the forms {}", kForms));
  }
  if (!Number(channel.Setting(kDuplicateKey, "0"), kLongestDuplicateCheck)) {
    faults.push_back(fmt::format("duplicate_check_interval: must be seconds from 0 to {}", kLongestDuplicateCheck));
  }
  return faults;
}

std::unique_ptr<Provider> WecomApp::Make(const ChannelSettings& channel) { return std::make_unique<WecomApp>(channel); }

WecomApp::WecomApp(const ChannelSettings& channel)
    : base_(HostOf(channel)),
      corp_id_(channel.Setting(kCorpKey)),
      corp_secret_(channel.Setting(kSecretKey)),
      agent_id_(Number(channel.Setting(kAgentKey), INT32_MAX).value_or(0)),
      duplicate_check_(Number(channel.Setting(kDuplicateKey, "0"), kLongestDuplicateCheck).value_or(0)),
      recipient_(channel.Setting(kRecipientKey)) {
  if (base_.find("://") == std::string::npos) base_.insert(0, "https://");
}

Need WecomApp::TokenNeed() const {
  Need need;
  const Digest app = Sha256(fmt::format("{}\n{}\n{}", base_, corp_id_, corp_secret_.Reveal()));
  need.key = fmt::format("wecom {} token", ToHex(AsBytes(app)));
  need.request.method = "GET";
  need.request.url =
      Secret(fmt::format("{}/cgi-bin/gettoken?corpid={}&corpsecret={}", base_, corp_id_, corp_secret_.Reveal()));
  need.read = [secret = corp_secret_](const http::HttpResponse& response) {
    const std::array<std::string_view, 1> secrets = {secret.Reveal()};
    return ReadAccessToken(ReadCodedAnswer(kAnswers, response, secrets), response, "access_token", "expires_in");
  };
  need.is_token = true;
  need.counts = false;
  return need;
}

SendPlan WecomApp::BuildRequest(const Notification& notification, const SendContext& context) const {
  const std::string& written = notification.recipient.empty() ? recipient_ : notification.recipient;
  if (written.empty()) return RecipientMissing();
  const auto recipient = ReadRecipient(written);
  if (!recipient) return RefusedBeforeSending("recipient_invalid", fmt::format("a recipient has one of {}", kForms));
  auto body = RenderOrFallBack(notification, [&](const Message& message) -> Rendering {
    auto made = BodyOf(message);
    if (const auto* unfit = std::get_if<Unfit>(&made)) return std::unexpected(*unfit);
    Json json = std::get<Json>(std::move(made));
    json["agentid"] = agent_id_;
    json[std::string(recipient->address->field)] = recipient->value;
    if (duplicate_check_ > 0) {
      json["enable_duplicate_check"] = 1;
      json["duplicate_check_interval"] = duplicate_check_;
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  });
  if (auto* refused = std::get_if<SendOutcome>(&body)) return std::move(*refused);
  Need need = TokenNeed();
  const auto token = context.supplies.find(need.key);
  if (token == context.supplies.end()) return need;
  return PostJson(Secret(fmt::format("{}/cgi-bin/message/send?access_token={}", base_, token->second.Reveal())),
                  std::move(body));
}

SendOutcome WecomApp::ReadResponse(const http::HttpResponse& response) const {
  const std::array<std::string_view, 1> secrets = {corp_secret_.Reveal()};
  SendOutcome outcome = ReadCodedAnswer(kAnswers, response, secrets);
  const auto fields = ReadAnswerFields(response.body);
  if (outcome.verdict != SendVerdict::kAccepted || !fields) return outcome;
  outcome.provider_message_id = RedactId(TextField(*fields, "msgid"), secrets);
  std::string left_out;
  for (const std::string_view list : {"invaliduser", "invalidparty", "invalidtag", "unlicenseduser"}) {
    const std::string named = TextField(*fields, list);
    if (!named.empty()) left_out += fmt::format("{}{} {}", left_out.empty() ? "" : ", ", list, named);
  }
  if (!left_out.empty()) {
    outcome.detail = Redact(fmt::format("not taken for: {}", left_out), kMaxDetailCharacters, secrets);
  }
  return outcome;
}

}  // namespace outrider::providers
