// What the error codes of a DingTalk group robot mean: data, not code.
//
// One code, 310000, stands for all of a robot's security settings; its text tells which, in English or Chinese. The
// rate limit has been seen under three codes, and who exceeds it is shut out for ten minutes. Sources: the vendor's
// page on custom robots and its table of error codes; public issue threads for 460101, 660026, the gate in front
// (status 1111) and the texts.
#pragma once

#include <array>

#include "providers/coded_answer.h"

namespace outrider::providers {

inline constexpr std::chrono::minutes kDingtalkPenalty{10};
inline constexpr std::string_view kDingtalkTooFast =
    "more than 20 messages in a minute: the robot is shut out for ten minutes";
inline constexpr std::string_view kDingtalkNoRobot =
    "the robot's token isn't known: the robot was removed or the address is wrong; copy the address again from the "
    "group's robot settings";

inline constexpr std::array kDingtalkRobotCodes = {
    AnswerCode{-1, "", SendVerdict::kNoAnswer, false, false, false,
               "the vendor's system is busy; whether the message was taken is unknown"},
    AnswerCode{130101, "", SendVerdict::kNotNow, true, false, false, kDingtalkTooFast, kDingtalkPenalty},
    AnswerCode{410100, "", SendVerdict::kNotNow, true, false, false, kDingtalkTooFast, kDingtalkPenalty},
    AnswerCode{660026, "", SendVerdict::kNotNow, true, false, false, kDingtalkTooFast, kDingtalkPenalty},
    AnswerCode{310000, "keyword", SendVerdict::kRefused, false, true, false,
               "none of the robot's keywords occurs in the message; add one to it or remove the rule"},
    AnswerCode{310000, "关键词", SendVerdict::kRefused, false, true, false,
               "none of the robot's keywords occurs in the message; add one to it or remove the rule"},
    AnswerCode{310000, "invalid timestamp", SendVerdict::kChannelDown, false, true, false,
               "the signature is older than an hour; check this machine's clock"},
    AnswerCode{310000, "签名过期", SendVerdict::kChannelDown, false, true, false,
               "the signature is older than an hour; check this machine's clock"},
    AnswerCode{310000, "sign", SendVerdict::kChannelDown, false, true, false,
               "the signature doesn't match; check the channel's secret"},
    AnswerCode{310000, "签名", SendVerdict::kChannelDown, false, true, false,
               "the signature doesn't match; check the channel's secret"},
    AnswerCode{310000, "whitelist", SendVerdict::kChannelDown, false, true, false,
               "this machine's address isn't on the robot's list of allowed addresses"},
    AnswerCode{310000, "白名单", SendVerdict::kChannelDown, false, true, false,
               "this machine's address isn't on the robot's list of allowed addresses"},
    AnswerCode{310000, "", SendVerdict::kChannelDown, false, true, false,
               "the robot's security settings refuse the message: its keywords, signature or allowed addresses"},
    AnswerCode{300001, "", SendVerdict::kChannelDown, false, true, false, kDingtalkNoRobot},
    AnswerCode{300005, "", SendVerdict::kChannelDown, false, true, false, kDingtalkNoRobot},
    AnswerCode{400101, "", SendVerdict::kChannelDown, false, true, false, kDingtalkNoRobot},
    AnswerCode{400106, "", SendVerdict::kChannelDown, false, true, false, kDingtalkNoRobot},
    AnswerCode{400102, "", SendVerdict::kChannelDown, false, true, false,
               "the robot is stopped; an administrator can start it again"},
    AnswerCode{88, "", SendVerdict::kChannelDown, false, true, false, "the vendor refuses the credentials"},
    AnswerCode{400013, "", SendVerdict::kUnreachable, false, true, false, "the group was dissolved"},
    AnswerCode{400105, "", SendVerdict::kRefused, false, false, false, "the message's type isn't known"},
    AnswerCode{40035, "", SendVerdict::kRefused, false, false, false, "a parameter is missing"},
    AnswerCode{43002, "", SendVerdict::kRefused, false, false, false, "the request must be a POST"},
    AnswerCode{43004, "", SendVerdict::kRefused, false, false, false, "the request's Content-Type is wrong"},
    AnswerCode{430101, "", SendVerdict::kRefused, false, true, true, "the vendor's audit refused a link"},
    AnswerCode{430102, "", SendVerdict::kRefused, false, true, true, "the vendor's audit refused the text"},
    AnswerCode{430103, "", SendVerdict::kRefused, false, true, true, "the vendor's audit refused an image"},
    AnswerCode{430104, "", SendVerdict::kRefused, false, true, true, "the vendor's audit refused the content"},
    AnswerCode{460101, "", SendVerdict::kRefused, false, false, true, "the message is longer than 20000 bytes"},
};

}  // namespace outrider::providers
