// FeishuApps: what Feishu's app API would say to a request, and the truth about what it took.
//
// Knows tokens, messages, replies, batches, the look-up of ids and uploads of pictures and files. The checks of a
// message come in the order token, the app's rate, fields, uuid, recipient, the chat's rate, size, content; that of the
// real service isn't known. One uuid is taken once in an hour, and a repetition is told the first message's id. Written
// apart from providers/feishu_app, from the same facts (the vendor's pages on im-v1 and access tokens).
//
// Time is in the call. Not thread-safe (the server guards it). Everything is in memory.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/time.h"
#include "tests/support/fake_im/endpoint.h"

namespace outrider::fake_im {

struct AppSettings {
  std::string app_id;
  std::string app_secret;
  int token_life = 7200;          // seconds
  std::string token_head = "t-";  // how its tokens begin
  std::size_t token_size = 42;
  int per_second = 0;  // of messages; 0: no limit
  int chat_per_second = 0;
  std::map<std::string, std::string> people;  // e-mail or telephone number -> open_id
  std::map<std::string, int> refused;         // recipient -> the code that says so
  int card_code = 0;                          // not 0: cards are refused with it, as 230099 does
  std::string card_words;                     // after "ext="
  std::size_t max_card = 30'000;
};

struct AppDelivery {
  Timestamp time{};
  std::string app_id;
  std::string message_id;
  std::string receive_id_type;  // "message_id" for a reply, "batch" for one of a batch
  std::string receive_id;
  std::string msg_type;
  std::string content;  // as in the request
  std::string uuid;
};

class FeishuApps final {
 public:
  static bool IsMine(std::string_view path);

  void Set(AppSettings settings);
  void Forget();
  Answer Post(const Call& call);
  void RevokeTokens();
  const std::vector<AppDelivery>& deliveries() const { return deliveries_; }
  std::size_t tokens_asked() const { return tokens_asked_; }

 private:
  struct Token {
    std::string text;
    Timestamp ends{};
  };
  struct App {
    AppSettings settings;
    std::vector<Token> tokens;
    std::deque<Timestamp> calls;  // of the last second
    std::map<std::string, std::deque<Timestamp>> chats;
    struct Seen {
      Timestamp time{};
      std::string message_id;
    };
    std::map<std::string, Seen> uuids;
  };
  Answer GiveToken(const Call& call);
  Answer Send(App& app, const Call& call);
  Answer SendBatch(App& app, const Call& call);
  Answer FindIds(const App& app, const Call& call) const;
  Answer Upload(const Call& call);
  std::string NextId(const std::string& head);

  std::map<std::string, App> apps_;
  std::vector<AppDelivery> deliveries_;
  std::size_t tokens_asked_ = 0;
  std::size_t ids_ = 0;
};

}  // namespace outrider::fake_im
