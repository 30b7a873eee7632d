#include "platform/http/engine.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "platform/http/transfer.h"

namespace outrider::http {
namespace {

constexpr std::chrono::milliseconds kLongestWait{1000};

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

class Descriptor final {
 public:
  explicit Descriptor(int number) : number_(number) {
    if (number_ < 0) Die("the HTTP engine needs a descriptor");
  }
  ~Descriptor() { ::close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int operator*() const { return number_; }

 private:
  int number_;
};

CURLM* NewMulti() {
  static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM* multi = once == CURLE_OK ? curl_multi_init() : nullptr;
  if (multi == nullptr) Die("libcurl doesn't start");
  return multi;
}

}  // namespace

struct HttpEngine::State {
  explicit State(HttpEngineOptions the_options);
  ~State();

  void Post(Call call);
  void Run();
  // Moves what was posted to the queue; false when the engine is to stop.
  bool TakePosted();
  void ExpireQueued(TimePoint now);
  void StartQueued();
  void WaitAndAct();
  void TakeFinished();
  void EndEverything();
  void Complete(std::unique_ptr<Transfer> transfer, std::optional<CURLcode> code);
  void Answer(const std::function<void(HttpResult)>& done, HttpResult result);
  std::chrono::milliseconds WaitTime() const;
  int Watch(curl_socket_t socket, int what, bool watched);

  const HttpEngineOptions options;
  std::atomic<std::size_t> outstanding{0};

  std::mutex mutex;  // guards the two below
  std::vector<Call> posted;
  bool stopping = false;

  // The engine's thread only.
  Descriptor wakeup{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  Descriptor poll{::epoll_create1(EPOLL_CLOEXEC)};
  std::optional<TimePoint> timer;  // when curl wants to be called
  std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi{NewMulti(), &curl_multi_cleanup};
  std::uint64_t next_number = 0;
  std::map<std::uint64_t, Call> queue;  // by arrival
  std::set<std::pair<TimePoint, std::uint64_t>> queue_deadlines;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> active;
  std::vector<std::unique_ptr<Transfer>> idle;

  std::thread thread;
};

HttpEngine::State::State(HttpEngineOptions the_options) : options(std::move(the_options)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = *wakeup;
  if (::epoll_ctl(*poll, EPOLL_CTL_ADD, *wakeup, &event) != 0) Die("the HTTP engine can't watch its descriptors");

  curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options.max_in_flight));
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(
      multi.get(), CURLMOPT_SOCKETFUNCTION,
      static_cast<curl_socket_callback>([](CURL*, curl_socket_t socket, int what, void* self, void* watched) {
        return static_cast<State*>(self)->Watch(socket, what, watched != nullptr);
      }));
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION,
                    static_cast<curl_multi_timer_callback>([](CURLM*, long wait_ms, void* self) {
                      auto& timer_of = static_cast<State*>(self)->timer;
                      timer_of.reset();
                      if (wait_ms >= 0) {
                        timer_of = std::chrono::steady_clock::now() + std::chrono::milliseconds{wait_ms};
                      }
                      return 0;
                    }));

  // Signals are the program's business, and a write to a closed connection must not end it: with NOSIGNAL curl leaves
  // SIGPIPE to us. Faults of this thread itself stay deliverable.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) ::sigdelset(&all, fault);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread = std::thread([this] { Run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

HttpEngine::State::~State() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  ::eventfd_write(*wakeup, 1);
  thread.join();
}

void HttpEngine::State::Post(Call call) {
  outstanding.fetch_add(1, std::memory_order_relaxed);
  bool first = false;
  {
    const std::lock_guard lock(mutex);
    first = posted.empty();
    posted.push_back(std::move(call));
  }
  if (first) ::eventfd_write(*wakeup, 1);
}

void HttpEngine::State::Run() {
  while (TakePosted()) {
    ExpireQueued(std::chrono::steady_clock::now());
    StartQueued();
    WaitAndAct();
    TakeFinished();
  }
  EndEverything();
}

bool HttpEngine::State::TakePosted() {
  std::vector<Call> taken;
  bool go_on = true;
  {
    const std::lock_guard lock(mutex);
    taken.swap(posted);
    go_on = !stopping;
  }
  for (Call& call : taken) {
    if (active.size() + queue.size() >= options.max_in_flight + options.max_queued) {
      Answer(call.done, NotSent("queue_full", "too many requests wait already", call.start));
      continue;
    }
    const std::uint64_t number = next_number++;
    queue_deadlines.emplace(call.deadline, number);
    queue.emplace(number, std::move(call));
  }
  return go_on;
}

void HttpEngine::State::ExpireQueued(TimePoint now) {
  while (!queue_deadlines.empty() && queue_deadlines.begin()->first <= now) {
    auto node = queue.extract(queue_deadlines.begin()->second);
    queue_deadlines.erase(queue_deadlines.begin());
    const Call& call = node.mapped();
    Answer(call.done, NotSent("timeout", "the deadline passed in the queue", call.start));
  }
}

