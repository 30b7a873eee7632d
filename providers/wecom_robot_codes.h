// What the error codes of a WeCom (Enterprise WeChat) group robot mean: data, not code.
//
// Sources: the vendor's pages on group robots and its global list of error codes; public issue threads for 40058. What
// 93004, 93008 and 45033 stand for isn't documented for robots; they are read as their neighbours are.
#pragma once

#include <array>

#include "providers/coded_answer.h"

namespace outrider::providers {

inline constexpr std::chrono::minutes kWecomRateWindow{1};

inline constexpr std::array kWecomRobotCodes = {
    AnswerCode{-1, "", SendVerdict::kNoAnswer, false, false, false,
               "the vendor's system is busy; whether the message was taken is unknown"},
    AnswerCode{45009, "", SendVerdict::kNotNow, true, false, false, "more than 20 messages in a minute",
               kWecomRateWindow},
    AnswerCode{45033, "", SendVerdict::kNotNow, true, false, false, "too many calls at once", kWecomRateWindow},
    AnswerCode{93000, "", SendVerdict::kChannelDown, false, true, false,
               "the robot's key isn't known: the robot was removed from the group or the address is wrong; copy the "
               "address again from the robot's page"},
    AnswerCode{93004, "", SendVerdict::kChannelDown, false, true, false, "the robot is disabled"},
    AnswerCode{93008, "", SendVerdict::kChannelDown, false, true, false, "the robot isn't in the group"},
    AnswerCode{40008, "", SendVerdict::kRefused, false, false, false, "the message's type isn't known"},
    AnswerCode{40058, "", SendVerdict::kRefused, false, false, true,
               "a part of the message is too long or has the wrong form"},
    AnswerCode{44001, "", SendVerdict::kRefused, false, false, false, "the message's media is empty"},
    AnswerCode{44004, "", SendVerdict::kRefused, false, false, false, "the message's content is empty"},
    AnswerCode{45002, "", SendVerdict::kRefused, false, false, true, "the message's content is too long"},
    AnswerCode{47001, "", SendVerdict::kRefused, false, false, false, "the request's JSON can't be read"},
};

}  // namespace outrider::providers
