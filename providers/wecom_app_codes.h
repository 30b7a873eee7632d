// What the error codes of WeCom (Enterprise WeChat) app messages mean: data, not code.
//
// Sources: the vendor's pages on app messages and its global list of error codes. What 45033 stands for isn't
// documented for this call; it is read as its neighbour is. Every answer has HTTP 200.
#pragma once

#include <array>

#include "providers/coded_answer.h"

namespace outrider::providers {

inline constexpr std::array kWecomAppCodes = {
    AnswerCode{-1, "", SendVerdict::kNoAnswer, false, false, false,
               "the vendor's system is busy; whether the message was taken is unknown"},
    AnswerCode{40014, "", SendVerdict::kChannelDown, false, false, false, "the access token isn't valid", {}, true},
    AnswerCode{42001, "", SendVerdict::kChannelDown, false, false, false, "the access token has expired", {}, true},
    AnswerCode{41001, "", SendVerdict::kChannelDown, false, true, false, "the access token is missing", {}, true},
    AnswerCode{40001, "", SendVerdict::kChannelDown, false, true, false, "corp_secret is wrong"},
    AnswerCode{40091, "", SendVerdict::kChannelDown, false, true, false, "corp_secret is wrong"},
    AnswerCode{40013, "", SendVerdict::kChannelDown, false, true, false, "corp_id is wrong"},
    AnswerCode{60020, "", SendVerdict::kChannelDown, false, true, false,
               "this machine's address isn't on the app's list of trusted addresses; add it in the admin console"},
    AnswerCode{301002, "", SendVerdict::kChannelDown, false, true, false, "agent_id isn't the one of corp_secret"},
    AnswerCode{48002, "", SendVerdict::kChannelDown, false, true, false, "the app may not use this API"},
    AnswerCode{45009, "", SendVerdict::kNotNow, true, false, false, "too many calls", std::chrono::minutes{1}},
    AnswerCode{45033, "", SendVerdict::kNotNow, true, false, false, "too many calls at once"},
    AnswerCode{6000, "", SendVerdict::kNotNow, false, false, false, "two changes met inside the vendor's service"},
    AnswerCode{40003, "", SendVerdict::kUnreachable, false, false, false, "the member doesn't exist"},
    AnswerCode{46004, "", SendVerdict::kUnreachable, false, false, false, "the member doesn't exist"},
    AnswerCode{60111, "", SendVerdict::kUnreachable, false, false, false, "the member doesn't exist"},
    AnswerCode{60021, "", SendVerdict::kUnreachable, false, false, false,
               "the member isn't in the app's visible range"},
    AnswerCode{81013, "", SendVerdict::kUnreachable, false, true, false,
               "none of the recipients exists or is in the app's visible range"},
    AnswerCode{40008, "", SendVerdict::kRefused, false, false, false, "the message's type isn't known"},
    AnswerCode{40058, "", SendVerdict::kRefused, false, false, true,
               "a part of the message is too long or has the wrong form"},
    AnswerCode{45002, "", SendVerdict::kRefused, false, false, true, "the message's content is too long"},
    AnswerCode{44004, "", SendVerdict::kRefused, false, false, false, "the message's content is empty"},
    AnswerCode{47001, "", SendVerdict::kRefused, false, false, false, "the request's JSON can't be read"},
};

}  // namespace outrider::providers
