#include "tests/support/fake_im/fake_im_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <charconv>
#include <condition_variable>
#include <future>
#include <list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "tests/support/fake_im/endpoint.h"

namespace outrider::fake_im {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Json = nlohmann::json;
using Tcp = asio::ip::tcp;

constexpr std::string_view kControl = "/__fake/";
constexpr std::string_view kHook = "/open-apis/bot/v2/hook/";
constexpr std::size_t kMaxRequestBody = 4 << 20;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Answer TextAnswer(int status, std::string text) {
  Answer answer;
  answer.status = status;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = std::move(text);
  return answer;
}

Answer JsonAnswer(const Json& json) {
  Answer answer;
  answer.body = Dump(json);
  return answer;
}

std::string_view PathOf(std::string_view target) { return target.substr(0, target.find('?')); }

std::string_view QueryOf(std::string_view target) {
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

class Session;

}  // namespace

struct FakeImServer::State : std::enable_shared_from_this<FakeImServer::State> {
  explicit State(FakeImOptions given) : options(std::move(given)), acceptor(io), reopen_timer(io) {
    endpoints.push_back(MakeDingtalkRobots());
    endpoints.push_back(MakeWecomRobots());
    endpoints.push_back(MakeSlackHooks());
  }

  // The server's truth; every field below is guarded by it.
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  GroupBots bots;
  FeishuApps apps;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  FaultList faults;
  std::vector<SeenRequest> seen;
  std::chrono::microseconds clock_offset{0};
  std::size_t answers = 0;

  FakeImOptions options;
  std::uint16_t port = 0;  // constant once the thread runs

  // Touched by the server's thread only.
  asio::io_context io;
  Tcp::acceptor acceptor;
  asio::steady_timer reopen_timer;
  std::list<std::weak_ptr<Session>> sessions;
  std::thread thread;

  Timestamp Now() const {  // REQUIRES: mutex
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()) + clock_offset;
  }

  void Set(BotSettings settings) {  // REQUIRES: mutex
    for (const auto& endpoint : endpoints) {
      if (endpoint->vendor() == settings.vendor) return endpoint->Set(std::move(settings));
    }
    bots.Set(std::move(settings));
  }

  Endpoint* FindEndpoint(std::string_view path) const {
    for (const auto& endpoint : endpoints) {
      if (endpoint->Owns(path)) return endpoint.get();
    }
    return nullptr;
  }

  bool Serves(std::string_view method, std::string_view path) const {
    return method == "POST" && (path.starts_with(kHook) || FeishuApps::IsMine(path) || FindEndpoint(path) != nullptr);
  }

  Answer Refusal(std::string_view path, int status, int code, std::string_view text) const {
    const Endpoint* endpoint = FindEndpoint(path);
    return endpoint == nullptr ? CodeAnswer(status, code, text) : endpoint->Refusal(status, code, text);
  }

  void Initialise() {  // REQUIRES: mutex
    bots.ForgetBots();
    bots.ForgetDeliveries();
    bots.AcceptAnyToken(options.any_token);
    for (const auto& endpoint : endpoints) endpoint->Forget();
    apps.Forget();
    for (const AppSettings& app : options.apps) apps.Set(app);
    for (const BotSettings& bot : options.bots) Set(bot);
    faults.Clear();
    seen.clear();
    clock_offset = std::chrono::microseconds{0};
  }

  error_code Listen() {
    error_code error;
    const Tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      error_code ignored;
      acceptor.close(ignored);
      return error;
    }
    if (port == 0) port = acceptor.local_endpoint().port();
    return {};
  }

  void Accept();
  void GoDown();
  // Another program may have the port for a moment; then again, until it is free.
  void ComeBack(std::function<void()> done);

  Answer Control(const std::string& method, std::string_view path, std::string_view query, const std::string& body,
                 std::function<void()>& after_answer);
  Answer Post(Call call, std::chrono::seconds skew);
};

