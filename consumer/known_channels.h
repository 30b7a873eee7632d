// KnownChannels: the configured channels, and what a person has paused, as they were when somebody looked. A value.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "consumer/pauses.h"
#include "providers/channel.h"

namespace outrider::consumer {

using ChannelTable = std::map<std::string, std::shared_ptr<const providers::ChannelSettings>, std::less<>>;

struct KnownChannels {
  ChannelTable channels;
  PausedNames paused;
};

}  // namespace outrider::consumer
