#include "tests/support/fake_im/group_bot.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

namespace outrider::fake_im {
namespace {

using Json = nlohmann::json;
namespace ip = boost::asio::ip;

constexpr std::int64_t kSignatureLife = 3600;  // seconds, either way

bool IsAllowed(const std::vector<std::string>& allowed, const std::string& client) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(client, error);
  if (error) return false;
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& entry) {
    boost::system::error_code bad;
    if (entry.find('/') == std::string::npos) return ip::make_address(entry, bad) == address && !bad;
    if (address.is_v4()) {
      const ip::network_v4 network = ip::make_network_v4(entry, bad);
      return !bad && ip::network_v4(address.to_v4(), network.prefix_length()).canonical() == network.canonical();
    }
    const ip::network_v6 network = ip::make_network_v6(entry, bad);
    return !bad && ip::network_v6(address.to_v6(), network.prefix_length()).canonical() == network.canonical();
  });
}

bool IsSigned(const Json& body, const std::string& secret, Timestamp now) {
  const auto timestamp = body.find("timestamp");
  const auto sign = body.find("sign");
  if (timestamp == body.end() || sign == body.end() || !timestamp->is_string() || !sign->is_string()) return false;
  const std::string text = timestamp->get<std::string>();
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return false;
  const std::int64_t present = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  if (seconds < present - kSignatureLife || seconds > present + kSignatureLife) return false;
  return sign->get<std::string>() == SignatureOf(text, secret);
}

bool HasText(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() && !found->get<std::string>().empty();
}

bool IsPost(const Json& content) {
  const auto post = content.find("post");
  if (post == content.end() || !post->is_object() || post->empty()) return false;
  return std::all_of(post->begin(), post->end(), [](const Json& language) {
    if (!language.is_object()) return false;
    const auto paragraphs = language.find("content");
    if (paragraphs == language.end() || !paragraphs->is_array()) return false;
    return std::all_of(paragraphs->begin(), paragraphs->end(), [](const Json& paragraph) {
      return paragraph.is_array() && std::all_of(paragraph.begin(), paragraph.end(), [](const Json& node) {
               return node.is_object() && HasText(node, "tag");
             });
    });
  });
}

// What is wrong with type and content, in the vendor's words as far as they were seen; nothing when all is well.
std::optional<std::string> ContentFault(const Json& body) {
  const auto type = body.find("msg_type");
  if (type == body.end() || !type->is_string()) return "params error, msg_type need";
  const std::string name = type->get<std::string>();
  if (name == "interactive") {
    const auto card = body.find("card");
    if (card == body.end() || !card->is_object() || card->empty()) return "params error, unknown card value";
    return std::nullopt;
  }
  const auto content = body.find("content");
  if (content == body.end() || !content->is_object()) return "params error, content need";
  bool good = false;
  if (name == "text") {
    good = HasText(*content, "text");
  } else if (name == "post") {
    good = IsPost(*content);
  } else if (name == "image") {
    good = HasText(*content, "image_key");
  } else if (name == "share_chat") {
    good = HasText(*content, "share_chat_id");
  } else {
    return "params error, msg_type need";
  }
  if (!good) return "params error, incorrect input format";
  return std::nullopt;
}

// Texts and titles, in reading order; link targets and ids aren't read by anybody.
void CollectText(const Json& json, std::string& out) {
  if (json.is_array()) {
    for (const Json& item : json) CollectText(item, out);
    return;
  }
  if (!json.is_object()) return;
  const auto add = [&](const Json& value) {
    if (value.is_string()) {
      const std::string text = value.get<std::string>();
      if (text.empty()) return;
      if (!out.empty()) out += " — ";
      out += text;
    } else {
      CollectText(value, out);
    }
  };
  // Titles stand above bodies, whatever their order in the JSON.
  for (const char* key : {"header", "title", "subtitle", "text", "content"}) {
    if (const auto found = json.find(key); found != json.end()) add(*found);
  }
  static const std::array<std::string_view, 5> kRead = {"header", "title", "subtitle", "text", "content"};
  for (const auto& [key, value] : json.items()) {
    if (value.is_structured() && std::find(kRead.begin(), kRead.end(), key) == kRead.end()) CollectText(value, out);
  }
}

