// outrider-fake-im: the fake IM server as a program, for the quickstart and for tests that kill things.
//   outrider-fake-im [--port N] [--bot TOKEN[:SECRET]]... [--any-token] [--quiet]
// Prints "ready http://127.0.0.1:PORT" and then one line per accepted message; stops at SIGTERM or SIGINT.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/fake_im/fake_im_server.h"

namespace {

// One line, whatever the text holds.
std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  return line;
}

void PrintDelivery(const outrider::fake_im::Delivery& delivery) {
  constexpr std::size_t kShown = 4;
  const std::size_t hidden = delivery.token.size() > kShown ? delivery.token.size() - kShown : 0;
  std::printf("[group %s] %s\n", delivery.token.substr(hidden).c_str(), OneLine(delivery.text).c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A fake IM server: Feishu's group bots, with faults and the truth under /__fake/."};
  std::uint16_t port = 0;
  std::vector<std::string> bots;
  outrider::fake_im::FakeImOptions options;
  app.add_option("--port", port, "Listen on 127.0.0.1 and this port (0: a free one)");
  app.add_option("--bot", bots, "TOKEN or TOKEN:SECRET of a bot; may be repeated");
  bool quiet = false;
  app.add_flag("--quiet", quiet, "Print no line per message");
  app.add_flag("--any-token", options.any_token, "Take every token for a bot's");
  CLI11_PARSE(app, argc, argv);

  options.port = port;
  if (!quiet) options.on_delivery = &PrintDelivery;
  for (const std::string& text : bots) {
    const std::size_t colon = text.find(':');
    outrider::fake_im::BotSettings bot;
    bot.token = text.substr(0, colon);
    if (colon != std::string::npos) bot.secret = text.substr(colon + 1);
    options.bots.push_back(std::move(bot));
  }

  // Blocked before the server's thread starts, so that only sigwait() gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  const auto server = outrider::fake_im::FakeImServer::Start(std::move(options));
  if (!server) {
    std::fprintf(stderr, "outrider-fake-im: %s\n", server.error().message.c_str());
    return 1;
  }
  std::printf("ready %s\n", (*server)->url().c_str());
  std::fflush(stdout);
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}
