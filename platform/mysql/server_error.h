// What a server's error number means for a session and for who called it. Pure.
//
// Numbers are from MySQL's and MariaDB's errmsg lists and the client's errmsg.h; those above 3000 are MySQL's, 1927 and
// 1969 MariaDB's.
#pragma once

#include <string>
#include <string_view>

#include "model/result.h"

namespace outrider::mysql {

inline constexpr unsigned kEmptyAnswer = 2013;
inline constexpr unsigned kPacketTooLarge = 1153;

// What was under way: it decides whether something may have been changed.
enum class Call { kRead, kTransactional, kAutocommitted, kCommit };

ErrorCode Classify(unsigned code, Call call);
// The session is over, or its protocol state can't be trusted.
bool EndsSession(unsigned code);
// The server has rolled the whole transaction back (1205 does so with innodb_rollback_on_timeout).
bool EndsTransaction(unsigned code);
bool IsReadOnly(unsigned code);
// "; grant the missing right to this user", or nothing.
std::string_view Advice(unsigned code);
// "Duplicate entry 'order-1' for key ..." -> "Duplicate entry '...' for key ...": values may be parts of messages.
std::string WithoutValues(unsigned code, std::string text);

// Whether a statement changes nothing, as far as its first word tells.
bool OnlyReads(std::string_view sql);
// The first line's worth of a statement, on one line; parameters are never in it.
std::string Excerpt(std::string_view sql);

}  // namespace outrider::mysql
