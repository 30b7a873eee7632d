#include "platform/mysql/server_error.h"

#include <algorithm>
#include <array>

namespace outrider::mysql {
namespace {

constexpr unsigned kDeadlock = 1213;
constexpr unsigned kLockWait = 1205;

template <std::size_t N>
bool IsOneOf(unsigned code, const std::array<unsigned, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool IsPassing(unsigned code) {
  static constexpr auto kCodes = std::to_array<unsigned>({
      1020,      1021, 1030, 1040, 1041, 1047, 1114, 1129, 1203, kLockWait, 1206,
      kDeadlock, 1226, 1290, 1317, 1461, 1637, 1836, 1969, 3024, 3101,      3572,  // the server's state
      2001,      2002, 2003, 2004, 2005, 2007, 2008, 2009, 2012                    // no connection came about
  });
  return IsOneOf(code, kCodes);
}

std::string_view SkipSpaceAndComments(std::string_view sql) {
  while (true) {
    const std::size_t start = sql.find_first_not_of(" \t\r\n(");
    if (start == std::string_view::npos) return {};
    sql.remove_prefix(start);
    std::size_t end = std::string_view::npos;
    if (sql.starts_with("/*")) {
      end = sql.find("*/");
      if (end != std::string_view::npos) end += 2;
    } else if (sql.starts_with("-- ") || sql.starts_with("#")) {
      end = sql.find('\n');
    } else {
      return sql;
    }
    if (end == std::string_view::npos) return {};
    sql.remove_prefix(end);
  }
}

}  // namespace

bool EndsSession(unsigned code) {
  static constexpr auto kCodes = std::to_array<unsigned>({1053, 1077, 1079, 1080, 1152, 1153, 1158, 1159, 1160, 1161,
                                                          1927, 2006, 2013, 2014, 2026, 2027, 2055, 2057, 3169, 4031});
  return IsOneOf(code, kCodes);
}

bool IsReadOnly(unsigned code) { return code == 1290 || code == 1836; }

bool EndsTransaction(unsigned code) {
  static constexpr auto kCodes = std::to_array<unsigned>({kDeadlock, kLockWait, 1020, 1206, 3101});
  return IsOneOf(code, kCodes);
}

ErrorCode Classify(unsigned code, Call call) {
  if (code == kPacketTooLarge) return ErrorCode::kInvalid;
  if (call == Call::kCommit) {
    const bool refused = EndsTransaction(code) || IsReadOnly(code) || code == 1047;
    return refused ? ErrorCode::kUnavailable : ErrorCode::kUnknown;
  }
  if (EndsSession(code)) return call == Call::kAutocommitted ? ErrorCode::kUnknown : ErrorCode::kUnavailable;
  return IsPassing(code) ? ErrorCode::kUnavailable : ErrorCode::kInvalid;
}

std::string_view Advice(unsigned code) {
  switch (code) {
    case 1045:
      return "; check the user and the password of the database URL";
    case 1044:
    case 1142:
      return "; grant the missing right to this user";
    case 1049:
      return "; create the database or correct the database URL";
    case 1146:
      return "; create the tables with the migrations";
    case 1290:
    case 1836:
      return "; the server is read-only, is it still the primary?";
    case 1665:
      return "; set the server's binlog_format to ROW (or MIXED)";
    case 2002:
    case 2003:
      return "; is the server running and reachable?";
    case 2059:
      return "; install libmariadb's authentication plugins (package libmariadb3)";
    default:
      return "";
  }
}

std::string WithoutValues(unsigned code, std::string text) {
  static constexpr auto kQuotesValue = std::to_array<unsigned>({1062, 1292, 1366, 1367, 1411, 1525, 1586});
  if (!IsOneOf(code, kQuotesValue)) return text;
  const std::size_t begin = text.find('\'');
  if (begin == std::string::npos) return text;
  std::size_t end = text.rfind("' for ");
  if (end == std::string::npos || end <= begin) end = text.rfind('\'');
  if (end <= begin) return text;
  return text.replace(begin + 1, end - begin - 1, "...");
}

bool OnlyReads(std::string_view sql) {
  const std::string_view rest = SkipSpaceAndComments(sql);
  std::string word;
  for (const char c : rest) {
    if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) break;
    word += static_cast<char>(c & ~0x20);
  }
  static constexpr auto kReads =
      std::to_array<std::string_view>({"SELECT", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "SET", "USE", "DO", "VALUES"});
  return std::find(kReads.begin(), kReads.end(), word) != kReads.end();
}

std::string Excerpt(std::string_view sql) {
  constexpr std::size_t kLimit = 80;
  std::string text;
  for (const char c : sql) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) text += c;
    if (space && !text.empty() && text.back() != ' ') text += ' ';
    if (text.size() >= kLimit) return text + "...";
  }
  return text;
}

}  // namespace outrider::mysql
