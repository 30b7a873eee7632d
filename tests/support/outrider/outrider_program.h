// OutriderProgram: the built `outrider` with one configuration file, run as a user runs it.
//
// Threads: one at a time. Started processes write to files of their own in this object's folder, which outlives none of
// them: REQUIRES that they end before it does. Errors: std::runtime_error, which a test reports as its failure.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process/child_process.h"
#include "tests/support/process/temp_dir.h"

namespace outrider::testing {

class OutriderProgram final {
 public:
  // `configuration`: the YAML file's text.
  explicit OutriderProgram(std::string_view configuration);

  void SetConfiguration(std::string_view configuration);
  std::filesystem::path configuration_file() const;

  // `outrider --config FILE run ARGUMENTS`, at work in the background; `environment` on top of this program's.
  std::unique_ptr<ChildProcess> Run(const std::vector<std::string>& arguments = {},
                                    const std::map<std::string, std::string>& environment = {});
  // The same for any command.
  std::unique_ptr<ChildProcess> Start(const std::vector<std::string>& arguments,
                                      const std::map<std::string, std::string>& environment = {});

  struct Ended {
    int code = 0;
    std::string out;  // stdout
    std::string err;  // stderr
  };
  // `outrider --config FILE ARGUMENTS` to its end; throws when it doesn't end in time or ends by a signal.
  Ended Command(const std::vector<std::string>& arguments,
                std::chrono::milliseconds timeout = std::chrono::seconds{60});

 private:
  ChildOptions Options(const std::vector<std::string>& arguments);

  TempDir folder_{"program"};
  int runs_ = 0;
};

// The port of a running process's HTTP server, once it has said so; throws when it doesn't within `timeout`.
std::uint16_t HttpPort(ChildProcess& process, std::chrono::milliseconds timeout = std::chrono::seconds{30});

}  // namespace outrider::testing
