#include "app/delivery_bench/replica.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "app/delivery_bench/http_call.h"

namespace outrider::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartPatience{60};
constexpr std::chrono::seconds kStopPatience{40};
constexpr std::chrono::milliseconds kLook{5};
constexpr std::size_t kLastWords = 1'000;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// The sum of a metric's series whose labels hold `label`.
double Sum(const std::string& scrape, std::string_view metric, std::string_view label) {
  double sum = 0;
  std::istringstream lines(scrape);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(metric) || line.find(label) == std::string::npos) continue;
    const std::size_t space = line.rfind(' ');
    if (space != std::string::npos) sum += std::strtod(line.c_str() + space, nullptr);
  }
  return sum;
}

}  // namespace

struct Replica::Http {
  http::HttpEngine engine{LocalHttp()};
};

Result<std::unique_ptr<Replica>> Replica::Start(const std::string& program, std::string_view configuration,
                                                const std::vector<std::string>& arguments) {
  std::unique_ptr<Replica> replica(new Replica());
  std::string pattern = (std::filesystem::temp_directory_path() / "outrider-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return Fail(ErrorCode::kUnavailable, "no folder for the configuration");
  replica->folder_ = pattern;
  const std::filesystem::path file = replica->folder_ / "outrider.yaml";
  std::ofstream(file) << configuration;
  std::vector<std::string> words = {program, "--config", file.string(), "run"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string log = (replica->folder_ / "log").string();

  const pid_t pid = fork();
  if (pid < 0) return Fail(ErrorCode::kUnavailable, "no process can be started");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, S_IRUSR | S_IWUSR);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  replica->pid_ = pid;
  const auto deadline = SteadyClock::now() + kStartPatience;
  while (SteadyClock::now() < deadline) {
    const std::string words_so_far = ReadFile(log);
    const std::size_t line = words_so_far.find("http.listens");
    const std::size_t at = words_so_far.find("port=", line);
    if (line != std::string::npos && at != std::string::npos && words_so_far.find('\n', at) != std::string::npos) {
      replica->metrics_url_ =
          fmt::format("http://127.0.0.1:{}/metrics", std::strtoul(words_so_far.c_str() + at + 5, nullptr, 10));
      replica->http_ = std::make_unique<Http>();
      return replica;
    }
    if (waitpid(pid, nullptr, WNOHANG) == pid) {
      replica->pid_ = -1;
      break;
    }
    std::this_thread::sleep_for(kLook);
  }
  return Fail(ErrorCode::kUnavailable, "outrider run doesn't start: " + replica->LastWords());
}

Replica::~Replica() {
  Stop();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string Replica::LastWords() const {
  const std::string log = ReadFile(folder_ / "log");
  return log.substr(log.size() - std::min(log.size(), kLastWords));
}

Result<Replica::Counts> Replica::Read() {
  auto scrape = CallHttp(http_->engine, "GET", metrics_url_);
  if (!scrape) return Fail(scrape.error().code, scrape.error().message + "; its log ends with: " + LastWords());
  return Counts{Sum(*scrape, "outrider_consumer_records_total", "result=\"new\""),
                Sum(*scrape, "outrider_deliveries_total", "outcome=\"accepted\"")};
}

double Replica::CpuSeconds() const {
  const std::string stat = ReadFile(fmt::format("/proc/{}/stat", pid_));
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string field;
  double ticks = 0;
  for (int i = 0; i < 13 && fields >> field; ++i) {
    if (i >= 11) ticks += std::strtod(field.c_str(), nullptr);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double Replica::PeakRssMib() const {
  std::istringstream status(ReadFile(fmt::format("/proc/{}/status", pid_)));
  constexpr std::string_view kPeak = "VmHWM:";
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kPeak)) return std::strtod(line.c_str() + kPeak.size(), nullptr) / 1024;
  }
  return 0;
}

void Replica::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Replica::Stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  const auto deadline = SteadyClock::now() + kStopPatience;
  while (SteadyClock::now() < deadline) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return;
    }
    std::this_thread::sleep_for(kLook);
  }
  Kill();
}

}  // namespace outrider::app
