// MysqlCommands: the statements that a client sends over one connection, read from the bytes as they pass.
//
// Follows MySQL's packets in both directions, from the connection's first byte on and in the order in which they
// travel. Never fails and never keeps more than the beginning of a packet: bytes that aren't MySQL's, TLS and
// compression yield no statements. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outrider::testing {

class MysqlCommands final {
 public:
  static constexpr std::size_t kKept = 512;

  // The SQL (its first kKept bytes or so) of the commands whose first packet these bytes complete: a COM_QUERY's, or
  // what the COM_STMT_EXECUTE's statement was prepared with.
  std::vector<std::string> FromClient(std::string_view bytes);
  void FromServer(std::string_view bytes);

 private:
  class Packets {
   public:
    using OnPacket = std::function<void(std::uint8_t sequence, std::string_view beginning)>;
    void Read(std::string_view bytes, const OnPacket& on_packet);

   private:
    std::array<std::uint8_t, 4> header_{};
    std::size_t header_size_ = 0;
    std::size_t left_ = 0;
    std::string beginning_;
  };

  void Greet(std::string_view handshake_answer);
  std::optional<std::string> Command(std::string_view packet);

  bool readable_ = true;
  bool greeted_ = false;
  Packets client_packets_;
  Packets server_packets_;
  std::optional<std::string> preparing_;  // until the server has told its number
  std::string last_prepared_;
  std::map<std::uint32_t, std::string> prepared_;
};

// Whether `text` is the statement that `beginning` begins, whatever its case and after white space.
bool BeginsStatement(std::string_view text, std::string_view beginning);

}  // namespace outrider::testing
