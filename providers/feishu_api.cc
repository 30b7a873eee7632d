#include "providers/feishu_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <utility>

#include "model/digest.h"
#include "providers/access_token.h"
#include "providers/feishu_app_codes.h"
#include "providers/redact.h"
#include "providers/webhook_address.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kVendor = "a Feishu app";
constexpr std::string_view kDefaultHost = "open.feishu.cn";
constexpr std::array<std::string_view, 2> kHosts = {kDefaultHost, "open.larksuite.com"};
constexpr std::string_view kTokenPath = "/open-apis/auth/v3/tenant_access_token/internal";
// The smaller reading of the vendor's KB is safe with both. Larger cards were seen to pass, so that one is a setting.
constexpr std::size_t kMaxTextBytes = 150'000;
constexpr std::size_t kMaxCardBytesByDefault = 30'000;

constexpr std::array<std::string_view, 1> kCodeKeys = {"code"};
constexpr std::array<std::string_view, 1> kMessageKeys = {"msg"};
constexpr AnswerRules kAnswers{
    .vendor = "feishu", .codes = kFeishuAppCodes, .code_keys = kCodeKeys, .message_keys = kMessageKeys};

bool IsPrintable(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

std::optional<std::size_t> Bytes(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string HostOf(const ChannelSettings& channel) { return channel.Setting(FeishuApi::kHost.key, kDefaultHost); }

}  // namespace

std::vector<std::string> FeishuApi::Check(const ChannelSettings& channel) {
  std::vector<std::string> faults;
  if (!IsPlainToken(channel.Setting(kAppId.key))) {
    faults.emplace_back("app_id: must be the app's id, such as cli_a1b2c3d4e5f60001");
  }
  if (!IsPrintable(channel.Setting(kAppSecret.key))) {
    faults.emplace_back("app_secret: must be the app's secret: printable ASCII without spaces");
  }
  static const std::regex kAnyHost(R"(https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?)");
  const std::string host = HostOf(channel);
  const bool known = std::ranges::find(kHosts, host) != kHosts.end();
  if (!known && !(channel.allow_insecure_targets && std::regex_match(host, kAnyHost))) {
    faults.emplace_back("host: must be open.feishu.cn or open.larksuite.com");
  }
  if (const std::string most = channel.Setting(kMaxCardBytes.key); !most.empty()) {
    const auto bytes = Bytes(most);
    if (!bytes || *bytes < 1'000 || *bytes > kMaxTextBytes) {
      faults.push_back(fmt::format("max_card_bytes: must be a number from 1000 to {}", kMaxTextBytes));
    }
  }
  return faults;
}

FeishuApi::FeishuApi(const ChannelSettings& channel)
    : base_(HostOf(channel)),
      app_id_(channel.Setting(kAppId.key)),
      app_secret_(channel.Setting(kAppSecret.key)),
      max_card_bytes_(Bytes(channel.Setting(kMaxCardBytes.key)).value_or(kMaxCardBytesByDefault)) {
  if (base_.find("://") == std::string::npos) base_.insert(0, "https://");
}

std::string FeishuApi::KeyOf(std::string_view name) const {
  const Digest app = Sha256(fmt::format("{}\n{}\n{}", base_, app_id_, app_secret_.Reveal()));
  return fmt::format("feishu {} {}", ToHex(AsBytes(app)), name);
}

std::variant<Secret, Need> FeishuApi::Token(const SendContext& context) const {
  Need need;
  need.key = KeyOf("token");
  if (const auto known = context.supplies.find(need.key); known != context.supplies.end()) return known->second;
  const Json body = {{"app_id", app_id_}, {"app_secret", app_secret_.Reveal()}};
  need.request.method = "POST";
  need.request.url = Secret(fmt::format("{}{}", base_, kTokenPath));
  need.request.headers = {{"Content-Type", "application/json; charset=utf-8"}};
  need.request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  need.read = [self = *this](const http::HttpResponse& response) {
    return ReadAccessToken(self.Read(response), response, "tenant_access_token", "expire");
  };
  need.is_token = true;
  need.counts = false;
  return need;
}

http::HttpRequest FeishuApi::Post(std::string_view path, const Secret& token, std::string json) const {
  http::HttpRequest request;
  request.method = "POST";
  request.url = Secret(fmt::format("{}{}", base_, path));
  request.headers = {{"Content-Type", "application/json; charset=utf-8"},
                     {"Authorization", fmt::format("Bearer {}", token.Reveal())}};
  request.body = std::move(json);
  return request;
}

SendOutcome FeishuApi::Read(const http::HttpResponse& response) const {
  const std::array<std::string_view, 1> secrets = {app_secret_.Reveal()};
  SendOutcome outcome = ReadCodedAnswer(kAnswers, response, secrets);
  std::string log_id(http::FindHeader(response.headers, "x-tt-logid"));
  if (const auto fields = ReadAnswerFields(response.body)) {
    const auto within = [&](std::string_view object, std::string_view name) {
      const auto found = fields->find(object);
      const auto inner = found == fields->end() ? std::nullopt : ReadAnswerFields(found->second);
      return inner ? TextField(*inner, name) : std::string();
    };
    if (const std::string named = within("error", "log_id"); !named.empty()) log_id = named;
    if (outcome.verdict == SendVerdict::kAccepted) {
      outcome.provider_message_id = RedactId(within("data", "message_id"), secrets);
    }
  }
  if (log_id.empty()) log_id = http::FindHeader(response.headers, "x-request-id");
  outcome.provider_log_id = RedactId(log_id, secrets);
  return outcome;
}

Rendering FeishuApi::Fit(std::string_view type, std::string body) const {
  const std::size_t most = type == "text" ? kMaxTextBytes : max_card_bytes_;
  if (body.size() > most) return TooLarge(kVendor, fmt::format("{} request", type), body.size(), most, "bytes");
  return body;
}

}  // namespace outrider::providers
