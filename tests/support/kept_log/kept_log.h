// KeptLog: a log in a file of the kernel, for tests that read what was logged.
//
// Threads: those of Log; Text() and Count() are safe beside writers. A resource; gone with the object.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "metrics/log.h"

namespace outrider::testing {

class KeptLog final {
 public:
  KeptLog();
  ~KeptLog();
  KeptLog(const KeptLog&) = delete;
  KeptLog& operator=(const KeptLog&) = delete;

  Log& log() { return log_; }
  std::string Text() const;
  // Lines of that event.
  std::size_t Count(std::string_view event) const;

 private:
  const int descriptor_;
  Log log_;
};

}  // namespace outrider::testing
