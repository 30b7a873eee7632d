// Transfer: one request on one curl easy handle, from its options to its result. Reused for one request after another.
//
// Belongs to the engine's thread. Decides what left: only after Allowed() did any byte of the request go to the
// network.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "platform/http/engine.h"

namespace outrider::http {

using TimePoint = std::chrono::steady_clock::time_point;

// What Send() was asked for.
struct Call {
  HttpRequest request;
  std::function<bool()> before_send;
  std::function<void(HttpResult)> done;
  TimePoint start;
  TimePoint deadline;
};

HttpResult NotSent(std::string reason, std::string detail, TimePoint start);

class Transfer final {
 public:
  explicit Transfer(const HttpEngineOptions& options);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Sets the handle up for the call. A result, of kNotSent, means that the call must not start.
  std::optional<HttpResult> Prepare(Call call, TimePoint now);
  CURL* handle() const { return easy_.get(); }
  // What became of it; `code` is curl's word, nothing when the engine stopped it. REQUIRES: off the multi handle.
  HttpResult Finish(std::optional<CURLcode> code);
  // The call's callback, to be called when the transfer is free for the next one.
  std::function<void(HttpResult)> TakeDone();

 private:
  std::optional<HttpResult> ReadUrl();
  std::optional<HttpResult> SetHeaders();
  void SetMethod();
  void SetFixedOptions();
  bool MayHaveLeft() const;
  HttpResult NotSentBecause(CURLcode code) const;
  std::string Describe(CURLcode code) const;

  int Allowed() noexcept;
  curl_socket_t OpenSocket(const curl_sockaddr& address) noexcept;
  void TakeHeader(std::string_view line);
  template <class Option>
  void Set(CURLoption option, Option value);

  const HttpEngineOptions& options_;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_;
  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers_{nullptr, &curl_slist_free_all};
  char error_text_[CURL_ERROR_SIZE] = {};

  Call call_;
  std::string target_;  // host and port, for people
  bool encrypted_ = false;
  bool address_refused_ = false;
  bool not_mine_ = false;
  bool allowed_ = false;     // bytes may leave
  bool second_try_ = false;  // curl wanted to send again, and was stopped
  HttpResponse response_;
  std::size_t header_bytes_ = 0;
  bool headers_ended_ = false;
};

}  // namespace outrider::http
