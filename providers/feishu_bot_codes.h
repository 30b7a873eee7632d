// What the body codes of a Feishu or Lark group bot mean: data, not code. The first row whose code and text fit
// decides.
//
// A code without a row is counted and taken as temporary, with the bounded attempts of the channel's policy
// (FeishuBot::ReadResponse). Sources: the vendor's page on custom bots (19xxx, 11232, 9499), its generic list of error
// codes (2200, 10xxx, 11xxx, 99991400), and public issue threads for the texts and for what 19007 and 19024 look like;
// which code the gateway in front adds isn't documented.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "model/outcome.h"

namespace outrider::providers {

struct FeishuBotCode {
  std::int64_t code;
  std::string_view text;  // must occur in the vendor's message, in lower case; empty: any message
  SendVerdict verdict;
  bool throttled;
  bool alert;
  bool downgrade;
  std::string_view meaning;  // for people: what is wrong and what to do
};

inline constexpr std::array kFeishuBotCodes = {
    FeishuBotCode{9499, "too many request", SendVerdict::kNotNow, true, false, false, "too many requests; slow down"},
    FeishuBotCode{9499, "", SendVerdict::kRefused, false, false, false,
                  "the request is malformed or larger than 20 KB"},
    FeishuBotCode{19001, "", SendVerdict::kChannelDown, false, true, false,
                  "the webhook's token isn't known: the bot was removed, the group is gone, or the address is wrong; "
                  "copy the address again "
                  "from the group's bot settings"},
    FeishuBotCode{19002, "", SendVerdict::kRefused, false, false, false,
                  "the message's type or content has the wrong form"},
    FeishuBotCode{19007, "", SendVerdict::kChannelDown, false, false, false,
                  "the bot is disabled; enable it in the group's bot settings"},
    FeishuBotCode{
        19021, "", SendVerdict::kChannelDown, false, true, false,
        "the signature doesn't match or is older than an hour; check the channel's secret and this machine's clock"},
    FeishuBotCode{
        19022, "", SendVerdict::kChannelDown, false, true, false,
        "this machine's address isn't on the bot's list of allowed addresses; add it in the group's bot settings"},
    FeishuBotCode{19024, "", SendVerdict::kRefused, false, false, false,
                  "none of the bot's keywords occurs in the text or title; add one to the message or remove the rule"},
    FeishuBotCode{19036, "", SendVerdict::kRefused, false, false, true, "the message exceeds the size limit"},
    FeishuBotCode{11232, "", SendVerdict::kNotNow, true, false, false,
                  "the vendor's rate limit, or its pressure at a full or half hour"},
    FeishuBotCode{11233, "", SendVerdict::kNotNow, true, false, false, "the group's rate limit"},
    FeishuBotCode{11246, "internal error", SendVerdict::kNotNow, false, false, false,
                  "a fault inside the vendor's service"},
    FeishuBotCode{11246, "", SendVerdict::kRefused, false, false, true, "the card or content was refused"},
    FeishuBotCode{2200, "", SendVerdict::kNoAnswer, false, false, false,
                  "a fault inside the vendor's service; whether the message was taken is unknown"},
    FeishuBotCode{10002, "", SendVerdict::kRefused, false, false, false,
                  "the bot isn't in the group, or the message couldn't be made"},
    FeishuBotCode{10003, "", SendVerdict::kRefused, false, false, false, "a parameter is invalid"},
    FeishuBotCode{10029, "", SendVerdict::kRefused, false, false, false, "a parameter or permission is at fault"},
    FeishuBotCode{10030, "", SendVerdict::kRefused, false, false, false, "a parameter or permission is at fault"},
    FeishuBotCode{11101, "", SendVerdict::kRefused, false, false, false,
                  "a parameter, permission or the content is at fault"},
    FeishuBotCode{11201, "", SendVerdict::kRefused, false, false, false,
                  "a parameter, permission or the content is at fault"},
    FeishuBotCode{11203, "", SendVerdict::kRefused, false, false, false,
                  "a parameter, permission or the content is at fault"},
    FeishuBotCode{11207, "", SendVerdict::kChannelDown, false, true, false, "the app can't be used in this tenant"},
    FeishuBotCode{11213, "", SendVerdict::kRefused, false, false, false, "the group wasn't found"},
    FeishuBotCode{11225, "", SendVerdict::kUnreachable, false, false, false, "the bot isn't visible to the recipient"},
    FeishuBotCode{11236, "", SendVerdict::kUnreachable, false, false, false, "the recipient has left"},
    FeishuBotCode{11237, "", SendVerdict::kUnreachable, false, false, false, "the group was dissolved"},
    FeishuBotCode{11242, "", SendVerdict::kUnreachable, false, true, false, "the group is banned"},
    FeishuBotCode{11247, "", SendVerdict::kNotNow, true, true, false, "the day's quota is used up"},
    FeishuBotCode{11248, "", SendVerdict::kRefused, false, false, false, "the content was taken for sensitive"},
    FeishuBotCode{11311, "", SendVerdict::kRefused, false, false, true, "the card's template is at fault"},
    FeishuBotCode{11312, "", SendVerdict::kRefused, false, true, false, "the vendor's audit refused the message"},
    FeishuBotCode{99991400, "", SendVerdict::kNotNow, true, false, false, "the gateway's rate limit"},
};

}  // namespace outrider::providers
