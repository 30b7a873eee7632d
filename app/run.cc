#include "app/run.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <mutex>
#include <string>
#include <thread>

#include "app/commands.h"
#include "app/reloader.h"
#include "app/version.h"
#include "model/time.h"
#include "platform/failpoint/failpoint.h"

namespace outrider::app {
namespace {

// After the grace: for what is left to be written, on a database that answers.
constexpr std::chrono::seconds kAfterGrace{5};
constexpr std::chrono::seconds kLook{1};  // between looks at the configuration's files, and at a database that is away
constexpr rlim_t kDescriptors = 65'536;

sigset_t Signals(std::initializer_list<int> numbers) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : numbers) sigaddset(&signals, number);
  return signals;
}

// 0 when none came in time.
int WaitForSignal(const sigset_t& signals, std::chrono::seconds wait) {
  const timespec limit{wait.count(), 0};
  const int signal = sigtimedwait(&signals, nullptr, &limit);
  return signal < 0 ? 0 : signal;
}

bool IsStop(int signal) { return signal == SIGTERM || signal == SIGINT; }

// Whether to go on; false leaves the exit code in `code`.
bool Migrate(const Config& config, Sidecar& sidecar, Log& log, const sigset_t& signals, int& code) {
  std::string said;
  while (true) {
    const auto done = ApplyMigrations(config);
    if (done) {
      for (const std::string& line : *done) log.Info("migrate.done", {{"what", line}});
      return true;
    }
    if (done.error().code != ErrorCode::kUnavailable) {
      log.Error("run.failed", {{"why", done.error().message}});
      code = kExitFailed;
      return false;
    }
    if (done.error().message != said) {
      said = done.error().message;
      log.Warn("migrate.waits", {{"why", said}});
      sidecar.Wait(said);
    }
    if (IsStop(WaitForSignal(signals, kLook))) {
      code = kExitOk;
      return false;
    }
  }
}

// Until told to stop.
int Serve(Reloader& reloader, const sigset_t& signals) {
  while (true) {
    const int signal = WaitForSignal(signals, kLook);
    if (IsStop(signal)) return signal;
    if (signal == SIGHUP) {
      reloader.Reload();
    } else {
      reloader.Look();
    }
  }
}

}  // namespace

int RunSidecar(const ConfigInput& input, const ConfigReading& reading, const std::set<Role>& roles, bool migrate) {
  // Blocked before the first thread, so that every thread inherits it and only this one takes them.
  const sigset_t signals = Signals({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const rlimit no_core{0, 0};  // a core would hold secrets and message bodies
  setrlimit(RLIMIT_CORE, &no_core);
  rlimit descriptors{};  // what many systems start a program with is fewer than delivery.max_in_flight
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = std::max(descriptors.rlim_cur, std::min(descriptors.rlim_max, kDescriptors));
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }

  if (const Result<void> armed = failpoint::Arm(input.environment); !armed) {
    fmt::print(stderr, "outrider: {}\n", armed.error().message);
    return kExitUsage;
  }
  const Config& config = reading.config;
  Log log(config.log);
  log.Info("run.starts", {{"version", kVersion}});
  Sidecar sidecar(config, roles, log);
  if (Result<void> listening = sidecar.Listen(); !listening) {
    log.Error("run.failed", {{"why", listening.error().message}});
    return kExitFailed;
  }
  if (int code = kExitOk; migrate && !Migrate(config, sidecar, log, signals, code)) return code;
  Reloader reloader(input, config, reading.files, log, [&sidecar](const Config& next) { sidecar.Apply(next); });
  if (Result<void> started = sidecar.Start(); !started) {
    log.Error("run.failed", {{"why", started.error().message}});
    return kExitFailed;
  }
  const int signal = Serve(reloader, signals);
  log.Info("run.stops", {{"signal", signal}, {"grace", FormatDuration(config.grace)}});
  const sigset_t stops = Signals({SIGTERM, SIGINT});
  std::thread([stops, &log] {
    int second = 0;
    sigwait(&stops, &second);
    log.Warn("run.aborted", {{"why", "a second signal came; claims in flight are left to their leases"}});
    _exit(kExitFailed);
  }).detach();
  // A database that doesn't answer may hold threads for as long as its time-outs.
  std::jthread watchdog([&log, limit = config.grace + kAfterGrace](const std::stop_token& stopped) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    if (wake.wait_for(lock, stopped, limit, [&] { return stopped.stop_requested(); })) return;
    if (stopped.stop_requested()) return;
    log.Warn("run.aborted", {{"why", "the grace is over; claims in flight are left to their leases"}});
    _exit(kExitFailed);
  });
  sidecar.Stop();
  log.Info("run.stopped");
  return kExitOk;
}

}  // namespace outrider::app