void HttpEngine::State::StartQueued() {
  while (!queue.empty() && active.size() < options.max_in_flight) {
    auto node = queue.extract(queue.begin());
    queue_deadlines.erase({node.mapped().deadline, node.key()});
    std::unique_ptr<Transfer> transfer;
    if (idle.empty()) {
      transfer = std::make_unique<Transfer>(options);
    } else {
      transfer = std::move(idle.back());
      idle.pop_back();
    }
    if (auto refused = transfer->Prepare(std::move(node.mapped()), std::chrono::steady_clock::now())) {
      const auto done = transfer->TakeDone();
      idle.push_back(std::move(transfer));
      Answer(done, std::move(*refused));
      continue;
    }
    CURL* handle = transfer->handle();
    active.emplace(handle, std::move(transfer));
    if (curl_multi_add_handle(multi.get(), handle) != CURLM_OK) Die("libcurl takes no more requests");
  }
}

std::chrono::milliseconds HttpEngine::State::WaitTime() const {
  TimePoint until = std::chrono::steady_clock::now() + kLongestWait;
  if (timer) until = std::min(until, *timer);
  if (!queue_deadlines.empty()) until = std::min(until, queue_deadlines.begin()->first);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return std::max(wait, std::chrono::milliseconds{0});
}

void HttpEngine::State::WaitAndAct() {
  std::array<epoll_event, 256> events;
  const int count =
      ::epoll_wait(*poll, events.data(), static_cast<int>(events.size()), static_cast<int>(WaitTime().count()));
  if (count < 0 && errno != EINTR) Die("the HTTP engine can't wait");
  int running = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == *wakeup) {
      std::uint64_t times = 0;
      ::eventfd_read(*wakeup, &times);
      continue;
    }
    int what = 0;
    if ((event.events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(multi.get(), event.data.fd, what, &running);
  }
  if (timer && *timer <= std::chrono::steady_clock::now()) {
    timer.reset();
    curl_multi_socket_action(multi.get(), CURL_SOCKET_TIMEOUT, 0, &running);
  }
}

int HttpEngine::State::Watch(curl_socket_t socket, int what, bool watched) {
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(*poll, EPOLL_CTL_DEL, socket, nullptr);
    return 0;
  }
  epoll_event event{};
  event.data.fd = socket;
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  if (!watched) curl_multi_assign(multi.get(), socket, this);
  // The mark may be older than the descriptor: numbers are used again.
  if (watched && ::epoll_ctl(*poll, EPOLL_CTL_MOD, socket, &event) == 0) return 0;
  if (::epoll_ctl(*poll, EPOLL_CTL_ADD, socket, &event) == 0) return 0;
  return ::epoll_ctl(*poll, EPOLL_CTL_MOD, socket, &event);
}

void HttpEngine::State::TakeFinished() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    auto node = active.extract(message->easy_handle);
    curl_multi_remove_handle(multi.get(), node.key());
    Complete(std::move(node.mapped()), code);
  }
}

void HttpEngine::State::Complete(std::unique_ptr<Transfer> transfer, std::optional<CURLcode> code) {
  HttpResult result = transfer->Finish(code);
  const auto done = transfer->TakeDone();
  idle.push_back(std::move(transfer));
  Answer(done, std::move(result));
}

void HttpEngine::State::Answer(const std::function<void(HttpResult)>& done, HttpResult result) {
  outstanding.fetch_sub(1, std::memory_order_relaxed);
  done(std::move(result));
}

void HttpEngine::State::EndEverything() {
  while (!active.empty()) {
    auto node = active.extract(active.begin());
    curl_multi_remove_handle(multi.get(), node.key());
    Complete(std::move(node.mapped()), std::nullopt);
  }
  do {  // callbacks may send once more
    while (!queue.empty()) {
      auto node = queue.extract(queue.begin());
      Answer(node.mapped().done, NotSent("stopped", "the engine stops; nothing was sent", node.mapped().start));
    }
    queue_deadlines.clear();
    TakePosted();
  } while (!queue.empty());
}

HttpEngine::HttpEngine(HttpEngineOptions options) : state_(std::make_unique<State>(std::move(options))) {}

HttpEngine::~HttpEngine() = default;

void HttpEngine::Send(HttpRequest request, std::chrono::milliseconds deadline, std::function<bool()> before_send,
                      std::function<void(HttpResult)> done) {
  const TimePoint now = std::chrono::steady_clock::now();
  state_->Post({std::move(request), std::move(before_send), std::move(done), now, now + deadline});
}

std::size_t HttpEngine::in_flight() const { return state_->outstanding.load(std::memory_order_relaxed); }

}  // namespace outrider::http
