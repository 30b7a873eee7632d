#include "tests/support/proxy/proxied_connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <utility>

namespace outrider::testing {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxQueued = 256 * 1024;

void SendReset(ProxiedConnection::Socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

// Whether the other end's kernel has all that was written; what it hasn't, an RST would destroy.
bool Arrived(ProxiedConnection::Socket& socket) {
  int left = 0;
  return ioctl(socket.native_handle(), SIOCOUTQ, &left) != 0 || left == 0;
}

}  // namespace

ProxiedConnection::ProxiedConnection(Socket client, FaultList& faults)
    : faults_(faults),
      client_(std::move(client)),
      server_(client_.get_executor()),
      to_server_(Direction::kToServer, client_, server_),
      to_client_(Direction::kToClient, server_, client_) {}

void ProxiedConnection::Start(const asio::ip::tcp::endpoint& server) {
  server_.async_connect(server, [self = shared_from_this()](error_code error) {
    if (self->closed_) return;
    if (self->half_open_ == 0) {
      if (error) return self->Reset();
      self->server_.set_option(asio::ip::tcp::no_delay(true), error);
    }
    // Slices must not be put together again.
    self->client_.set_option(asio::ip::tcp::no_delay(true), error);
    self->connected_ = true;
    self->Read(self->to_server_);
    self->Read(self->to_client_);
  });
}

void ProxiedConnection::FaultsChanged() {
  if (closed_) return;
  if (half_open_ != 0 && faults_.Get(half_open_).healed) return Reset();
  const auto now = Clock::now();
  for (Pipe* pipe : {&to_server_, &to_client_}) {
    const auto latest = now + faults_.Delay(pipe->direction);
    for (Piece& piece : pipe->queue) piece.due = std::min(piece.due, latest);
    pipe->not_before = std::min(pipe->not_before, now);
    Pump(*pipe);
    if (closed_) return;
  }
}

void ProxiedConnection::Reset() {
  if (std::exchange(closed_, true)) return;
  SendReset(client_);
  SendReset(server_);
  to_server_.timer.cancel();
  to_client_.timer.cancel();
}

void ProxiedConnection::Close() {
  if (std::exchange(closed_, true)) return;
  error_code ignored;
  client_.close(ignored);
  server_.close(ignored);
  to_server_.timer.cancel();
  to_client_.timer.cancel();
}

void ProxiedConnection::LoseServer(int fault) {
  if (closed_ || half_open_ != 0) return;
  half_open_ = fault;
  faults_.Fire(fault);
  SendReset(server_);
  for (Pipe* pipe : {&to_server_, &to_client_}) {
    pipe->timer.cancel();
    // What is being written must stay until that is over.
    pipe->queue.resize(pipe->writing ? 1 : 0);
    pipe->queued = pipe->writing ? pipe->queue.front().bytes.size() : 0;
  }
  if (connected_) Read(to_server_);
}

void ProxiedConnection::Read(Pipe& pipe) {
  if (closed_ || pipe.reading || pipe.read_ended || pipe.queued >= kMaxQueued || Lost(pipe)) return;
  pipe.reading = true;
  pipe.from.async_read_some(
      asio::buffer(pipe.buffer),
      [self = shared_from_this(), &pipe](error_code error, std::size_t size) { self->HaveRead(pipe, error, size); });
}

void ProxiedConnection::HaveRead(Pipe& pipe, const error_code& error, std::size_t size) {
  pipe.reading = false;
  if (closed_ || Lost(pipe)) return;
  if (error && half_open_ != 0) return Close();
  if (error) {
    pipe.read_ended = true;
    Push(pipe, error == asio::error::eof ? Piece::Kind::kEnd : Piece::Kind::kReset);
  } else {
    Take(pipe, {pipe.buffer.data(), size});
  }
  Pump(pipe);
  Read(pipe);
}

void ProxiedConnection::Take(Pipe& pipe, std::string_view bytes) {
  if (half_open_ != 0 || !TakeMysql(pipe, bytes)) return;
  int cut = 0;
  const std::string_view all = bytes;
  for (const FaultList::ByteCut& fault : faults_.ByteCuts(pipe.direction)) {
    std::size_t& passed = pipe.passed[fault.id];
    if (passed + all.size() < fault.bytes) {
      passed += all.size();
    } else if (cut == 0 && faults_.Strike(fault.id)) {
      cut = fault.id;
      bytes = all.substr(0, fault.bytes - passed);
    }
  }
  Push(pipe, Piece::Kind::kBytes, bytes);
  if (cut == 0) return;
  pipe.read_ended = true;
  Push(pipe, Piece::Kind::kCut, {}, cut);
}

bool ProxiedConnection::TakeMysql(Pipe& pipe, std::string_view bytes) {
  if (pipe.direction == Direction::kToServer) {
    for (const std::string& statement : commands_.FromClient(bytes)) {
      const auto cut = faults_.StrikeAt(statement);
      if (!cut) continue;
      if (cut->moment == CutMoment::kAfterServer) {
        cut_at_answer_ = cut->id;
        continue;
      }
      faults_.Fire(cut->id);
      Reset();
      return false;
    }
    return true;
  }
  if (cut_at_answer_ != 0) {
    faults_.Fire(cut_at_answer_);
    Reset();
    return false;
  }
  commands_.FromServer(bytes);
  return true;
}

void ProxiedConnection::Push(Pipe& pipe, Piece::Kind kind, std::string_view bytes, int fault) {
  if (kind == Piece::Kind::kBytes && bytes.empty()) return;
  for (const int id : faults_.Active(ProxyFaultKind::kLatency, pipe.direction)) faults_.Fire(id);
  pipe.queue.push_back({kind, Clock::now() + faults_.Delay(pipe.direction), std::string(bytes), fault});
  pipe.queued += bytes.size();
}

void ProxiedConnection::Pump(Pipe& pipe) {
  if (closed_ || pipe.writing || pipe.queue.empty() || Stalled(pipe)) return;
  const auto due = std::max(pipe.queue.front().due, pipe.not_before);
  if (due > Clock::now()) return PumpAt(pipe, due);
  const Piece& piece = pipe.queue.front();
  switch (piece.kind) {
    case Piece::Kind::kBytes:
      return Write(pipe, piece.bytes);
    case Piece::Kind::kReset:
      return Reset();
    case Piece::Kind::kCut:
      if (!Arrived(pipe.to)) return PumpAt(pipe, Clock::now() + std::chrono::milliseconds{1});
      faults_.Fire(piece.fault);
      return Reset();
    case Piece::Kind::kEnd: {
      error_code ignored;
      pipe.to.shutdown(asio::socket_base::shutdown_send, ignored);
      pipe.queue.pop_front();
      pipe.done = true;
      if (to_server_.done && to_client_.done) Close();
      return;
    }
  }
}

void ProxiedConnection::PumpAt(Pipe& pipe, Clock::time_point time) {
  pipe.timer.expires_at(time);
  pipe.timer.async_wait([self = shared_from_this(), &pipe](error_code error) {
    if (!error) self->Pump(pipe);
  });
}

void ProxiedConnection::Write(Pipe& pipe, std::string_view bytes) {
  if (const auto slicing = faults_.Slicing(pipe.direction)) {
    bytes = bytes.substr(0, std::max<std::size_t>(slicing->bytes, 1));
    pipe.not_before = Clock::now() + slicing->pause;
    faults_.Fire(slicing->id);
  }
  pipe.writing = true;
  pipe.to.async_write_some(
      asio::buffer(bytes.data(), bytes.size()),
      [self = shared_from_this(), &pipe](error_code error, std::size_t size) { self->Written(pipe, error, size); });
}

void ProxiedConnection::Written(Pipe& pipe, const error_code& error, std::size_t size) {
  pipe.writing = false;
  if (closed_) return;
  if (half_open_ != 0) {
    pipe.queue.clear();
    pipe.queued = 0;
    if (error && pipe.direction == Direction::kToClient) Close();
    return;
  }
  if (error) return Reset();
  pipe.queued -= size;
  std::string& front = pipe.queue.front().bytes;
  front.erase(0, size);
  if (front.empty()) pipe.queue.pop_front();
  Pump(pipe);
  Read(pipe);
}

bool ProxiedConnection::Stalled(Pipe& pipe) {
  const std::vector<int> stalls = faults_.Active(ProxyFaultKind::kStall, pipe.direction);
  for (const int id : stalls) {
    if (pipe.stalled_by.insert(id).second) faults_.Fire(id);
  }
  return !stalls.empty();
}

}  // namespace outrider::testing
