// Replica: one `outrider run` as a process of its own, seen through its metrics and through what the system accounts
// it.
//
// Threads: one. The process dies with this program, and with this object (SIGTERM, then SIGKILL). Its configuration
// stands in a folder that only this account may read and that is removed with the object; its log goes there too.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace outrider::app {

class Replica final {
 public:
  // `configuration`: a file's text, with api.listen on port 0. Returns when its HTTP server answers. kUnavailable: it
  // ended, with its last words.
  static Result<std::unique_ptr<Replica>> Start(const std::string& program, std::string_view configuration,
                                                const std::vector<std::string>& arguments);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  struct Counts {
    double recorded = 0;  // events that became records
    double accepted = 0;  // attempts that the provider accepted, as they are stored
  };
  Result<Counts> Read();
  double CpuSeconds() const;
  double PeakRssMib() const;
  void Kill();  // SIGKILL; returns when it is gone
  void Stop();  // SIGTERM

 private:
  Replica() = default;
  std::string LastWords() const;
  struct Http;

  std::filesystem::path folder_;
  std::unique_ptr<Http> http_;
  std::string metrics_url_;
  pid_t pid_ = -1;
};

}  // namespace outrider::app
