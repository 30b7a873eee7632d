#include "outbox/source_share.h"

namespace outrider::outbox {

void SourceShare::Gained() {
  const std::lock_guard lock(mutex_);
  ++leads_;
}

void SourceShare::Lost() {
  const std::lock_guard lock(mutex_);
  if (leads_ > 0) --leads_;
}

std::uint64_t SourceShare::leads() const {
  const std::lock_guard lock(mutex_);
  return leads_;
}

bool SourceShare::GiveOne(std::uint64_t others, Time now, std::chrono::milliseconds pause) {
  const std::lock_guard lock(mutex_);
  if (now < not_before_ || leads_ <= others + 1) return false;
  --leads_;
  not_before_ = now + pause;
  return true;
}

}  // namespace outrider::outbox
