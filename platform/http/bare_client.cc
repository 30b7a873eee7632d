#include "platform/http/bare_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

namespace outrider::http {
namespace {

constexpr int kWaitMs = 1'000;

struct EndEasy {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct EndMulti {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct EndList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t Drop(char*, std::size_t size, std::size_t count, void*) { return size * count; }

}  // namespace

Result<std::chrono::nanoseconds> TimeBareRequests(const std::string& url, const std::string& body, std::size_t requests,
                                                  std::size_t connections) {
  const std::unique_ptr<CURLM, EndMulti> multi(curl_multi_init());
  const std::unique_ptr<curl_slist, EndList> headers(curl_slist_append(nullptr, "Content-Type: application/json"));
  curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
  std::vector<std::unique_ptr<CURL, EndEasy>> handles;
  for (std::size_t i = 0; i < connections; ++i) {
    CURL* const handle = handles.emplace_back(curl_easy_init()).get();
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Drop);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
  }
  const auto send = [&](std::size_t count) -> Result<void> {
    std::size_t started = 0;
    std::size_t answered = 0;
    for (; started < std::min(count, handles.size()); ++started) {
      curl_multi_add_handle(multi.get(), handles[started].get());
    }
    while (answered < count) {
      int running = 0;
      curl_multi_perform(multi.get(), &running);
      int left = 0;
      while (const CURLMsg* const message = curl_multi_info_read(multi.get(), &left)) {
        CURL* const handle = message->easy_handle;
        const CURLcode code = message->data.result;
        long status = 0;
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(multi.get(), handle);
        if (code != CURLE_OK || status != 200) {
          return Fail(ErrorCode::kUnavailable, fmt::format("{}, HTTP {}", curl_easy_strerror(code), status));
        }
        ++answered;
        if (started < count) {
          ++started;
          curl_multi_add_handle(multi.get(), handle);
        }
      }
      if (answered < count) curl_multi_poll(multi.get(), nullptr, 0, kWaitMs, nullptr);
    }
    return {};
  };
  if (auto warm = send(connections); !warm) return std::unexpected(warm.error());
  const auto start = std::chrono::steady_clock::now();
  auto done = send(requests);
  const auto time = std::chrono::steady_clock::now() - start;
  for (const auto& handle : handles) curl_multi_remove_handle(multi.get(), handle.get());
  if (!done) return std::unexpected(done.error());
  return time;
}

}  // namespace outrider::http
