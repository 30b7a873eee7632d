#include "tests/support/faketime/fake_wall_clock.h"

#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace outrider::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kStep{20};

// The variant that knows threads.
fs::path Library() {
  for (const fs::directory_entry& folder : fs::directory_iterator("/usr/lib")) {
    const fs::path library = folder.path() / "faketime/libfaketimeMT.so.1";
    std::error_code ignored;
    if (fs::exists(library, ignored)) return library;
  }
  throw std::runtime_error("libfaketime isn't installed; run cmake/install-packages test");
}

std::string Appended(const char* variable, char separator, std::string_view text) {
  const char* const before = std::getenv(variable);
  return before == nullptr || *before == '\0' ? std::string(text) : fmt::format("{}{}{}", before, separator, text);
}

bool Ended(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

// Each process under libfaketime has a semaphore and some shared memory under its pid, and only a clean end removes
// them.
void RemoveLeftovers() {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator("/dev/shm", ignored)) {
    const std::string name = entry.path().filename();
    for (const std::string_view prefix : {"sem.faketime_sem_", "faketime_shm_"}) {
      if (!name.starts_with(prefix)) continue;
      pid_t pid = 0;
      const auto read = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), pid);
      if (read.ec == std::errc{} && pid > 0 && Ended(pid)) fs::remove(entry.path(), ignored);
    }
  }
}

}  // namespace

FakeWallClock::FakeWallClock(std::chrono::microseconds offset) : folder_("faketime"), library_(Library()) {
  Write(offset);
}

FakeWallClock::~FakeWallClock() {
  StopDrift();
  RemoveLeftovers();
}

std::map<std::string, std::string> FakeWallClock::Environment() const {
  return {
      {"LD_PRELOAD", Appended("LD_PRELOAD", ' ', library_.string())},
      {"FAKETIME_TIMESTAMP_FILE", (folder_.path() / "offset").string()},
      {"FAKETIME_NO_CACHE", "1"},  // else a new offset is seen after seconds only
      {"FAKETIME_DONT_FAKE_MONOTONIC", "1"},
      // Its cure for another libc would make each wait on the monotonic clock return at once.
      {"FAKETIME_FORCE_MONOTONIC_FIX", "0"},
      {"NO_FAKE_STAT", "1"},
      // AddressSanitizer wants to be the first library; it also works as the second.
      {"ASAN_OPTIONS", Appended("ASAN_OPTIONS", ':', "verify_asan_link_order=0")},
  };
}

void FakeWallClock::Set(std::chrono::microseconds offset) {
  const std::lock_guard lock(drift_mutex_);
  StopDrift();
  Write(offset);
}

void FakeWallClock::Drift(double seconds_per_second) {
  const std::lock_guard lock(drift_mutex_);
  StopDrift();
  // libfaketime's own way to run faster gets the waits on the monotonic clock wrong.
  drift_ = std::jthread([this, seconds_per_second, from = offset()](const std::stop_token& stop) {
    const auto start = std::chrono::steady_clock::now();
    std::mutex mutex;
    std::condition_variable_any stopped;
    while (!stop.stop_requested()) {
      const auto passed = std::chrono::steady_clock::now() - start;
      Write(from + std::chrono::duration_cast<std::chrono::microseconds>(passed * seconds_per_second));
      std::unique_lock waiting(mutex);
      // On the system's clock, because ThreadSanitizer doesn't know the other wait.
      stopped.wait_until(waiting, stop, std::chrono::system_clock::now() + kStep, [] { return false; });
    }
  });
}

std::chrono::microseconds FakeWallClock::offset() const {
  const std::lock_guard lock(mutex_);
  return offset_;
}

void FakeWallClock::Write(std::chrono::microseconds offset) {
  const std::lock_guard lock(mutex_);
  offset_ = offset;
  // Moved into place, so that no child ever reads half of it.
  const fs::path fresh = folder_.path() / "fresh";
  WriteTextFile(fresh, fmt::format("{:+.6f}\n", std::chrono::duration<double>(offset).count()));
  fs::rename(fresh, folder_.path() / "offset");
}

void FakeWallClock::StopDrift() {
  if (!drift_.joinable()) return;
  drift_.request_stop();
  drift_.join();
}

}  // namespace outrider::testing
