// Endpoint: what one vendor would say to a request, for vendors beside Feishu's bots (group_bot.h).
//
// A vendor is one .cc file with one maker below. All share BotSettings (`vendor` names whose robot it is) and the list
// of deliveries, which is the truth about what they took. Time is in the call. Not thread-safe (the server guards
// them).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fake_im/group_bot.h"

namespace outrider::fake_im {

struct Call {
  std::string path;
  std::string query;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string client;
  Timestamp now{};
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual std::string_view vendor() const = 0;
  virtual bool Owns(std::string_view path) const = 0;
  virtual void Set(BotSettings settings) = 0;
  virtual void Forget() = 0;
  // A message that is taken becomes a delivery before the answer is made.
  virtual Answer Post(const Call& call, std::vector<Delivery>& deliveries) = 0;
  // A refusal with this code and text in the vendor's form.
  virtual Answer Refusal(int status, std::int64_t code, std::string_view text) const = 0;
};

std::unique_ptr<Endpoint> MakeDingtalkRobots();  // POST /robot/send?access_token=
std::unique_ptr<Endpoint> MakeWecomRobots();     // POST /cgi-bin/webhook/send?key=
std::unique_ptr<Endpoint> MakeSlackHooks();      // POST /services/T/B/SECRET; the token is the secret

// One robot of a vendor, and what several vendors' checks need.
struct Robot {
  BotSettings settings;
  std::deque<Timestamp> taken;         // of the last minute
  Timestamp closed_until{};            // shut out for sending too fast
  std::map<std::string, bool> keys{};  // that came before
};

bool IsOverRate(Robot& robot, Timestamp now);
bool HasKeyword(const BotSettings& settings, std::string_view text);
// The value of a query's parameter, percent-decoded once; empty when there is none.
std::string Parameter(std::string_view query, std::string_view name);
void Deliver(const Call& call, const Robot& robot, std::string msg_type, std::string text,
             std::vector<Delivery>& deliveries);
// {"errcode": code, "errmsg": text}, with HTTP 200.
Answer ErrcodeAnswer(std::int64_t code, std::string_view text);

}  // namespace outrider::fake_im
