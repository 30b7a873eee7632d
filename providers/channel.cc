#include "providers/channel.h"

namespace outrider::providers {

std::string ChannelSettings::Setting(std::string_view key, std::string_view fallback) const {
  const auto found = settings.find(std::string(key));
  return found == settings.end() ? std::string(fallback) : found->second.Reveal();
}

}  // namespace outrider::providers