namespace {

// One connection, kept alive over several requests.
class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<FakeImServer::State> state, Tcp::socket socket);
  void Read();
  void Reset();

 private:
  void OnHeader();
  void OnRequest();
  Call TheCall() const;
  void Misbehave(const Fault& fault);
  void Send(const Answer& answer);
  void SendRaw(std::string bytes, std::function<void()> then);
  void Drip(std::string body, std::size_t at, std::chrono::milliseconds pause);
  void Pour(std::size_t left);
  void HoldUntilClosed();
  void Close();

  std::shared_ptr<FakeImServer::State> state_;
  Tcp::socket socket_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  std::optional<Fault> fault_;
  std::string raw_;
  std::string client_;
  std::function<void()> after_answer_;
  char spare_ = 0;
};

Session::Session(std::shared_ptr<FakeImServer::State> state, Tcp::socket socket)
    : state_(std::move(state)), socket_(std::move(socket)), timer_(state_->io) {
  error_code error;
  const auto endpoint = socket_.remote_endpoint(error);
  if (!error) client_ = endpoint.address().to_string();
  socket_.set_option(Tcp::no_delay(true), error);
}

void Session::Read() {
  parser_.emplace();
  parser_->body_limit(kMaxRequestBody);
  http::async_read_header(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
    if (error) return self->Close();
    self->OnHeader();
  });
}

void Session::OnHeader() {
  const std::string target(parser_->get().target());
  fault_.reset();
  if (!std::string_view(target).starts_with(kControl)) {
    const std::lock_guard lock(state_->mutex);
    const std::string path(PathOf(target));
    state_->seen.push_back({state_->Now(), std::string(parser_->get().method_string()), path});
    state_->changed.notify_all();
    fault_ = state_->faults.Take(path, state_->Now());
  }
  if (fault_ && fault_->kind == FaultKind::kRefuse) return Reset();
  http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
    if (error == http::error::body_limit) return self->Send(TextAnswer(413, "request body too large\n"));
    if (error) return self->Close();
    self->OnRequest();
  });
}

void Session::OnRequest() {
  const auto& request = parser_->get();
  const std::string method(request.method_string());
  const std::string target(request.target());
  const std::string_view path = PathOf(target);
  if (path.starts_with(kControl)) {
    return Send(state_->Control(method, path, QueryOf(target), request.body(), after_answer_));
  }
  if (fault_) return Misbehave(*fault_);
  if (state_->Serves(method, path)) return Send(state_->Post(TheCall(), std::chrono::seconds{0}));
  Send(TextAnswer(404, "404 page not found"));
}

Call Session::TheCall() const {
  const auto& request = parser_->get();
  const std::string target(request.target());
  Call call;
  call.path = PathOf(target);
  call.query = QueryOf(target);
  for (const auto& field : request) {
    std::string name(field.name_string());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    call.headers[name] = std::string(field.value());
  }
  call.body = request.body();
  call.client = client_;
  return call;
}

