#include "tests/support/database/data_template.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace outrider::testing {
namespace {

namespace fs = std::filesystem;

fs::path CacheFolder() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return fs::path(cache) / "outrider";
  const char* const home = std::getenv("HOME");
  if (home == nullptr || *home == '\0')
    throw std::runtime_error("set HOME or XDG_CACHE_HOME: test servers are kept there");
  return fs::path(home) / ".cache" / "outrider";
}

class FileLock {
 public:
  explicit FileLock(const fs::path& file) : handle_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (handle_ < 0 || flock(handle_, LOCK_EX) != 0) {
      throw std::runtime_error(fmt::format("can't lock {}: {}", file.string(), std::strerror(errno)));
    }
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() { close(handle_); }

 private:
  int handle_;
};

}  // namespace

fs::path DataTemplate(const std::string& name, const std::function<void(const fs::path&)>& initialise) {
  const fs::path cache = CacheFolder();
  const fs::path ready = cache / name;
  fs::create_directories(cache);
  const FileLock lock(cache / (name + ".lock"));
  if (fs::exists(ready)) return ready;
  // What stands under the final name is complete: a rename is all or nothing.
  const fs::path attempt = cache / (name + ".tmp");
  fs::remove_all(attempt);
  fs::create_directory(attempt);
  try {
    initialise(attempt);
  } catch (...) {
    fs::remove_all(attempt);
    throw;
  }
  fs::rename(attempt, ready);
  return ready;
}

}  // namespace outrider::testing
