#include "metrics/health.h"

#include <mutex>
#include <utility>

namespace outrider {

struct Health::State {
  struct Loop {
    std::chrono::milliseconds max_silence;
    std::chrono::steady_clock::time_point last_beat;
  };

  explicit State(const Clock& health_clock) : clock(health_clock) {}

  const Clock& clock;
  mutable std::mutex mutex;
  std::map<std::string, Loop> loops;
  std::map<std::string, Part> parts;
  bool ready = false;
  std::string why_not_ready = "starting";
};

Health::Health(const Clock& clock) : state_(std::make_unique<State>(clock)) {}
Health::~Health() = default;

void Health::AddLoop(const std::string& name, std::chrono::milliseconds max_silence) {
  const std::lock_guard lock(state_->mutex);
  state_->loops[name] = {max_silence, state_->clock.SteadyNow()};
}

void Health::Beat(const std::string& name) {
  const std::lock_guard lock(state_->mutex);
  const auto loop = state_->loops.find(name);
  if (loop != state_->loops.end()) loop->second.last_beat = state_->clock.SteadyNow();
}

void Health::RemoveLoop(const std::string& name) {
  const std::lock_guard lock(state_->mutex);
  state_->loops.erase(name);
}

std::vector<std::string> Health::SilentLoops() const {
  const std::lock_guard lock(state_->mutex);
  const auto now = state_->clock.SteadyNow();
  std::vector<std::string> silent;
  for (const auto& [name, loop] : state_->loops) {
    if (now - loop.last_beat > loop.max_silence) silent.push_back(name);
  }
  return silent;
}

void Health::SetReady(bool ready, std::string why_not) {
  const std::lock_guard lock(state_->mutex);
  state_->ready = ready;
  state_->why_not_ready = ready ? "" : std::move(why_not);
}

bool Health::ready() const {
  const std::lock_guard lock(state_->mutex);
  return state_->ready;
}

std::string Health::why_not_ready() const {
  const std::lock_guard lock(state_->mutex);
  return state_->why_not_ready;
}

void Health::SetPart(const std::string& part, bool delivers, std::string words) {
  const std::lock_guard lock(state_->mutex);
  state_->parts[part] = {delivers, std::move(words)};
}

std::map<std::string, Health::Part> Health::parts() const {
  const std::lock_guard lock(state_->mutex);
  return state_->parts;
}

}  // namespace outrider
