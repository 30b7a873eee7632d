#include "tests/support/process/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace outrider::testing {
namespace {

// One thread that starts every child and never ends: PR_SET_PDEATHSIG fires when the *thread* that forked is gone.
class Starter {
 public:
  // Never destroyed: its thread uses it to the very end.
  static Starter& Instance() {
    static auto* const instance = new Starter;
    return *instance;
  }

  pid_t Run(std::packaged_task<pid_t()> task) {
    auto result = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    arrived_.notify_one();
    return result.get();
  }

 private:
  Starter() {
    std::thread([this] { Loop(); }).detach();
  }

  [[noreturn]] void Loop() {
    while (true) {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [this] { return !tasks_.empty(); });
      std::packaged_task<pid_t()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::packaged_task<pid_t()>> tasks_;
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::map<std::string, std::string>& additions) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!additions.contains(std::string(text.substr(0, text.find('='))))) environment.emplace_back(text);
  }
  for (const auto& [name, value] : additions) environment.push_back(name + "=" + value);
  return environment;
}

// Everything the child needs, made before the fork: between fork and exec only async-signal-safe calls are allowed.
struct Launch {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  const char* directory;  // or null
  int input;
  int output;
  int errors;
  int report;  // takes errno when exec fails; closed by a successful exec
};

[[noreturn]] void BecomeChild(const Launch& launch, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  const bool ready = sigprocmask(SIG_SETMASK, &none, nullptr) == 0 && signal(SIGPIPE, SIG_DFL) != SIG_ERR &&
                     setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && dup2(launch.input, 0) == 0 &&
                     dup2(launch.output, 1) == 1 && dup2(launch.errors, 2) == 2 &&
                     (launch.directory == nullptr || chdir(launch.directory) == 0);
  if (getppid() != parent) _exit(127);
  if (ready) execvpe(launch.arguments[0], launch.arguments.data(), launch.environment.data());
  const int error = errno;
  (void)!write(launch.report, &error, sizeof error);
  _exit(127);
}

class Handle {
 public:
  explicit Handle(int number) : number_(number) {
    if (number < 0) throw std::runtime_error(fmt::format("can't open a file for a child: {}", std::strerror(errno)));
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { Close(); }
  int get() const { return number_; }
  void Close() {
    if (number_ >= 0) close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

Handle OpenForAppending(const std::filesystem::path& file) {
  return Handle(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
}

}  // namespace

std::string Describe(ExitStatus status) {
  return status.signal != 0 ? fmt::format("signal {}", status.signal) : fmt::format("exit code {}", status.code);
}

ChildProcess::ChildProcess(const ChildOptions& options) : output_directory_(options.output_directory) {
  if (options.command.empty()) throw std::runtime_error("a child process needs a command");
  name_ = options.command.front();
  if (output_directory_.empty()) output_directory_ = own_directory_.emplace("output").path();

  const std::vector<std::string> environment = Environment(options.environment);
  const Handle input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Handle output = OpenForAppending(output_directory_ / "stdout");
  const Handle errors = OpenForAppending(output_directory_ / "stderr");
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("can't make a pipe");
  const Handle report_in(ends[0]);
  Handle report_out(ends[1]);
  const Launch launch{Pointers(options.command),
                      Pointers(environment),
                      options.working_directory.empty() ? nullptr : options.working_directory.c_str(),
                      input.get(),
                      output.get(),
                      errors.get(),
                      report_out.get()};
  pid_ = Starter::Instance().Run(std::packaged_task<pid_t()>([&launch] {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) BecomeChild(launch, parent);
    return child;
  }));
  if (pid_ < 0) throw std::runtime_error(fmt::format("can't fork for {}", name_));
  report_out.Close();
  int error = 0;
  if (read(report_in.get(), &error, sizeof error) == sizeof error) {
    waitpid(pid_, nullptr, 0);
    throw std::runtime_error(fmt::format("can't start {}: {}", name_, std::strerror(error)));
  }
  // glibc 2.36 declares pidfd_open() without C linkage.
  pid_handle_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pid_handle_ < 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    throw std::runtime_error(fmt::format("can't watch {}: {}", name_, std::strerror(errno)));
  }
}

ChildProcess::~ChildProcess() {
  Kill();
  close(pid_handle_);
}

bool ChildProcess::Running() { return !Wait(std::chrono::milliseconds{0}).has_value(); }

void ChildProcess::Signal(int number) {
  if (Running()) kill(pid_, number);
}

void ChildProcess::Pause() {
  Signal(SIGSTOP);
  siginfo_t ignored{};
  // Delivery takes its time; until then the child still answers. The event stays where it is, so that Wait() sees an
  // end.
  while (!ended_ && waitid(P_PID, static_cast<id_t>(pid_), &ignored, WSTOPPED | WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
}

void ChildProcess::Continue() { Signal(SIGCONT); }

std::optional<ExitStatus> ChildProcess::Wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!ended_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd handle{pid_handle_, POLLIN, 0};
    const int ready = poll(&handle, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    int status = 0;
    waitpid(pid_, &status, 0);
    ended_ = WIFSIGNALED(status) ? ExitStatus{0, WTERMSIG(status)} : ExitStatus{WEXITSTATUS(status), 0};
  }
  return ended_;
}

ExitStatus ChildProcess::Kill() {
  if (Running()) {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
  }
  return *Wait(std::chrono::hours{1});
}

ExitStatus ChildProcess::Terminate(std::chrono::milliseconds timeout) {
  Signal(SIGTERM);
  const auto status = Wait(timeout);
  if (!status) throw std::runtime_error(fmt::format("{} still runs {} ms after SIGTERM", name_, timeout.count()));
  return *status;
}

std::string ChildProcess::Stdout() const { return ReadTextFile(output_directory_ / "stdout"); }
std::string ChildProcess::Stderr() const { return ReadTextFile(output_directory_ / "stderr"); }

std::string RunCommand(const ChildOptions& options, std::chrono::milliseconds timeout) {
  ChildProcess child(options);
  const auto status = child.Wait(timeout);
  if (!status)
    throw std::runtime_error(fmt::format("{} didn't end in {} ms", options.command.front(), timeout.count()));
  if (!status->ok()) {
    throw std::runtime_error(
        fmt::format("{} ended with {}: {}", options.command.front(), Describe(*status), child.Stderr()));
  }
  return child.Stdout();
}

}  // namespace outrider::testing
