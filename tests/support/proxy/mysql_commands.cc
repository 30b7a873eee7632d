#include "tests/support/proxy/mysql_commands.h"

#include <algorithm>
#include <cctype>

namespace outrider::testing {
namespace {

using namespace std::string_view_literals;

constexpr std::uint32_t kCompress = 1u << 5;
constexpr std::uint32_t kTls = 1u << 11;
constexpr std::uint32_t kZstd = 1u << 26;

constexpr char kQuery = 0x03;
constexpr char kChangeUser = 0x11;
constexpr char kPrepare = 0x16;
constexpr char kExecute = 0x17;
constexpr char kClose = 0x19;
constexpr char kResetConnection = 0x1f;
constexpr char kBulkExecute = '\xfa';  // MariaDB's

// MariaDB's client executes the statement it has just prepared without waiting for its number.
constexpr std::uint32_t kLastPrepared = 0xffffffff;

std::uint32_t Number(std::string_view bytes) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;) number = number << 8 | static_cast<std::uint8_t>(bytes[i]);
  return number;
}

bool InWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

}  // namespace

void MysqlCommands::Packets::Read(std::string_view bytes, const OnPacket& on_packet) {
  while (!bytes.empty()) {
    if (header_size_ < header_.size()) {
      header_[header_size_++] = static_cast<std::uint8_t>(bytes.front());
      bytes.remove_prefix(1);
      if (header_size_ < header_.size()) continue;
      left_ = header_[0] | static_cast<std::size_t>(header_[1]) << 8 | static_cast<std::size_t>(header_[2]) << 16;
    }
    const std::string_view part = bytes.substr(0, left_);
    beginning_.append(part.substr(0, kKept - beginning_.size()));
    left_ -= part.size();
    bytes.remove_prefix(part.size());
    if (left_ > 0) return;
    on_packet(header_[3], beginning_);
    header_size_ = 0;
    beginning_.clear();
  }
}

std::vector<std::string> MysqlCommands::FromClient(std::string_view bytes) {
  std::vector<std::string> statements;
  if (!readable_) return statements;
  client_packets_.Read(bytes, [&](std::uint8_t sequence, std::string_view packet) {
    if (!greeted_) {
      Greet(packet);
    } else if (sequence == 0 && readable_) {  // others belong to a login or go on with a long packet
      if (auto statement = Command(packet)) statements.push_back(std::move(*statement));
    }
  });
  return statements;
}

void MysqlCommands::FromServer(std::string_view bytes) {
  if (!readable_) return;
  server_packets_.Read(bytes, [&](std::uint8_t, std::string_view packet) {
    // A client waits for the answer to each command, so this is the answer to the last one.
    if (preparing_ && packet.size() >= 5 && packet[0] == 0) prepared_[Number(packet.substr(1))] = *preparing_;
    preparing_.reset();
  });
}

void MysqlCommands::Greet(std::string_view handshake_answer) {
  greeted_ = true;
  readable_ = handshake_answer.size() >= 4 && (Number(handshake_answer) & (kTls | kCompress | kZstd)) == 0;
}

std::optional<std::string> MysqlCommands::Command(std::string_view packet) {
  if (packet.empty()) return std::nullopt;
  const char command = packet.front();
  packet.remove_prefix(1);
  switch (command) {
    case kQuery:
      // Clients that know query attributes say first that there are none of them.
      if (packet.starts_with("\0\1"sv)) packet.remove_prefix(2);
      return std::string(packet);
    case kPrepare:
      last_prepared_ = packet;
      preparing_ = packet;
      return std::nullopt;
    case kExecute:
    case kBulkExecute: {
      if (packet.size() < 4) return std::nullopt;
      if (Number(packet) == kLastPrepared) return last_prepared_;
      const auto found = prepared_.find(Number(packet));
      return found == prepared_.end() ? std::nullopt : std::optional(found->second);
    }
    case kClose:
      if (packet.size() >= 4) prepared_.erase(Number(packet));
      return std::nullopt;
    case kChangeUser:
    case kResetConnection:
      prepared_.clear();
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

bool BeginsStatement(std::string_view text, std::string_view beginning) {
  const auto first = std::ranges::find_if(text, [](unsigned char c) { return std::isspace(c) == 0; });
  text.remove_prefix(static_cast<std::size_t>(first - text.begin()));
  if (text.size() < beginning.size()) return false;
  const bool same = std::ranges::equal(text.substr(0, beginning.size()), beginning, {}, Lower, Lower);
  const bool goes_on = text.size() > beginning.size() && !beginning.empty() && InWord(beginning.back()) &&
                       InWord(text[beginning.size()]);
  return same && !goes_on;
}

}  // namespace outrider::testing
