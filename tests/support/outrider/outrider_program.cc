#include "tests/support/outrider/outrider_program.h"

#include <fmt/format.h>

#include <stdexcept>

#include "tests/support/process/wait_until.h"

namespace outrider::testing {

OutriderProgram::OutriderProgram(std::string_view configuration) { SetConfiguration(configuration); }

void OutriderProgram::SetConfiguration(std::string_view configuration) {
  // A reader sees the old file or the new one, never half of one.
  const std::filesystem::path half = folder_.path() / "outrider.yaml.new";
  WriteTextFile(half, configuration);
  std::filesystem::rename(half, configuration_file());
}

std::filesystem::path OutriderProgram::configuration_file() const { return folder_.path() / "outrider.yaml"; }

ChildOptions OutriderProgram::Options(const std::vector<std::string>& arguments) {
  ChildOptions options;
  options.command = {OUTRIDER_PROGRAM, "--config", configuration_file().string()};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  options.output_directory = folder_.path() / fmt::format("run-{}", ++runs_);
  std::filesystem::create_directory(options.output_directory);
  return options;
}

std::unique_ptr<ChildProcess> OutriderProgram::Run(const std::vector<std::string>& arguments,
                                                   const std::map<std::string, std::string>& environment) {
  std::vector<std::string> all = {"run"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Start(all, environment);
}

std::unique_ptr<ChildProcess> OutriderProgram::Start(const std::vector<std::string>& arguments,
                                                     const std::map<std::string, std::string>& environment) {
  ChildOptions options = Options(arguments);
  options.environment = environment;
  return std::make_unique<ChildProcess>(options);
}

OutriderProgram::Ended OutriderProgram::Command(const std::vector<std::string>& arguments,
                                                std::chrono::milliseconds timeout) {
  ChildProcess process(Options(arguments));
  const std::optional<ExitStatus> status = process.Wait(timeout);
  const std::string what = fmt::format("outrider {}", arguments.empty() ? "" : arguments.front());
  if (!status) throw std::runtime_error(fmt::format("{} did not end in time; it wrote:\n{}", what, process.Stderr()));
  if (status->signal != 0) {
    throw std::runtime_error(fmt::format("{} ended by {}; it wrote:\n{}", what, Describe(*status), process.Stderr()));
  }
  return {status->code, process.Stdout(), process.Stderr()};
}

std::uint16_t HttpPort(ChildProcess& process, std::chrono::milliseconds timeout) {
  std::uint16_t port = 0;
  const bool said = WaitUntil(
      [&] {
        const std::string log = process.Stderr();
        const std::size_t line = log.find("http.listens");
        const std::size_t at = log.find("port=", line);
        if (line == std::string::npos || at == std::string::npos || log.find('\n', at) == std::string::npos)
          return false;
        port = static_cast<std::uint16_t>(std::stoul(log.substr(at + 5)));
        return true;
      },
      timeout);
  if (!said) throw std::runtime_error("outrider run didn't say where it listens; it wrote:\n" + process.Stderr());
  return port;
}

}  // namespace outrider::testing
