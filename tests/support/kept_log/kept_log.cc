#include "tests/support/kept_log/kept_log.h"

#include <sys/mman.h>
#include <unistd.h>

namespace outrider::testing {

KeptLog::KeptLog()
    : descriptor_(memfd_create("log", 0)), log_({.level = LogLevel::kDebug, .descriptor = descriptor_}) {}
KeptLog::~KeptLog() { close(descriptor_); }

std::string KeptLog::Text() const {
  std::string text(static_cast<std::size_t>(lseek(descriptor_, 0, SEEK_END)), '\0');
  if (pread(descriptor_, text.data(), text.size(), 0) < 0) text.clear();
  return text;
}

std::size_t KeptLog::Count(std::string_view event) const {
  const std::string text = Text();
  const std::string word = " " + std::string(event) + " ";
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace outrider::testing