void Session::Misbehave(const Fault& fault) {
  Answer answer = TextAnswer(404, "404 page not found");
  const Call call = TheCall();
  if (state_->Serves(std::string(parser_->get().method_string()), call.path) &&
      fault.accept.value_or(AcceptsByDefault(fault.kind))) {
    const std::chrono::seconds skew{fault.kind == FaultKind::kClockSkew ? fault.s : 0};
    answer = state_->Post(call, skew);
  }
  switch (fault.kind) {
    case FaultKind::kRefuse:
    case FaultKind::kResetBeforeAccept:
    case FaultKind::kAcceptThenReset:
      return Reset();
    case FaultKind::kAcceptThenTimeout:
      return HoldUntilClosed();
    case FaultKind::kAcceptThen504: {
      Answer gateway = TextAnswer(504, "<html><body><h1>504 Gateway Time-out</h1></body></html>");
      gateway.content_type = "text/html";
      return Send(gateway);
    }
    case FaultKind::kSlowBody:
      return SendRaw(fmt::format("HTTP/1.1 {} OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n", answer.status,
                                 answer.content_type, answer.body.size()),
                     [self = shared_from_this(), body = answer.body, pause = std::chrono::milliseconds{fault.ms}] {
                       self->Drip(body, 0, pause);
                     });
    case FaultKind::kTruncatedJson:
      answer.body.resize(answer.body.size() / 2);
      return Send(answer);
    case FaultKind::kTruncatedBody:
      return SendRaw(
          fmt::format("HTTP/1.1 {} OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}", answer.status,
                      answer.content_type, answer.body.size(), answer.body.substr(0, answer.body.size() / 2)),
          [self = shared_from_this()] { self->Close(); });
    case FaultKind::kHtmlBody: {
      Answer page = TextAnswer(200, "<!DOCTYPE html><html><body>Please log in to the guest network</body></html>");
      page.content_type = "text/html";
      return Send(page);
    }
    case FaultKind::kHugeBody: {
      constexpr std::string_view kBegin = R"({"code":0,"msg":"success","data":")";
      constexpr std::string_view kEnd = "\"}";
      const std::size_t padding = std::max(fault.bytes, kBegin.size() + kEnd.size()) - kBegin.size() - kEnd.size();
      return SendRaw(fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                                 kBegin.size() + padding + kEnd.size(), kBegin),
                     [self = shared_from_this(), padding] { self->Pour(padding); });
    }
    case FaultKind::kRedirect302: {
      Answer redirect = TextAnswer(302, "moved");
      redirect.headers = {{"Location", fault.location}};
      return Send(redirect);
    }
    case FaultKind::kStatusOnly:
      return Send(TextAnswer(fault.n, ""));
    case FaultKind::kCode:
      return Send(state_->Refusal(call.path, fault.status, fault.n, fault.text));
    case FaultKind::kRate: {
      Answer refused = CodeAnswer(429, 99991400, "request trigger frequency limit");
      refused.headers = {{"x-ogw-ratelimit-limit", std::to_string(fault.limit)},
                         {"x-ogw-ratelimit-reset", std::to_string(fault.reset)},
                         {"Retry-After", std::to_string(fault.reset)}};
      return Send(refused);
    }
    case FaultKind::kClockSkew:
      return Send(answer);
  }
}

void Session::Send(const Answer& answer) {
  response_.emplace();
  response_->version(11);
  response_->result(static_cast<unsigned>(answer.status));
  response_->set(http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.headers) response_->set(name, value);
  {
    const std::lock_guard lock(state_->mutex);
    response_->set("X-Tt-Logid", fmt::format("fake{:012}", ++state_->answers));
  }
  response_->body() = answer.body;
  const bool keep_alive = parser_->is_done() && parser_->keep_alive() && !after_answer_;
  response_->keep_alive(keep_alive);
  response_->prepare_payload();
  http::async_write(socket_, *response_, [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
    if (auto after = std::exchange(self->after_answer_, nullptr)) after();
    if (error || !keep_alive) return self->Close();
    self->Read();
  });
}

void Session::SendRaw(std::string bytes, std::function<void()> then) {
  raw_ = std::move(bytes);
  asio::async_write(socket_, asio::buffer(raw_),
                    [self = shared_from_this(), then = std::move(then)](error_code error, std::size_t) {
                      if (error) return self->Close();
                      then();
                    });
}

void Session::Drip(std::string body, std::size_t at, std::chrono::milliseconds pause) {
  if (at == body.size()) return Read();
  timer_.expires_after(pause);
  timer_.async_wait([self = shared_from_this(), body = std::move(body), at, pause](error_code error) {
    if (error) return;
    self->SendRaw(std::string(1, body[at]), [self, body, at, pause] { self->Drip(body, at + 1, pause); });
  });
}

