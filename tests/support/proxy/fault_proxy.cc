#include "tests/support/proxy/fault_proxy.h"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <stdexcept>
#include <thread>

#include "tests/support/process/free_port.h"
#include "tests/support/proxy/fault_list.h"
#include "tests/support/proxy/proxied_connection.h"

namespace outrider::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kPortTries = 10;

tcp::endpoint Loopback(unsigned port) { return {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)}; }

}  // namespace

struct FaultProxy::State {
  explicit State(unsigned server_port) : server(Loopback(server_port)) {}

  // Runs on the proxy's thread; returns, or throws, what it does there.
  template <typename Function>
  auto Call(Function function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    asio::post(io, [task = std::move(task)]() mutable { task(); });
    return result.get();
  }

  error_code Listen();
  void Accept();
  void Strike(int id);
  void FaultsChanged();
  void Sweep();

  FaultList faults;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  tcp::acceptor acceptor{io};
  const tcp::endpoint server;
  unsigned port = 0;
  std::vector<std::shared_ptr<ProxiedConnection>> connections;
  std::thread thread;
};

error_code FaultProxy::State::Listen() {
  error_code error;
  tcp::acceptor fresh(io);
  fresh.open(tcp::v4(), error);
  if (!error) fresh.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) fresh.bind(Loopback(port), error);
  if (!error) fresh.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor = std::move(fresh);
  return error;
}

void FaultProxy::State::Accept() {
  acceptor.async_accept([this](error_code error, tcp::socket client) {
    if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
    if (!error) {
      Sweep();
      auto connection = std::make_shared<ProxiedConnection>(std::move(client), faults);
      if (const auto resets = faults.Active(ProxyFaultKind::kReset); !resets.empty()) {
        faults.Fire(resets.front());
        connection->Reset();
      } else {
        connections.push_back(connection);
        connection->Start(server);
      }
    }
    Accept();
  });
}

void FaultProxy::State::Strike(int id) {
  const ProxyFault fault = faults.Get(id);
  if (fault.kind != ProxyFaultKind::kReset && fault.kind != ProxyFaultKind::kHalfOpen) return;
  Sweep();
  for (const auto& connection : connections) {
    if (fault.kind == ProxyFaultKind::kHalfOpen) {
      connection->LoseServer(id);
    } else {
      faults.Fire(id);
      connection->Reset();
    }
  }
  (void)faults.Strike(id);
}

void FaultProxy::State::FaultsChanged() {
  Sweep();
  for (const auto& connection : connections) connection->FaultsChanged();
  const auto refusals = faults.Active(ProxyFaultKind::kRefuse);
  if (!refusals.empty() && acceptor.is_open()) acceptor.close();
  for (const int id : refusals) {
    if (faults.Get(id).fired == 0) faults.Fire(id);
  }
  if (!refusals.empty() || acceptor.is_open()) return;
  if (const error_code error = Listen()) {
    throw std::runtime_error(fmt::format("the proxy can't listen on port {} again: {}", port, error.message()));
  }
  Accept();
}

void FaultProxy::State::Sweep() {
  std::erase_if(connections, [](const auto& connection) { return !connection->open(); });
}

FaultProxy::FaultProxy(unsigned server_port) : state_(std::make_unique<State>(server_port)) {
  error_code error;
  // Somebody else may take the port between our look and this.
  for (int i = 0; i < kPortTries; ++i) {
    state_->port = FreePort();
    error = state_->Listen();
    if (!error) break;
  }
  if (error) throw std::runtime_error(fmt::format("the proxy can't listen: {}", error.message()));
  state_->Accept();
  state_->thread = std::thread([state = state_.get()] { state->io.run(); });
}

FaultProxy::~FaultProxy() {
  state_->Call([this] {
    error_code ignored;
    state_->acceptor.close(ignored);
    for (const auto& connection : state_->connections) connection->Close();
    state_->work.reset();
  });
  state_->thread.join();
}

unsigned FaultProxy::port() const { return state_->port; }

std::size_t FaultProxy::connections() const {
  return state_->Call([this] {
    state_->Sweep();
    return state_->connections.size();
  });
}

int FaultProxy::Inject(ProxyFault fault) {
  return state_->Call([this, &fault] {
    const int id = state_->faults.Add(std::move(fault));
    state_->Strike(id);
    state_->FaultsChanged();
    return id;
  });
}

void FaultProxy::Heal(int id) {
  state_->Call([this, id] {
    state_->faults.Heal(id);
    state_->FaultsChanged();
  });
}

void FaultProxy::Heal() {
  state_->Call([this] {
    state_->faults.HealAll();
    state_->FaultsChanged();
  });
}

std::vector<ProxyFault> FaultProxy::faults() const { return state_->faults.All(); }
std::size_t FaultProxy::fired(int id) const { return state_->faults.Get(id).fired; }

bool FaultProxy::WaitUntilFired(int id, std::size_t times, std::chrono::milliseconds timeout) const {
  return state_->faults.WaitUntilFired(id, times, timeout);
}

}  // namespace outrider::testing
