// GroupBots: what Feishu's custom bots would say to a request, and the truth about what they took.
//
// The checks come in the order token, size, JSON, address, signature, msg_type and content, keyword, rate. That the
// token comes before the content is reported of the real service; the rest of the order is our choice. Written apart
// from providers/feishu_bot, from the same facts (open.feishu.cn/document/client-docs/bot-v3/add-custom-bot), so that
// one can catch the other's mistakes: the signature is computed here with OpenSSL directly.
//
// Time is a parameter. Not thread-safe (the server guards it). Everything is in memory: the truth lives as long as the
// process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/time.h"

namespace outrider::fake_im {

struct BotSettings {
  std::string vendor;  // empty: a Feishu bot; else an endpoint's (endpoint.h)
  std::string token;
  std::string secret;                 // not empty: requests must be signed
  std::vector<std::string> keywords;  // not empty: one must occur in a text or title
  std::vector<std::string> ip_allow;  // not empty: addresses or CIDR blocks
  int per_second = 5;                 // 0: no limit
  int per_minute = 100;
  int rate_code = 11232;  // or 9499, which comes with HTTP 400; dingtalk: its own, 1111 for the gate in front
  std::size_t max_body = 20'000;
  bool knows_keys = false;    // dingtalk: a msgUuid that came before is taken for the same message
  bool code_as_text = false;  // dingtalk: "0" for 0
};

struct Delivery {
  std::size_t sequence = 0;  // 1 is the first
  Timestamp time{};          // by the server's clock
  std::string token;
  std::string msg_type;
  std::string text;  // what a person would read: title and texts
  std::string body;  // as received
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

Answer CodeAnswer(int status, std::int64_t code, std::string_view message);

class GroupBots final {
 public:
  // Unknown tokens are bots with default settings from their first request on, instead of 19001.
  void AcceptAnyToken(bool any) { any_token_ = any; }
  void Set(BotSettings settings);
  // One POST to a bot's webhook. A message that is taken becomes a delivery before the answer is made.
  Answer Post(const std::string& token, const std::string& body, const std::string& client_address, Timestamp now);
  const std::vector<Delivery>& deliveries() const { return deliveries_; }
  std::vector<Delivery>& deliveries() { return deliveries_; }  // other vendors' are among them
  void ForgetDeliveries() { deliveries_.clear(); }
  void ForgetBots() { bots_.clear(); }

 private:
  struct Bot {
    BotSettings settings;
    std::deque<Timestamp> taken;  // of the last minute
  };
  std::map<std::string, Bot> bots_;
  std::vector<Delivery> deliveries_;
  bool any_token_ = false;
};

// base64(HMAC-SHA256(key = timestamp + "\n" + secret, "")).
std::string SignatureOf(std::string_view timestamp, std::string_view secret);

}  // namespace outrider::fake_im
