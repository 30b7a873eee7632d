#include "tests/support/fake_im_process/fake_im_process.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/raw_http/raw_client.h"

namespace outrider::testing {

FakeImProcess::FakeImProcess(std::vector<std::string> bots) : port_(FreePort()), bots_(std::move(bots)) { Launch(); }

void FakeImProcess::Launch() {
  ChildOptions options;
  options.command = {FAKE_IM_PROGRAM, "--port", std::to_string(port_)};
  for (const std::string& bot : bots_) options.command.insert(options.command.end(), {"--bot", bot});
  process_.emplace(options);
  const bool ready =
      WaitUntil([&] { return !process_->Running() || process_->Stdout().find("ready ") != std::string::npos; });
  if (!ready || !process_->Running())
    throw std::runtime_error("the fake IM server didn't start: " + process_->Stderr());
}

std::string FakeImProcess::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

std::string FakeImProcess::WebhookUrl(std::string_view token) const {
  return fmt::format("{}/open-apis/bot/v2/hook/{}", url(), token);
}

std::vector<std::string> FakeImProcess::Accepted() const {
  const RawAnswer answer = RawClient(static_cast<std::uint16_t>(port_)).Get("/__fake/deliveries");
  if (answer.status != 200) throw std::runtime_error("the fake IM server doesn't tell what it accepted");
  const nlohmann::json truth = nlohmann::json::parse(answer.body);
  std::vector<std::string> texts;
  for (const auto& delivery : truth.at("deliveries")) texts.push_back(delivery.at("text"));
  return texts;
}

void FakeImProcess::AddFault(const std::string& json) const {
  const RawAnswer answer = RawClient(static_cast<std::uint16_t>(port_)).Post("/__fake/fault", json);
  if (answer.status != 200) throw std::runtime_error("the fake IM server refuses the fault: " + answer.body);
}

void FakeImProcess::Stop() {
  if (process_) process_->Terminate();
}
void FakeImProcess::Kill() {
  if (process_) process_->Kill();
}
void FakeImProcess::Pause() { process_->Pause(); }
void FakeImProcess::Continue() { process_->Continue(); }
void FakeImProcess::Restart() {
  Stop();
  Launch();
}

}  // namespace outrider::testing
