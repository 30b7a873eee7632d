// What the body codes of a Feishu or Lark group bot mean: data, not code.
//
// A code without a row is counted and taken as temporary, with the bounded attempts of the channel's policy
// (providers/coded_answer.h). Sources: the vendor's page on custom bots (19xxx, 11232, 9499), its generic list of error
// codes (2200, 10xxx, 11xxx, 99991400), and public issue threads for the texts and for what 19007 and 19024 look like;
// which code the gateway in front adds isn't documented.
#pragma once

#include <array>

#include "providers/coded_answer.h"

namespace outrider::providers {

inline constexpr std::array kFeishuBotCodes = {
    AnswerCode{9499, "too many request", SendVerdict::kNotNow, true, false, false, "too many requests; slow down"},
    AnswerCode{9499, "", SendVerdict::kRefused, false, false, false, "the request is malformed or larger than 20 KB"},
    AnswerCode{19001, "", SendVerdict::kChannelDown, false, true, false,
               "the webhook's token isn't known: the bot was removed, the group is gone, or the address is wrong; "
               "copy the address again "
               "from the group's bot settings"},
    AnswerCode{19002, "", SendVerdict::kRefused, false, false, false,
               "the message's type or content has the wrong form"},
    AnswerCode{19007, "", SendVerdict::kChannelDown, false, false, false,
               "the bot is disabled; enable it in the group's bot settings"},
    AnswerCode{
        19021, "", SendVerdict::kChannelDown, false, true, false,
        "the signature doesn't match or is older than an hour; check the channel's secret and this machine's clock"},
    AnswerCode{
        19022, "", SendVerdict::kChannelDown, false, true, false,
        "this machine's address isn't on the bot's list of allowed addresses; add it in the group's bot settings"},
    AnswerCode{19024, "", SendVerdict::kRefused, false, false, false,
               "none of the bot's keywords occurs in the text or title; add one to the message or remove the rule"},
    AnswerCode{19036, "", SendVerdict::kRefused, false, false, true, "the message exceeds the size limit"},
    AnswerCode{11232, "", SendVerdict::kNotNow, true, false, false,
               "the vendor's rate limit, or its pressure at a full or half hour"},
    AnswerCode{11233, "", SendVerdict::kNotNow, true, false, false, "the group's rate limit"},
    AnswerCode{11246, "internal error", SendVerdict::kNotNow, false, false, false,
               "a fault inside the vendor's service"},
    AnswerCode{11246, "", SendVerdict::kRefused, false, false, true, "the card or content was refused"},
    AnswerCode{2200, "", SendVerdict::kNoAnswer, false, false, false,
               "a fault inside the vendor's service; whether the message was taken is unknown"},
    AnswerCode{10002, "", SendVerdict::kRefused, false, false, false,
               "the bot isn't in the group, or the message couldn't be made"},
    AnswerCode{10003, "", SendVerdict::kRefused, false, false, false, "a parameter is invalid"},
    AnswerCode{10029, "", SendVerdict::kRefused, false, false, false, "a parameter or permission is at fault"},
    AnswerCode{10030, "", SendVerdict::kRefused, false, false, false, "a parameter or permission is at fault"},
    AnswerCode{11101, "", SendVerdict::kRefused, false, false, false,
               "a parameter, permission or the content is at fault"},
    AnswerCode{11201, "", SendVerdict::kRefused, false, false, false,
               "a parameter, permission or the content is at fault"},
    AnswerCode{11203, "", SendVerdict::kRefused, false, false, false,
               "a parameter, permission or the content is at fault"},
    AnswerCode{11207, "", SendVerdict::kChannelDown, false, true, false, "the app can't be used in this tenant"},
    AnswerCode{11213, "", SendVerdict::kRefused, false, false, false, "the group wasn't found"},
    AnswerCode{11225, "", SendVerdict::kUnreachable, false, false, false, "the bot isn't visible to the recipient"},
    AnswerCode{11236, "", SendVerdict::kUnreachable, false, false, false, "the recipient has left"},
    AnswerCode{11237, "", SendVerdict::kUnreachable, false, false, false, "the group was dissolved"},
    AnswerCode{11242, "", SendVerdict::kUnreachable, false, true, false, "the group is banned"},
    AnswerCode{11247, "", SendVerdict::kNotNow, true, true, false, "the day's quota is used up"},
    AnswerCode{11248, "", SendVerdict::kRefused, false, false, false, "the content was taken for sensitive"},
    AnswerCode{11311, "", SendVerdict::kRefused, false, false, true, "the card's template is at fault"},
    AnswerCode{11312, "", SendVerdict::kRefused, false, true, false, "the vendor's audit refused the message"},
    AnswerCode{99991400, "", SendVerdict::kNotNow, true, false, false, "the gateway's rate limit"},
};

}  // namespace outrider::providers
