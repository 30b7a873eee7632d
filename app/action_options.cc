#include "app/action_options.h"

#include <fmt/format.h>

#include <charconv>

#include "app/commands.h"
#include "app/output.h"
#include "app/person.h"

namespace outrider::app {
namespace {}  // namespace

std::optional<std::size_t> ReadRate(std::string_view text) {
  if (text.empty()) return 0;
  if (text.ends_with("/s")) text.remove_suffix(2);
  std::size_t rate = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (error != std::errc() || end != text.data() + text.size() || rate == 0) return std::nullopt;
  return rate;
}

std::optional<int> CheckOptions(const ActionOptions& options) {
  if (!ReadRate(options.rate)) {
    Say(fmt::format("--rate \"{}\" is not a number a second, such as 200/s", options.rate));
    return kExitUsage;
  }
  if (options.reason.empty() && !options.dry_run && options.resume.empty()) {
    Say("say why: --reason \"...\" stands in the audit log");
    return kExitUsage;
  }
  return std::nullopt;
}

std::optional<int> AskWhether(const ActionOptions& options, std::size_t count, std::string_view what) {
  if (options.yes) return std::nullopt;
  switch (AskForCount(count, what)) {
    case Consent::kGiven:
      return std::nullopt;
    case Consent::kRefused:
      Say("nothing was changed");
      return kExitFailed;
    case Consent::kNotAsked:
      break;
  }
  Say(fmt::format("this would {}, and there is no terminal to ask at: give --yes", what));
  return kExitUsage;
}

}  // namespace outrider::app
