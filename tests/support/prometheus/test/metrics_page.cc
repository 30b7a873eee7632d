#include "tests/support/prometheus/test/metrics_page.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <thread>

namespace outrider::testing {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

struct MetricsPage::State {
  void Accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return;
      Answer(socket);
      Accept();
    });
  }

  void Answer(tcp::socket& socket) {
    error_code error;
    boost::beast::flat_buffer buffer;
    http::request<http::empty_body> request;
    http::read(socket, buffer, request, error);
    http::response<http::string_body> response(http::status::ok, 11);
    response.set(http::field::content_type, "text/plain; version=0.0.4");
    response.keep_alive(false);
    {
      const std::lock_guard lock(mutex);
      response.body() = "# TYPE sent_total counter\n";
      for (const auto& [channel, value] : sent) {
        response.body() += fmt::format("sent_total{{channel=\"{}\"}} {}\n", channel, value);
      }
    }
    response.prepare_payload();
    http::write(socket, response, error);
  }

  std::mutex mutex;
  std::map<std::string, int> sent;
  asio::io_context io{1};
  tcp::acceptor acceptor{io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::thread thread;
};

MetricsPage::MetricsPage() : state_(std::make_unique<State>()) {
  state_->Accept();
  state_->thread = std::thread([state = state_.get()] { state->io.run(); });
}

MetricsPage::~MetricsPage() {
  asio::post(state_->io, [this] { state_->acceptor.close(); });
  state_->thread.join();
}

std::string MetricsPage::address() const {
  return fmt::format("127.0.0.1:{}", state_->acceptor.local_endpoint().port());
}

void MetricsPage::Add(const std::string& channel, int value) {
  const std::lock_guard lock(state_->mutex);
  state_->sent[channel] += value;
}

}  // namespace outrider::testing
