#include "platform/failpoint/failpoint.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <mutex>
#include <thread>

#include "model/text.h"
#include "model/time.h"

namespace outrider::failpoint {
namespace {

constexpr std::string_view kPlans = "OUTRIDER_FAILPOINT=";
constexpr std::string_view kSwitch = "OUTRIDER_ALLOW_FAILPOINTS=";

struct Plan {
  const FailpointInfo* info = nullptr;
  enum class Action { kCrash, kSleep, kError } action = Action::kCrash;
  std::chrono::milliseconds duration{0};
  std::size_t pass = 0;  // 0: every pass
  std::size_t passed = 0;
};

struct Armed {
  std::mutex mutex;
  std::vector<Plan> plans;
};

Armed& TheArmed() {
  static Armed armed;
  return armed;
}

const FailpointInfo* FindByName(std::string_view name) {
  const auto found = std::ranges::find(kFailpoints, name, &FailpointInfo::name);
  return found == kFailpoints.end() ? nullptr : &*found;
}

// "NAME=crash|sleep:DURATION|error[@PASS]"
Result<Plan> ParsePlan(std::string_view text) {
  const auto fail = [text](std::string_view why) {
    return Fail(ErrorCode::kInvalid, fmt::format("OUTRIDER_FAILPOINT: \"{}\" {}", text, why));
  };
  Plan plan;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return fail("has no action; write NAME=crash, NAME=sleep:200ms or NAME=error");
  plan.info = FindByName(TrimSpace(text.substr(0, equals)));
  if (plan.info == nullptr) return fail("names no failpoint; \"outrider failpoints\" lists them");
  std::string_view action = TrimSpace(text.substr(equals + 1));
  if (const std::size_t at = action.find('@'); at != std::string_view::npos) {
    const std::string_view number = action.substr(at + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), plan.pass);
    if (error != std::errc{} || end != number.data() + number.size() || plan.pass == 0) {
      return fail("has a pass that is not a whole number from 1");
    }
    action = action.substr(0, at);
  }
  if (action == "crash") return plan;
  if (action == "error") {
    if (!plan.info->can_fail) return fail("can't be: nothing can fail there; use crash or sleep");
    plan.action = Plan::Action::kError;
    return plan;
  }
  constexpr std::string_view kSleep = "sleep:";
  if (!action.starts_with(kSleep)) return fail("has an action that isn't crash, sleep:DURATION or error");
  const auto duration = ParseDuration(action.substr(kSleep.size()));
  if (!duration) return fail("has a duration that isn't one such as 200ms");
  plan.action = Plan::Action::kSleep;
  plan.duration = *duration;
  return plan;
}

Result<std::vector<Plan>> ParsePlans(std::string_view text) {
  std::vector<Plan> plans;
  std::string faults;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view one = TrimSpace(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty()) continue;
    Result<Plan> plan = ParsePlan(one);
    if (plan) {
      plans.push_back(*plan);
    } else {
      faults += (faults.empty() ? "" : "; ") + plan.error().message;
    }
  }
  if (!faults.empty()) return Fail(ErrorCode::kInvalid, std::move(faults));
  return plans;
}

}  // namespace

namespace internal {

std::atomic<bool> armed = false;

std::optional<Error> PassSlowly(Failpoint point) {
  std::chrono::milliseconds wait{0};
  std::optional<Error> error;
  {
    Armed& all = TheArmed();
    const std::lock_guard lock(all.mutex);
    for (Plan& plan : all.plans) {
      if (plan.info->point != point) continue;
      ++plan.passed;
      if (plan.pass != 0 && plan.passed != plan.pass) continue;
      switch (plan.action) {
        case Plan::Action::kCrash:
          kill(getpid(), SIGKILL);
          break;
        case Plan::Action::kSleep:
          wait += plan.duration;
          break;
        case Plan::Action::kError:
          error = Error{ErrorCode::kUnavailable, fmt::format("failpoint {}", plan.info->name)};
          break;
      }
    }
  }
  if (wait.count() > 0) std::this_thread::sleep_for(wait);
  return error;
}

}  // namespace internal

Result<void> Arm(std::string_view plan) {
  Result<std::vector<Plan>> plans = ParsePlans(plan);
  if (!plans) return std::unexpected(plans.error());
  Armed& all = TheArmed();
  const std::lock_guard lock(all.mutex);
  all.plans = std::move(*plans);
  internal::armed = !all.plans.empty();
  return {};
}

Result<void> Arm(const std::vector<std::string>& environment) {
  std::string_view planned;
  bool allowed = false;
  for (const std::string_view entry : environment) {
    if (entry.starts_with(kPlans)) planned = entry.substr(kPlans.size());
    if (entry.starts_with(kSwitch)) allowed = entry.substr(kSwitch.size()) == "1";
  }
  if (planned.empty()) return {};
  if (!allowed) {
    return Fail(ErrorCode::kInvalid,
                "OUTRIDER_FAILPOINT is set, which breaks this program on purpose; remove it, or set "
                "OUTRIDER_ALLOW_FAILPOINTS=1 as well if this is a test");
  }
  return Arm(planned);
}

void Disarm() {
  Armed& all = TheArmed();
  const std::lock_guard lock(all.mutex);
  all.plans.clear();
  internal::armed = false;
}

}  // namespace outrider::failpoint
