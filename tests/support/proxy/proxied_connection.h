// ProxiedConnection: one client's connection and its own to the server, with the bytes in between.
//
// Each direction is a queue of at most 256 KiB of bytes with the time at which they may go on; when it is full nothing
// more is read, so a slow side slows the other, as without a proxy. One thread: the proxy's. Its pending operations
// keep the object alive; the faults outlive it.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "tests/support/proxy/fault_list.h"
#include "tests/support/proxy/mysql_commands.h"

namespace outrider::testing {

class ProxiedConnection final : public std::enable_shared_from_this<ProxiedConnection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  ProxiedConnection(Socket client, FaultList& faults);
  // Connects to the server; a server that refuses resets the client.
  void Start(const boost::asio::ip::tcp::endpoint& server);
  bool open() const { return !closed_; }

  void FaultsChanged();
  void Reset();  // RST to both sides
  void Close();
  void LoseServer(int fault);

 private:
  struct Piece {
    enum class Kind { kBytes, kEnd, kReset, kCut } kind = Kind::kBytes;
    std::chrono::steady_clock::time_point due;
    std::string bytes;
    int fault = 0;  // of kCut
  };
  struct Pipe {
    Pipe(Direction its_direction, Socket& its_source, Socket& its_target)
        : direction(its_direction), from(its_source), to(its_target), timer(its_source.get_executor()) {}
    const Direction direction;
    Socket& from;
    Socket& to;
    boost::asio::steady_timer timer;
    std::array<char, 16 * 1024> buffer;
    std::deque<Piece> queue;
    std::size_t queued = 0;  // bytes
    bool reading = false;
    bool writing = false;
    bool read_ended = false;                           // nothing more is read
    bool done = false;                                 // the end was passed on
    std::chrono::steady_clock::time_point not_before;  // of the next slice
    std::map<int, std::size_t> passed;                 // bytes since a fault of kind kCutAfter came
    std::set<int> stalled_by;
  };

  void Read(Pipe& pipe);
  void HaveRead(Pipe& pipe, const boost::system::error_code& error, std::size_t size);
  void Take(Pipe& pipe, std::string_view bytes);
  // False when the connection was cut instead.
  bool TakeMysql(Pipe& pipe, std::string_view bytes);
  void Push(Pipe& pipe, Piece::Kind kind, std::string_view bytes = {}, int fault = 0);
  void Pump(Pipe& pipe);
  void PumpAt(Pipe& pipe, std::chrono::steady_clock::time_point time);
  void Write(Pipe& pipe, std::string_view bytes);
  void Written(Pipe& pipe, const boost::system::error_code& error, std::size_t size);
  bool Stalled(Pipe& pipe);
  bool Lost(const Pipe& pipe) const { return half_open_ != 0 && pipe.direction == Direction::kToClient; }

  FaultList& faults_;
  Socket client_;
  Socket server_;
  Pipe to_server_;
  Pipe to_client_;
  MysqlCommands commands_;
  int cut_at_answer_ = 0;  // the fault, once its statement is on its way
  int half_open_ = 0;      // the fault
  bool connected_ = false;
  bool closed_ = false;
};

}  // namespace outrider::testing
