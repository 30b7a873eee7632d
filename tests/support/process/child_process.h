// ChildProcess: a program that a test runs, with its output in files and its end in our hands.
//
// Threads: one at a time. The child dies with this program, however this one ends (PR_SET_PDEATHSIG), and with this
// object: the destructor kills and reaps. Children are started by a thread that lives as long as the program, because
// the kernel ties the death signal to the starting thread.
//
// Errors: std::runtime_error, which a test reports as its failure.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process/temp_dir.h"

namespace outrider::testing {

struct ChildOptions {
  std::vector<std::string> command;                     // program (searched for in PATH) and arguments
  std::map<std::string, std::string> environment = {};  // on top of this program's
  std::filesystem::path working_directory = {};         // empty: this program's
  std::filesystem::path output_directory = {};          // for `stdout` and `stderr`; empty: a temporary one
};

struct ExitStatus {
  int code = 0;    // of a normal end
  int signal = 0;  // not 0: the signal that ended it
  bool ok() const { return code == 0 && signal == 0; }
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};
// "exit code 1", "signal 9".
std::string Describe(ExitStatus status);

class ChildProcess final {
 public:
  // Throws when the program can't be started. Output files are appended to.
  explicit ChildProcess(const ChildOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  // Nothing when the child has ended already.
  void Signal(int number);
  void Pause();     // SIGSTOP; returns when every thread of the child stands still
  void Continue();  // SIGCONT
  // How it ended; nothing when it still runs after `timeout`.
  std::optional<ExitStatus> Wait(std::chrono::milliseconds timeout);
  // SIGKILL to the child and to what it started in its process group, then reaped.
  ExitStatus Kill();
  // SIGTERM; throws when it still runs after `timeout`.
  ExitStatus Terminate(std::chrono::milliseconds timeout = std::chrono::seconds{30});

  std::string Stdout() const;
  std::string Stderr() const;

 private:
  std::optional<TempDir> own_directory_;
  std::filesystem::path output_directory_;
  std::string name_;
  pid_t pid_ = -1;
  int pid_handle_ = -1;
  std::optional<ExitStatus> ended_;
};

// Runs a command to its end and gives what it wrote to stdout; throws when it fails or doesn't end in time.
std::string RunCommand(const ChildOptions& options, std::chrono::milliseconds timeout);

}  // namespace outrider::testing
