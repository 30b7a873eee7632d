#include "model/outcome.h"

namespace outrider {

std::string_view ToString(SendVerdict verdict) {
  switch (verdict) {
    case SendVerdict::kAccepted:
      return "accepted";
    case SendVerdict::kNotNow:
      return "not_now";
    case SendVerdict::kRefused:
      return "refused";
    case SendVerdict::kUnreachable:
      return "unreachable";
    case SendVerdict::kChannelDown:
      return "channel_down";
    case SendVerdict::kNoAnswer:
      return "no_answer";
  }
  return "unknown";
}

}  // namespace outrider
