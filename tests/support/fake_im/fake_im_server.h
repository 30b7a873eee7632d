// FakeImServer: an IM vendor's HTTP server for tests, which can misbehave, and which keeps the truth about what it
// accepted.
//
// Speaks POST /open-apis/bot/v2/hook/{token} like Feishu's custom bots (group_bot.h), the app API like Feishu's
// (feishu_apps.h), what the other vendors' robots answer (endpoint.h), 404 text/plain elsewhere, and a control API
// under /__fake/ that the methods here mirror:
//   POST   /__fake/bots        {vendor, token, secret, keywords, ip_allow, per_second, per_minute, rate_code, max_body}
//   POST   /__fake/fault       {match: {path, nth}, kind, times, accept, ...} (fault.h) -> {id}
//   GET    /__fake/faults      what was set, seen and fired; DELETE forgets them
//   GET    /__fake/deliveries  ?after=SEQUENCE: the truth, with bodies as received
//   GET    /__fake/requests    every request that came, but for the control API's
//   POST   /__fake/clock       {advance_s}: the server's clock, on top of the real one
//   POST   /__fake/down        {for_ms}: nothing listens for so long; connections end
//   POST   /__fake/reset       as at the start
//
// Plain HTTP on 127.0.0.1 only. One thread of its own; the methods are safe from any other. The truth lives as long as
// the process, so tests that kill things run it as the program outrider-fake-im.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/result.h"
#include "tests/support/fake_im/fault.h"
#include "tests/support/fake_im/feishu_apps.h"
#include "tests/support/fake_im/group_bot.h"

namespace outrider::fake_im {

struct FakeImOptions {
  std::uint16_t port = 0;  // 0: a free one
  std::vector<BotSettings> bots;
  std::vector<AppSettings> apps = {};
  bool any_token = false;                                 // unknown tokens are bots too
  std::function<void(const Delivery&)> on_delivery = {};  // in the server's thread
};

struct SeenRequest {
  Timestamp time{};
  std::string method;
  std::string path;
};

class FakeImServer final {
 public:
  // Listens when this returns; kUnavailable when the port is taken.
  static Result<std::unique_ptr<FakeImServer>> Start(FakeImOptions options = {});
  ~FakeImServer();
  FakeImServer(const FakeImServer&) = delete;
  FakeImServer& operator=(const FakeImServer&) = delete;

  std::uint16_t port() const;
  std::string url() const;  // http://127.0.0.1:PORT
  std::string WebhookUrl(const std::string& token) const;

  void SetBot(BotSettings settings);
  void SetApp(AppSettings settings);
  void RevokeTokens();
  int AddFault(Fault fault);
  void ClearFaults();
  std::vector<Fault> faults() const;
  void AdvanceClock(std::chrono::microseconds by);
  Timestamp Now() const;
  void Reset();

  // While down nothing listens on the port, so connecting is refused; open connections are reset. ComeBack() listens
  // when it returns.
  void GoDown();
  void ComeBack();

  std::vector<Delivery> deliveries() const;
  std::vector<AppDelivery> app_deliveries() const;
  std::size_t tokens_asked() const;
  std::vector<SeenRequest> requests() const;
  // False when fewer than `count` deliveries were there at the deadline.
  bool WaitForDeliveries(std::size_t count, std::chrono::milliseconds deadline) const;
  bool WaitForRequests(std::size_t count, std::chrono::milliseconds deadline) const;

  struct State;  // for the connections in the .cc file

 private:
  explicit FakeImServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace outrider::fake_im
