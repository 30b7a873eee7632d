// The configuration, read by app/config. The input: a file's text, then, each after a line "%%", variables of the
// environment and assignments as --set takes them (a line each), and what is written around the secrets: the text in
// front up to byte 0x1E, the text behind. Every secret setting is planted so in the environment, which wins over the
// file.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "app/config.h"
#include "tests/fuzz/fuzz.h"

namespace outrider::fuzz {
namespace {

using app::ConfigInput;
using app::ConfigReading;

// A file in memory with a path: nothing is written to a disk, and nothing stays behind.
class MemoryFile final {
 public:
  explicit MemoryFile(std::string_view text) : fd_(memfd_create("config", MFD_CLOEXEC)) {
    Claim(fd_ >= 0, "the system gives a file in memory");
    Claim(write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "the file takes its text");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) lines.emplace_back(TakePart(text, "\n"));
  return lines;
}

constexpr std::array<std::string_view, 8> kSecrets = {
    "OUTRIDER_DATABASE__PASSWORD",
    "OUTRIDER_SOURCES__0__PASSWORD",
    "OUTRIDER_API__TOKEN",
    "OUTRIDER_CHANNELS__PLANTED__WEBHOOK_URL",
    "OUTRIDER_CHANNELS__PLANTED__SECRET",
    "OUTRIDER_KAFKA__PROPERTIES__SASL_PASSWORD",
    "OUTRIDER_KAFKA__PROPERTIES__SSL_KEY_PEM",
    "OUTRIDER_KAFKA__PROPERTIES__SASL_OAUTHBEARER_CLIENT_SECRET",
};

// The ends of /proc/self/fd differ from run to run, and what is in another's file isn't the input's.
bool MayBeRead(std::string_view input) {
  return input.find("CANARY") == std::string_view::npos && input.find("/proc") == std::string_view::npos &&
         input.find("/dev") == std::string_view::npos;
}

void ReadInput(std::string_view input) {
  if (!MayBeRead(input)) return;
  const MemoryFile file(TakePart(input, "\n%%\n"));
  ConfigInput config;
  config.files = {file.path()};
  config.environment = Lines(TakePart(input, "\n%%\n"));
  config.assignments = Lines(TakePart(input, "\n%%\n"));
  const std::string before(TakePart(input, "\x1E"));
  const std::string secret = before + std::string(kCanary) + std::string(input);
  config.environment.emplace_back("OUTRIDER_CHANNELS__PLANTED__PROVIDER=feishu_bot");
  for (const std::string_view name : kSecrets) config.environment.push_back(std::string(name) + '=' + secret);
  config.environment.push_back("OUTRIDER_DATABASE__MIGRATE_URL=mysql://u:" + secret + "@127.0.0.1/db");

  const ConfigReading reading = app::ReadConfig(config);
  for (const std::string& fault : reading.faults) {
    Claim(!fault.empty(), "a fault says something");
    Claim(fault.find(kCanary) == std::string::npos, "no fault tells a secret");
  }
  for (const app::EffectiveSetting& setting : reading.effective) {
    Claim(!setting.path.empty() && !setting.origin.empty(), "a setting has a name and an origin");
    Claim(setting.value.find(kCanary) == std::string::npos, "no setting shows a secret");
  }
  Claim(app::NeedRestart(reading.config, reading.config).empty(), "nothing differs from itself");
  if (!reading.faults.empty()) return;
  Claim(reading.config.delivery.call_deadline < reading.config.delivery.lease, "a call ends before its lease");
  Claim(!reading.config.sources.empty() && !reading.config.database.database.empty(), "a usable one has a database");
  Claim(Validate(reading.config.retry).empty(), "a usable one has a usable back-off");
  for (const auto& channel : reading.config.channels) {
    Claim(!channel.provider.empty() && Validate(channel.retry).empty(), "a usable channel can be used");
  }
}

}  // namespace
}  // namespace outrider::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  outrider::fuzz::ReadInput(outrider::fuzz::InputText(data, size));
  return 0;
}
