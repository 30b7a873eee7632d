// What the words mean that Slack's incoming webhooks answer with: data, not code. They are plain text, and stand for
// the same under every HTTP status.
//
// Source: the vendor's page on incoming webhooks and its change log of error words; invalid_blocks is reported by
// users. A word without a row is counted and taken as temporary (SlackWebhook::ReadResponse).
#pragma once

#include <array>
#include <string_view>

#include "model/outcome.h"

namespace outrider::providers {

struct SlackWord {
  std::string_view word;
  SendVerdict verdict = SendVerdict::kRefused;
  bool throttled = false;
  bool alert = false;
  bool downgrade = false;
  std::string_view meaning;  // for people: what is wrong and what to do
};

inline constexpr std::string_view kSlackNoHook =
    "the webhook isn't known or was revoked; make a new one in the app's settings";

inline constexpr std::array kSlackWords = {
    SlackWord{"invalid_payload", SendVerdict::kRefused, false, false, true, "the message's form is refused"},
    SlackWord{"invalid_blocks", SendVerdict::kRefused, false, false, true, "the message's blocks are refused"},
    SlackWord{"too_many_attachments", SendVerdict::kRefused, false, false, true,
              "the message has more than 100 attachments"},
    SlackWord{"no_text", SendVerdict::kRefused, false, false, false, "the message's text is empty"},
    SlackWord{"user_not_found", SendVerdict::kRefused, false, true, false, "the user that it is for isn't known"},
    SlackWord{"posting_to_general_channel_denied", SendVerdict::kChannelDown, false, true, false,
              "the webhook's channel is the general one, and an administrator has closed it"},
    SlackWord{"action_prohibited", SendVerdict::kChannelDown, false, true, false,
              "an administrator has forbidden this webhook to post"},
    SlackWord{"invalid_token", SendVerdict::kChannelDown, false, true, false, kSlackNoHook},
    SlackWord{"no_service", SendVerdict::kChannelDown, false, true, false, kSlackNoHook},
    SlackWord{"no_service_id", SendVerdict::kChannelDown, false, true, false, kSlackNoHook},
    SlackWord{"no_active_hooks", SendVerdict::kChannelDown, false, true, false, kSlackNoHook},
    SlackWord{"no_team", SendVerdict::kChannelDown, false, true, false, "the workspace isn't known"},
    SlackWord{"team_disabled", SendVerdict::kChannelDown, false, true, false, "the workspace is disabled"},
    SlackWord{"channel_not_found", SendVerdict::kChannelDown, false, true, false,
              "the webhook's channel isn't there any more"},
    SlackWord{"channel_is_archived", SendVerdict::kChannelDown, false, true, false,
              "the webhook's channel is archived"},
    SlackWord{"rollup_error", SendVerdict::kNoAnswer, false, false, false,
              "a fault inside the vendor's service; whether the message was taken is unknown"},
};

}  // namespace outrider::providers