std::string ReadableText(const Json& body) {
  std::string text;
  if (const auto content = body.find("content"); content != body.end()) CollectText(*content, text);
  if (const auto card = body.find("card"); card != body.end()) CollectText(*card, text);
  return text;
}

bool IsOverRate(const std::deque<Timestamp>& taken, int limit, std::chrono::microseconds window, Timestamp now) {
  if (limit <= 0) return false;
  const auto inside = std::count_if(taken.begin(), taken.end(), [&](Timestamp time) { return now - time < window; });
  return inside >= limit;
}

}  // namespace

Answer CodeAnswer(int status, std::int64_t code, std::string_view message) {
  const Json json = {{"code", code}, {"data", Json::object()}, {"msg", message}};
  Answer answer;
  answer.status = status;
  answer.body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return answer;
}

std::string SignatureOf(std::string_view timestamp, std::string_view secret) {
  const std::string key = fmt::format("{}\n{}", timestamp, secret);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  const unsigned char nothing = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), &nothing, 0, digest.data(), &length);
  std::array<unsigned char, 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1> text{};
  const int written = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(length));
  return {text.begin(), text.begin() + written};
}

void GroupBots::Set(BotSettings settings) {
  std::string token = settings.token;
  bots_[std::move(token)].settings = std::move(settings);
}

Answer GroupBots::Post(const std::string& token, const std::string& body, const std::string& client_address,
                       Timestamp now) {
  auto found = bots_.find(token);
  if (found == bots_.end()) {
    if (!any_token_) {
      return CodeAnswer(200, 19001, "param invalid: incoming webhook access token invalid");
    }
    BotSettings settings;
    settings.token = token;
    found = bots_.emplace(token, Bot{settings, {}}).first;
  }
  Bot& bot = found->second;
  const BotSettings& settings = bot.settings;
  if (body.size() > settings.max_body) return CodeAnswer(400, 9499, "Bad Request");
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) return CodeAnswer(400, 9499, "Bad Request");
  if (!settings.ip_allow.empty() && !IsAllowed(settings.ip_allow, client_address)) {
    return CodeAnswer(200, 19022, "Ip Not Allowed");
  }
  if (!settings.secret.empty() && !IsSigned(json, settings.secret, now)) {
    return CodeAnswer(200, 19021, "sign match fail or timestamp is not within one hour from current time");
  }
  if (const auto fault = ContentFault(json)) return CodeAnswer(200, 19002, *fault);
  std::string text = ReadableText(json);
  if (!settings.keywords.empty() &&
      std::none_of(settings.keywords.begin(), settings.keywords.end(),
                   [&](const std::string& keyword) { return text.find(keyword) != std::string::npos; })) {
    return CodeAnswer(200, 19024, "Key Words Not Found");
  }
  while (!bot.taken.empty() && now - bot.taken.front() >= std::chrono::minutes{1}) bot.taken.pop_front();
  if (IsOverRate(bot.taken, settings.per_second, std::chrono::seconds{1}, now) ||
      IsOverRate(bot.taken, settings.per_minute, std::chrono::minutes{1}, now)) {
    if (settings.rate_code == 9499) return CodeAnswer(400, 9499, "too many request");
    return CodeAnswer(200, settings.rate_code, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]");
  }
  bot.taken.push_back(now);
  Delivery delivery;
  delivery.sequence = deliveries_.size() + 1;
  delivery.time = now;
  delivery.token = token;
  delivery.msg_type = json.at("msg_type").get<std::string>();
  delivery.text = std::move(text);
  delivery.body = body;
  deliveries_.push_back(std::move(delivery));

  Answer answer;
  answer.body = R"({"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"})";
  return answer;
}

}  // namespace outrider::fake_im
