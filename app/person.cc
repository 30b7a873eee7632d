#include "app/person.h"

#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "model/text.h"

namespace outrider::app {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM};
constexpr std::chrono::milliseconds kStep{50};
constexpr std::size_t kMostName = 64;

std::atomic<bool> interrupted = false;

std::string UserName() {
  if (const char* sudo = std::getenv("SUDO_USER"); sudo != nullptr && *sudo != '\0') return sudo;
  const passwd* user = getpwuid(getuid());
  return user != nullptr ? std::string(user->pw_name) : fmt::format("uid-{}", getuid());
}

std::string HostName() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return "unknown-host";
  return host.data();
}

}  // namespace

std::string Actor() {
  return fmt::format("{}@{}", CutCodePoints(SanitizeUtf8(UserName()), kMostName),
                     CutCodePoints(SanitizeUtf8(HostName()), kMostName));
}

Consent AskForCount(std::size_t count, std::string_view what) {
  if (isatty(STDIN_FILENO) != 1) return Consent::kNotAsked;
  fmt::print(stderr, "outrider: this will {}. Type {} to go on: ", what, count);
  std::fflush(stderr);
  std::string typed;
  std::getline(std::cin, typed);
  return TrimSpace(typed) == std::to_string(count) ? Consent::kGiven : Consent::kRefused;
}

Interruption::Interruption() {
  interrupted = false;
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

Interruption::~Interruption() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

bool Interruption::came() const { return interrupted; }

void Interruption::Sleep(std::chrono::milliseconds wait) const {
  const auto end = std::chrono::steady_clock::now() + wait;
  while (!came()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    std::this_thread::sleep_for(std::min(left, kStep));
  }
}

}  // namespace outrider::app
