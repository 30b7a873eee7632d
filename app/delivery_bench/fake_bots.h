// FakeBots: the fake IM server that a bench sends to, through its control API, and the truth about what it took.
//
// Nothing is sent before the server has shown that it is the fake one: its control API answers. Threads: one. Nothing
// is kept here.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "model/time.h"

namespace outrider::app {

class FakeBots final {
 public:
  struct Taken {
    std::string text;
    Timestamp at{};  // by this machine's clock
  };

  // `url`: "http://127.0.0.1:port". kInvalid: no fake IM server answers there.
  static Result<std::unique_ptr<FakeBots>> Open(const std::string& url);
  ~FakeBots();

  // Forgets everything and takes these tokens for bots without limits.
  Result<void> Reset(const std::vector<std::string>& tokens);
  // From now on that bot never answers.
  Result<void> Silence(const std::string& token);
  Result<std::size_t> Count();  // of what was taken
  // What was taken, in order, after the first `skip`.
  Result<std::vector<Taken>> Read(std::size_t skip = 0);
  std::string WebhookUrl(std::string_view token) const;

 private:
  struct State;
  explicit FakeBots(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace outrider::app
