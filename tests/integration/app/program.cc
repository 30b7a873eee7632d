#include "tests/integration/app/program.h"

#include <fmt/format.h>

#include <sstream>
#include <stdexcept>

#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_client.h"

namespace outrider::app {
namespace {

std::string DatabaseOf(const std::string& url) { return url.substr(url.rfind('/') + 1); }

}  // namespace

Ended CallProgram(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), OUTRIDER_PROGRAM);
  testing::ChildProcess process({.command = std::move(arguments)});
  const auto status = process.Wait(std::chrono::seconds{60});
  if (!status) throw std::runtime_error("the command didn't end: " + process.Stderr());
  return {status->signal == 0 ? status->code : -status->signal, process.Stdout(), process.Stderr()};
}

std::string Running::Get(const std::string& path) {
  testing::RawClient client(port());
  const testing::RawAnswer answer = client.Get(path);
  return fmt::format("{} {}", answer.status, answer.body);
}

bool Running::WaitForLog(std::string_view text, std::chrono::milliseconds timeout) {
  return testing::WaitUntil([&] { return log().find(text) != std::string::npos; }, timeout);
}

std::vector<std::string> Running::Said(std::string_view event) {
  std::vector<std::string> said;
  std::istringstream lines(log());
  for (std::string line; std::getline(lines, line);) {
    const auto at = line.find(event);
    if (at != std::string::npos) said.push_back(line.substr(at + event.size()));
  }
  return said;
}

Installation::Installation(testing::DatabaseServer& server)
    : server_(server), own_(DatabaseOf(server.CreateDatabase())), shop_(DatabaseOf(server.CreateDatabase())) {
  Configure("");
}

void Installation::Configure(std::string_view more) {
  const std::string text = fmt::format(R"(database: {{url: "{}"}}
sources: [{{name: shop, url: "{}"}}]
transport: direct
allow_insecure_targets: true
api: {{listen: "127.0.0.1:0"}}
retry: {{base: 100ms, max: 1s}}
{})",
                                       server_.Url(own_), server_.Url(shop_), more);
  if (program_ == nullptr) program_ = std::make_unique<testing::OutriderProgram>(text);
  program_->SetConfiguration(text);
}

Ended Installation::Call(const std::vector<std::string>& arguments) const { return program_->Command(arguments); }

std::unique_ptr<Running> Installation::Run(const std::vector<std::string>& more,
                                           const std::map<std::string, std::string>& environment) const {
  return std::make_unique<Running>(program_->Run(more, environment));
}

std::unique_ptr<testing::ChildProcess> Installation::Start(const std::vector<std::string>& arguments) const {
  return program_->Start(arguments);
}

std::unique_ptr<mysql::MysqlConnection> Installation::Connect(const std::string& database) const {
  auto connection = mysql::MysqlConnection::Open(server_.Options(database));
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

void Installation::Order(std::string_view dedupe_key, std::string_view channel) const {
  const std::string payload = fmt::format(
      R"({{"dedupe_key": "{}", "channel": "{}", "message": {{"text": "hello {}"}}}})", dedupe_key, channel, dedupe_key);
  const auto inserted = ConnectToShop()->Execute("INSERT INTO outbox (aggregateid, payload) VALUES (?, ?)",
                                                 {dedupe_key, std::string_view(payload)});
  if (!inserted) throw std::runtime_error(inserted.error().message);
}

std::string ChannelLine(std::string_view code, const std::string& webhook_url) {
  return fmt::format("  {}: {{provider: feishu_bot, webhook_url: \"{}\"}}\n", code, webhook_url);
}

}  // namespace outrider::app