void Session::Pour(std::size_t left) {
  constexpr std::size_t kChunk = 64 * 1024;
  if (left == 0) return SendRaw("\"}", [self = shared_from_this()] { self->Read(); });
  const std::size_t now = std::min(left, kChunk);
  SendRaw(std::string(now, 'x'), [self = shared_from_this(), left, now] { self->Pour(left - now); });
}

void Session::HoldUntilClosed() {
  socket_.async_read_some(asio::buffer(&spare_, 1), [self = shared_from_this()](error_code error, std::size_t) {
    if (error) return self->Close();
    self->HoldUntilClosed();
  });
}

void Session::Reset() {
  error_code ignored;
  timer_.cancel();
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

void Session::Close() {
  error_code ignored;
  socket_.shutdown(Tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

// The object under `text`, or an answer that says what is wrong with it.
std::optional<Json> ParseObject(const std::string& text) {
  Json json = Json::parse(text.empty() ? "{}" : text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

std::optional<BotSettings> ParseBot(const Json& json, std::string& fault) {
  BotSettings bot;
  try {
    for (const auto& [key, value] : json.items()) {
      if (key == "vendor") {
        value.get_to(bot.vendor);
      } else if (key == "token") {
        value.get_to(bot.token);
      } else if (key == "secret") {
        value.get_to(bot.secret);
      } else if (key == "keywords") {
        value.get_to(bot.keywords);
      } else if (key == "ip_allow") {
        value.get_to(bot.ip_allow);
      } else if (key == "per_second") {
        value.get_to(bot.per_second);
      } else if (key == "per_minute") {
        value.get_to(bot.per_minute);
      } else if (key == "rate_code") {
        value.get_to(bot.rate_code);
      } else if (key == "max_body") {
        value.get_to(bot.max_body);
      } else {
        fault = fmt::format("a bot has no \"{}\"\n", key);
        return std::nullopt;
      }
    }
  } catch (const Json::exception&) {
    fault = "a value of the bot has the wrong type\n";
    return std::nullopt;
  }
  if (bot.token.empty()) {
    fault = "token: is missing\n";
    return std::nullopt;
  }
  return bot;
}

Json FaultJson(const Fault& fault) {
  return {{"id", fault.id},
          {"kind", ToString(fault.kind)},
          {"path", fault.path},
          {"seen", fault.seen},
          {"fired", fault.fired}};
}

Json DeliveryJson(const Delivery& delivery) {
  return {{"sequence", delivery.sequence}, {"time", FormatRfc3339(delivery.time)},
          {"token", delivery.token},       {"msg_type", delivery.msg_type},
          {"text", delivery.text},         {"body", delivery.body}};
}

}  // namespace

void FakeImServer::State::Accept() {
  acceptor.async_accept([self = shared_from_this()](error_code error, Tcp::socket socket) {
    if (error == asio::error::operation_aborted || !self->acceptor.is_open()) return;
    if (!error) {
      auto session = std::make_shared<Session>(self, std::move(socket));
      self->sessions.remove_if([](const std::weak_ptr<Session>& known) { return known.expired(); });
      self->sessions.push_back(session);
      session->Read();
    }
    self->Accept();
  });
}

void FakeImServer::State::GoDown() {
  error_code ignored;
  reopen_timer.cancel();
  acceptor.close(ignored);
  for (const std::weak_ptr<Session>& known : sessions) {
    if (const auto session = known.lock()) session->Reset();
  }
  sessions.clear();
}

void FakeImServer::State::ComeBack(std::function<void()> done) {
  if (acceptor.is_open()) return done();
  reopen_timer.cancel();
  if (!Listen()) {
    Accept();
    return done();
  }
  reopen_timer.expires_after(std::chrono::milliseconds{10});
  reopen_timer.async_wait([self = shared_from_this(), done = std::move(done)](error_code error) {
    if (!error) self->ComeBack(done);
  });
}

Answer FakeImServer::State::Post(Call call, std::chrono::seconds skew) {
  std::optional<Delivery> taken;
  Answer answer;
  {
    const std::lock_guard lock(mutex);
    const std::size_t before = bots.deliveries().size();
    call.now = Now() + skew;
    Endpoint* endpoint = FindEndpoint(call.path);
    if (endpoint != nullptr) {
      answer = endpoint->Post(call, bots.deliveries());
    } else if (FeishuApps::IsMine(call.path)) {
      answer = apps.Post(call);
    } else {
      answer = bots.Post(call.path.substr(kHook.size()), call.body, call.client, call.now);
    }
    if (bots.deliveries().size() > before) taken = bots.deliveries().back();
    changed.notify_all();
  }
  if (taken && options.on_delivery) options.on_delivery(*taken);
  return answer;
}

Answer FakeImServer::State::Control(const std::string& method, std::string_view path, std::string_view query,
                                    const std::string& body, std::function<void()>& after_answer) {
  const std::string_view command = path.substr(kControl.size());
  const std::lock_guard lock(mutex);
  if (method == "GET" && command == "deliveries") {
    std::size_t after = 0;
    if (query.starts_with("after=")) std::from_chars(query.data() + 6, query.data() + query.size(), after);
    Json list = Json::array();
    for (const Delivery& delivery : bots.deliveries()) {
      if (delivery.sequence > after) list.push_back(DeliveryJson(delivery));
    }
    return JsonAnswer({{"count", bots.deliveries().size()}, {"deliveries", std::move(list)}});
  }
  if (method == "GET" && command == "requests") {
    Json list = Json::array();
    for (const SeenRequest& request : seen) {
      list.push_back({{"time", FormatRfc3339(request.time)}, {"method", request.method}, {"path", request.path}});
    }
    return JsonAnswer({{"count", seen.size()}, {"requests", std::move(list)}});
  }
  if (method == "GET" && command == "faults") {
    Json list = Json::array();
    for (const Fault& fault : faults.All()) list.push_back(FaultJson(fault));
    return JsonAnswer({{"faults", std::move(list)}});
  }
  if (method == "DELETE" && command == "faults") {
    faults.Clear();
    return JsonAnswer(Json::object());
  }
  if (method != "POST") return TextAnswer(404, "no such control call; fake_im_server.h lists them\n");

  const std::optional<Json> json = ParseObject(body);
  if (!json) return TextAnswer(400, "the body must be a JSON object\n");
  if (command == "fault") {
    const Result<Fault> fault = ParseFault(body);
    if (!fault) return TextAnswer(400, fault.error().message + "\n");
    return JsonAnswer({{"id", faults.Add(*fault)}});
  }
  if (command == "bots") {
    std::string fault;
    std::optional<BotSettings> bot = ParseBot(*json, fault);
    if (!bot) return TextAnswer(400, fault);
    Set(std::move(*bot));
    return JsonAnswer(Json::object());
  }
  if (command == "clock") {
    const auto by = json->find("advance_s");
    if (by == json->end() || !by->is_number_integer()) return TextAnswer(400, "advance_s: must be a number\n");
    clock_offset += std::chrono::seconds{by->get<std::int64_t>()};
    return JsonAnswer({{"now", FormatRfc3339(Now())}});
  }
  if (command == "down") {
    const auto length = json->find("for_ms");
    if (length == json->end() || !length->is_number_unsigned()) return TextAnswer(400, "for_ms: must be a number\n");
    after_answer = [this, pause = std::chrono::milliseconds{length->get<std::int64_t>()}] {
      GoDown();
      reopen_timer.expires_after(pause);
      reopen_timer.async_wait([self = shared_from_this()](error_code error) {
        if (!error) self->ComeBack([] {});
      });
    };
    return JsonAnswer(Json::object());
  }
  if (command == "reset") {
    Initialise();
    return JsonAnswer(Json::object());
  }
  return TextAnswer(404, "no such control call; fake_im_server.h lists them\n");
}

FakeImServer::FakeImServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<FakeImServer>> FakeImServer::Start(FakeImOptions options) {
  auto state = std::make_shared<State>(std::move(options));
  state->port = state->options.port;
  {
    const std::lock_guard lock(state->mutex);
    state->Initialise();
  }
  if (const error_code error = state->Listen()) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the fake IM server can't listen on 127.0.0.1:{}: {}", state->port, error.message()),
                error.value());
  }
  state->Accept();
  state->thread = std::thread([state] {
    const auto work = asio::make_work_guard(state->io);
    state->io.run();
  });
  return std::unique_ptr<FakeImServer>(new FakeImServer(std::move(state)));
}

FakeImServer::~FakeImServer() {
  asio::post(state_->io, [state = state_] {
    state->GoDown();
    state->io.stop();
  });
  state_->thread.join();
  // What is still queued holds the state, and the state the queue.
  state_->io.restart();
  state_->io.poll();
}

std::uint16_t FakeImServer::port() const { return state_->port; }
std::string FakeImServer::url() const { return fmt::format("http://127.0.0.1:{}", state_->port); }
std::string FakeImServer::WebhookUrl(const std::string& token) const {
  return fmt::format("{}{}{}", url(), kHook, token);
}

void FakeImServer::SetBot(BotSettings settings) {
  const std::lock_guard lock(state_->mutex);
  state_->Set(std::move(settings));
}

void FakeImServer::SetApp(AppSettings settings) {
  const std::lock_guard lock(state_->mutex);
  state_->apps.Set(std::move(settings));
}

void FakeImServer::RevokeTokens() {
  const std::lock_guard lock(state_->mutex);
  state_->apps.RevokeTokens();
}

int FakeImServer::AddFault(Fault fault) {
  const std::lock_guard lock(state_->mutex);
  return state_->faults.Add(std::move(fault));
}

void FakeImServer::ClearFaults() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.Clear();
}

std::vector<Fault> FakeImServer::faults() const {
  const std::lock_guard lock(state_->mutex);
  return state_->faults.All();
}

void FakeImServer::AdvanceClock(std::chrono::microseconds by) {
  const std::lock_guard lock(state_->mutex);
  state_->clock_offset += by;
}

Timestamp FakeImServer::Now() const {
  const std::lock_guard lock(state_->mutex);
  return state_->Now();
}

void FakeImServer::Reset() {
  const std::lock_guard lock(state_->mutex);
  state_->Initialise();
}

void FakeImServer::GoDown() {
  std::promise<void> done;
  asio::post(state_->io, [&] {
    state_->GoDown();
    done.set_value();
  });
  done.get_future().wait();
}

void FakeImServer::ComeBack() {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> listening = done->get_future();
  asio::post(state_->io, [state = state_, done] { state->ComeBack([done] { done->set_value(); }); });
  listening.wait();
}

std::vector<Delivery> FakeImServer::deliveries() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bots.deliveries();
}

std::vector<AppDelivery> FakeImServer::app_deliveries() const {
  const std::lock_guard lock(state_->mutex);
  return state_->apps.deliveries();
}

std::size_t FakeImServer::tokens_asked() const {
  const std::lock_guard lock(state_->mutex);
  return state_->apps.tokens_asked();
}

std::vector<SeenRequest> FakeImServer::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->seen;
}

bool FakeImServer::WaitForDeliveries(std::size_t count, std::chrono::milliseconds deadline) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, deadline, [&] { return state_->bots.deliveries().size() >= count; });
}

bool FakeImServer::WaitForRequests(std::size_t count, std::chrono::milliseconds deadline) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, deadline, [&] { return state_->seen.size() >= count; });
}

}  // namespace outrider::fake_im
