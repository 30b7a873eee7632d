#include "providers/slack_webhook.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/text.h"
#include "providers/coded_answer.h"
#include "providers/content.h"
#include "providers/redact.h"
#include "providers/slack_webhook_codes.h"
#include "providers/webhook_address.h"

namespace outrider::providers {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kUrlKey = "webhook_url";
constexpr std::string_view kServices = "/services/";
constexpr std::string_view kVendor = "a Slack webhook";
constexpr std::size_t kLongestWord = 64;

constexpr std::array kSettings = {SettingInfo{.key = kUrlKey, .required = true, .secret = true}};
constexpr std::array<std::string_view, 1> kHosts = {"hooks.slack.com"};
constexpr AddressRule kAddress{
    .key = kUrlKey, .example = "https://hooks.slack.com/services/<workspace>/<webhook>/<secret>", .hosts = kHosts};

bool HasThreeParts(std::string_view path) {
  if (!path.starts_with(kServices)) return false;
  path.remove_prefix(kServices.size());
  for (int i = 0; i < 2; ++i) {
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos || !IsPlainToken(path.substr(0, slash))) return false;
    path.remove_prefix(slash + 1);
  }
  return IsPlainToken(path);
}

Rendering Body(Json json, std::size_t characters) {
  if (characters > SlackWebhook::kMaxTextCharacters) {
    return TooLarge(kVendor, "text", characters, SlackWebhook::kMaxTextCharacters, "characters");
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Rendering CardBody(const Message& message) {
  Json body = Json::parse(message.card, nullptr, false);
  if (!body.is_object() || !(body.contains("blocks") || body.contains("attachments"))) return CantCarry(kVendor);
  return Body(std::move(body), 0);
}

bool IsLink(std::string_view url) {
  return (url.starts_with("https://") || url.starts_with("http://")) &&
         url.find_first_of(" \t\r\n<>|\"") == std::string_view::npos;
}

// A link of Markdown at the front of `text`, in Slack's form; `taken` is how much of the text it was.
std::string LinkAt(std::string_view text, std::size_t& taken) {
  if (text.front() != '[' && text.front() != '<' && !text.starts_with("![")) return {};
  if (text.starts_with('<')) {
    const std::size_t end = text.find('>');
    if (end == std::string_view::npos || !IsLink(text.substr(1, end - 1))) return {};
    taken = end + 1;
    return fmt::format("<{}>", EscapeSlack(text.substr(1, end - 1)));
  }
  const std::size_t begin = text.starts_with('!') ? 2 : 1;
  const std::size_t middle = text.find_first_of("]\n", begin);
  if (!text.substr(begin - 1).starts_with('[') || middle == std::string_view::npos ||
      !text.substr(middle).starts_with("](")) {
    return {};
  }
  const std::size_t end = text.find(')', middle);
  if (end == std::string_view::npos || !IsLink(text.substr(middle + 2, end - middle - 2))) return {};
  taken = end + 1;
  const std::string_view url = text.substr(middle + 2, end - middle - 2);
  const std::string_view label = text.substr(begin, middle - begin);
  if (TrimSpace(label).empty()) return fmt::format("<{}>", EscapeSlack(url));
  return fmt::format("<{}|{}>", EscapeSlack(url), EscapeSlack(label));
}

bool IsWord(std::string_view text) {
  return !text.empty() && text.size() <= kLongestWord &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

void ClassifyByWord(std::string_view word, int status, SendOutcome& outcome) {
  outcome.provider_code = word;
  const auto row = std::ranges::find(kSlackWords, word, &SlackWord::word);
  if (row != kSlackWords.end()) {
    outcome.verdict = row->verdict;
    outcome.reason = fmt::format("slack_{}", row->word);
    outcome.throttled = row->throttled;
    outcome.alert = row->alert;
    outcome.downgrade = row->downgrade;
    outcome.detail = fmt::format("{} ({})", row->meaning, row->word);
    return;
  }
  ClassifyByStatus(status, outcome);
  if (outcome.verdict == SendVerdict::kChannelDown) return;  // a redirect, or nothing there
  outcome.verdict = IsAmbiguousStatus(status) ? SendVerdict::kNoAnswer : SendVerdict::kNotNow;
  outcome.reason = fmt::format("slack{}", kUnknownCodeSuffix);
  outcome.throttled = status == 429;
  outcome.alert = status != 429;
  outcome.detail =
      fmt::format("HTTP {} and an unknown word, taken as temporary until the attempts are used up ({})", status, word);
}

}  // namespace

std::string EscapeSlack(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string SlackMarkup(std::string_view markdown) {
  std::string out;
  bool in_fence = false;
  bool in_code = false;
  bool in_heading = false;
  for (std::size_t at = 0; at < markdown.size();) {
    const std::string_view rest = markdown.substr(at);
    const bool line_begins = at == 0 || markdown[at - 1] == '\n';
    std::size_t taken = 1;
    std::string piece = EscapeSlack(rest.substr(0, 1));
    const bool is_code = in_fence || (in_code && rest.front() != '\n' && rest.front() != '`');
    if (rest.starts_with("```")) {
      in_fence = !in_fence;
      taken = 3;
      piece = "```";
    } else if (is_code) {
      // As it stands.
    } else if (rest.front() == '\n') {
      in_code = false;
      piece = in_heading ? "*\n" : "\n";
      in_heading = false;
    } else if (rest.front() == '`') {
      in_code = !in_code;
    } else if (const std::size_t level = rest.find_first_not_of('#');
               line_begins && level != std::string_view::npos && level >= 1 && level <= 6 && rest[level] == ' ') {
      taken = level + 1;
      piece = "*";
      in_heading = true;
    } else if (rest.starts_with("**") || rest.starts_with("__")) {
      taken = 2;
      piece = in_heading ? "" : "*";
    } else if (rest.starts_with("~~")) {
      taken = 2;
      piece = "~";
    } else if (const std::string link = LinkAt(rest, taken); !link.empty()) {
      piece = link;
    }
    out += piece;
    at += taken;
  }
  if (in_heading) out += '*';
  return out;
}

std::span<const SettingInfo> SlackWebhook::Settings() { return kSettings; }

std::vector<std::string> SlackWebhook::Check(const ChannelSettings& channel) {
  AddressReading reading = ReadWebhookAddress(channel.Setting(kUrlKey), kAddress, channel.allow_insecure_targets);
  const WebhookAddress& address = reading.address;
  if (address.scheme.empty()) return reading.faults;
  if (address.path.starts_with("/workflows/") || address.path.starts_with("/triggers/")) {
    return {
        "webhook_url: is the address of a Slack workflow, which takes another kind of message; make an incoming "
        "webhook in an app's settings"};
  }
  if (!HasThreeParts(address.path)) {
    reading.faults.emplace_back("webhook_url: its path must be /services/<workspace>/<webhook>/<secret>");
  }
  if (address.has_query || address.has_fragment) {
    reading.faults.emplace_back("webhook_url: must not hold a query or a fragment");
  }
  return reading.faults;
}

std::unique_ptr<Provider> SlackWebhook::Make(const ChannelSettings& channel) {
  return std::make_unique<SlackWebhook>(channel);
}

SlackWebhook::SlackWebhook(const ChannelSettings& channel) : webhook_url_(channel.Setting(kUrlKey)) {
  const std::string& url = webhook_url_.Reveal();
  const std::size_t services = url.find(kServices);
  if (services != std::string::npos) path_ = Secret(url.substr(services + kServices.size()));
  secret_ = Secret(url.substr(url.rfind('/') + 1));
}

SendPlan SlackWebhook::BuildRequest(const Notification& notification, const SendContext&) const {
  const auto render = [](const Message& message) -> Rendering {
    switch (message.kind) {
      case Message::Kind::kText:
      case Message::Kind::kTitledText: {
        const std::string text = PlainText(message);
        if (text.empty()) return CantCarry(kVendor);
        return Body({{"text", EscapeSlack(text)}, {"mrkdwn", false}}, CountCodePoints(text));
      }
      case Message::Kind::kMarkdown: {
        if (TrimSpace(message.text).empty()) return CantCarry(kVendor);
        const std::string title = EscapeSlack(AsMarkdownTitle(message.title));
        const std::string text = SlackMarkup(message.text);
        const std::string whole = title.empty() ? text : fmt::format("*{}*\n{}", title, text);
        return Body({{"text", whole}}, CountCodePoints(whole));
      }
      case Message::Kind::kCard:
        return CardBody(message);
      case Message::Kind::kHtml:
        break;
    }
    return CantCarry(kVendor);
  };
  return PostJson(webhook_url_, RenderOrFallBack(notification, render));
}

SendOutcome SlackWebhook::ReadResponse(const http::HttpResponse& response) const {
  SendOutcome outcome;
  const std::string_view word = TrimSpace(response.body);
  const bool is_ok = response.body == "ok";
  if (is_ok && response.status >= 200 && response.status < 300) {
    outcome.verdict = SendVerdict::kAccepted;
    outcome.provider_code = "ok";
  } else if (!is_ok && IsWord(word)) {
    ClassifyByWord(word, response.status, outcome);
  } else {
    ClassifyByStatus(response.status, outcome);
    outcome.alert = outcome.alert || response.status < 300;
  }
  const std::array<std::string_view, 2> known = {path_.Reveal(), secret_.Reveal()};
  SealOutcome(response, known, outcome);
  outcome.provider_code = RedactId(outcome.provider_code, known);
  return outcome;
}

}  // namespace outrider::providers
