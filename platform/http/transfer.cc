#include "platform/http/transfer.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace outrider::http {
namespace {

// Shorter than servers keep idle connections, so that they seldom hang up just when one is used again.
constexpr std::chrono::seconds kMaxIdle{20};
constexpr std::size_t kMaxHeaderBytes =
    64 * 1024;  // of an answer; libcurl 7.88 alone bounds each line, not their number
constexpr std::size_t kMaxDetail = 200;

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsToken(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
  return !text.empty() && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view TrimBlanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// Headers that say where a request ends or whom it is for: a second one would let data speak for the engine.
bool IsTheEngines(std::string_view lower_name) {
  constexpr std::array<std::string_view, 7> kNames = {
      "accept-encoding", "connection", "content-length", "expect", "host", "te", "transfer-encoding"};
  return std::find(kNames.begin(), kNames.end(), lower_name) != kNames.end();
}

std::string UrlPart(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string value(text);
  curl_free(text);
  return value;
}

bool IsTlsFault(CURLcode code) {
  switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_USE_SSL_FAILED:
      return true;
    default:
      return false;
  }
}

CURL* NewEasy() {
  CURL* easy = curl_easy_init();
  if (easy == nullptr) {
    std::fputs("libcurl gives no handle; without one nothing can be sent\n", stderr);
    std::abort();
  }
  return easy;
}

std::chrono::microseconds Since(TimePoint start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
}

}  // namespace

HttpResult NotSent(std::string reason, std::string detail, TimePoint start) {
  HttpResult result;
  result.kind = HttpResult::Kind::kNotSent;
  result.reason = std::move(reason);
  result.detail = std::move(detail);
  result.duration = Since(start);
  return result;
}

Transfer::Transfer(const HttpEngineOptions& options)
    : options_(options), easy_(NewEasy(), &curl_easy_cleanup), url_(nullptr, &curl_url_cleanup) {}

template <class Option>
void Transfer::Set(CURLoption option, Option value) {
  const CURLcode code = curl_easy_setopt(easy_.get(), option, value);
  if (code != CURLE_OK) {  // an option the safety rests on isn't there, or memory is out
    std::fprintf(stderr, "libcurl refuses option %d: %s\n", static_cast<int>(option), curl_easy_strerror(code));
    std::abort();
  }
}

std::optional<HttpResult> Transfer::Prepare(Call call, TimePoint now) {
  call_ = std::move(call);
  target_.clear();
  encrypted_ = address_refused_ = not_mine_ = allowed_ = second_try_ = headers_ended_ = false;
  response_ = {};
  header_bytes_ = 0;
  error_text_[0] = '\0';
  curl_easy_reset(easy_.get());

  const auto left = std::chrono::ceil<std::chrono::milliseconds>(call_.deadline - now);
  if (left.count() <= 0) return NotSent("timeout", "the deadline passed in the queue", call_.start);
  if (auto refused = ReadUrl()) return refused;
  if (auto refused = SetHeaders()) return refused;
  SetFixedOptions();
  SetMethod();
  Set(CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
  Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(left, options_.connect_timeout).count()));
  return std::nullopt;
}

std::optional<HttpResult> Transfer::ReadUrl() {
  const auto refuse = [this](const char* why) { return NotSent("target_refused", why, call_.start); };
  const std::string& text = call_.request.url.Reveal();
  // A NUL would cut the text for curl's parser.
  if (std::any_of(text.begin(), text.end(), [](char c) { return IsControl(c) || c == ' '; })) {
    return refuse("the URL holds a space or a control character");
  }
  url_.reset(curl_url());
  const CURLUcode code = curl_url_set(url_.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER);
  if (code == CURLUE_USER_NOT_ALLOWED) return refuse("the URL holds a user or a password");
  if (code != CURLUE_OK) return refuse("the URL isn't one");
  const std::string scheme = UrlPart(url_.get(), CURLUPART_SCHEME);
  encrypted_ = scheme == "https";
  if (!encrypted_ && !(scheme == "http" && options_.policy.allow_plain_http)) {
    return refuse(scheme == "http" ? "plain http isn't allowed" : "only https is spoken");
  }
  const std::string host = UrlPart(url_.get(), CURLUPART_HOST);
  if (host.empty()) return refuse("the URL names no host");
  target_ = host + ":" + UrlPart(url_.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  // The very parse that was checked is the one that is used: two parsers may differ about where the host ends.
  Set(CURLOPT_CURLU, url_.get());
  return std::nullopt;
}

std::optional<HttpResult> Transfer::SetHeaders() {
  const auto refuse = [this](std::string why) { return NotSent("request_invalid", std::move(why), call_.start); };
  if (!IsToken(call_.request.method)) return refuse("the method isn't a token");
  headers_.reset();
  bool has_content_type = false;
  const auto append = [this](const std::string& line) {
    curl_slist* list = curl_slist_append(headers_.get(), line.c_str());
    if (list == nullptr) std::abort();  // out of memory
    (void)headers_.release();
    headers_.reset(list);
  };
  for (const auto& [name, value] : call_.request.headers) {
    if (!IsToken(name)) return refuse("the name of a header isn't a token");
    const std::string lower = Lower(name);
    if (IsTheEngines(lower)) return refuse(fmt::format("the header {} is the engine's own", lower));
    if (std::any_of(value.begin(), value.end(), IsControl)) {
      return refuse(fmt::format("the header {} holds a control character", lower));
    }
    has_content_type |= lower == "content-type";
    append(TrimBlanks(value).empty() ? name + ";" : name + ": " + value);  // the semicolon is curl's sign for "empty"
  }
  append("Expect:");  // a 100-continue would wait for an answer, and a 417 would make curl send again
  if (!has_content_type) append("Content-Type:");
  Set(CURLOPT_HTTPHEADER, headers_.get());
  return std::nullopt;
}

void Transfer::SetMethod() {
  const HttpRequest& request = call_.request;
  if (request.method == "HEAD") {
    Set(CURLOPT_NOBODY, 1L);
    return;
  }
  const bool carries_body =
      !request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (carries_body) {
    Set(CURLOPT_POST, 1L);
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    Set(CURLOPT_POSTFIELDS, request.body.c_str());
  } else {
    Set(CURLOPT_HTTPGET, 1L);
  }
  Set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void Transfer::SetFixedOptions() {
  Set(CURLOPT_PRIVATE, this);
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_ERRORBUFFER, error_text_);
  Set(CURLOPT_USERAGENT, "outrider");

  Set(CURLOPT_PROTOCOLS_STR, options_.policy.allow_plain_http ? "http,https" : "https");
  Set(CURLOPT_FOLLOWLOCATION, 0L);
  Set(CURLOPT_PROXY, "");  // not the environment's either
  Set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));  // no GOAWAY, no refused streams to repeat
  Set(CURLOPT_HTTP09_ALLOWED, 0L);
  Set(CURLOPT_MAXAGE_CONN, static_cast<long>(kMaxIdle.count()));
  Set(CURLOPT_QUICK_EXIT, 1L);  // else a request that times out while its name is resolved holds everybody up

  Set(CURLOPT_SSL_VERIFYPEER, 1L);
  Set(CURLOPT_SSL_VERIFYHOST, 2L);
  Set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options_.ca_file.empty()) Set(CURLOPT_CAINFO, options_.ca_file.c_str());

  Set(CURLOPT_PREREQDATA, this);
  Set(CURLOPT_PREREQFUNCTION, static_cast<curl_prereq_callback>([](void* self, char*, char*, int, int) {
        return static_cast<Transfer*>(self)->Allowed();
      }));
  Set(CURLOPT_OPENSOCKETDATA, this);
  Set(CURLOPT_OPENSOCKETFUNCTION,
      static_cast<curl_opensocket_callback>([](void* self, curlsocktype, curl_sockaddr* address) {
        return static_cast<Transfer*>(self)->OpenSocket(*address);
      }));
  Set(CURLOPT_HEADERDATA, this);
  Set(CURLOPT_HEADERFUNCTION,
      static_cast<curl_write_callback>([](char* data, std::size_t size, std::size_t count, void* self) {
        auto& transfer = *static_cast<Transfer*>(self);
        transfer.header_bytes_ += size * count;
        if (transfer.header_bytes_ > kMaxHeaderBytes) return std::size_t{0};
        transfer.TakeHeader({data, size * count});
        return size * count;
      }));
  Set(CURLOPT_WRITEDATA, this);
  Set(CURLOPT_WRITEFUNCTION,
      static_cast<curl_write_callback>([](char* data, std::size_t size, std::size_t count, void* self) {
        auto& transfer = *static_cast<Transfer*>(self);
        std::string& body = transfer.response_.body;
        const std::size_t room = transfer.options_.max_response_body - body.size();
        body.append(data, std::min(room, size * count));
        if (size * count <= room) return size * count;
        transfer.response_.body_cut = true;
        return std::size_t{0};
      }));
}

// curl asks right before each try. A second one follows when a reused connection died without an answer; the first may
// have been read by the server, so it is the last.
int Transfer::Allowed() noexcept {
  if (allowed_) {
    second_try_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  if (call_.before_send && !call_.before_send()) {
    not_mine_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  allowed_ = true;
  return CURL_PREREQFUNC_OK;
}

curl_socket_t Transfer::OpenSocket(const curl_sockaddr& address) noexcept {
  if (allowed_) {  // as above, before the connection is made
    second_try_ = true;
    return CURL_SOCKET_BAD;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.addr, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else if (address.family == AF_INET6) {
    // curl's struct ends in a sockaddr that is too short for IPv6; it allocates what the address needs.
    sockaddr_in6 v6{};
    std::memcpy(static_cast<void*>(&v6), static_cast<const void*>(&address.addr), sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  if (!options_.policy.allow_private_addresses && !IsPublicAddress(text.data())) {
    address_refused_ = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
}

void Transfer::TakeHeader(std::string_view line) {
  if (line.starts_with("HTTP/")) {  // also after an interim answer, whose headers are not the answer's
    response_.headers.clear();
    headers_ended_ = false;
    return;
  }
  if (headers_ended_) return;  // trailers
  if (TrimBlanks(line).empty()) {
    headers_ended_ = true;
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || line.front() == ' ' || line.front() == '\t') return;
  response_.headers.emplace_back(Lower(TrimBlanks(line.substr(0, colon))), TrimBlanks(line.substr(colon + 1)));
}

// An encrypted request may have left in part though curl counts nothing: OpenSSL keeps that to itself.
bool Transfer::MayHaveLeft() const {
  if (!allowed_) return false;
  if (encrypted_) return true;
  long written = 0;
  return curl_easy_getinfo(easy_.get(), CURLINFO_REQUEST_SIZE, &written) != CURLE_OK || written > 0;
}

HttpResult Transfer::Finish(std::optional<CURLcode> code) {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  const bool complete = code == CURLE_OK || (code == CURLE_WRITE_ERROR && response_.body_cut);
  HttpResult result;
  if (complete && status >= 200) {
    result.kind = HttpResult::Kind::kAnswered;
    result.response = std::move(response_);
    result.response.status = static_cast<int>(status);
  } else if (!MayHaveLeft()) {
    result = code ? NotSentBecause(*code)
                  : NotSent("stopped", target_ + ": the engine stops; nothing was sent", call_.start);
  } else {
    result.kind = HttpResult::Kind::kNoAnswer;
    if (!code) {
      result.reason = "stopped";
      result.detail = target_ + ": the engine stops, and no answer had come";
    } else if (header_bytes_ > kMaxHeaderBytes) {
      result.reason = "answer_unreadable";
      result.detail = target_ + ": the answer's headers don't end";
    } else {
      result.reason = *code == CURLE_OPERATION_TIMEDOUT ? "timeout"
                      : *code == CURLE_OK || *code == CURLE_WEIRD_SERVER_REPLY || *code == CURLE_UNSUPPORTED_PROTOCOL ||
                              *code == CURLE_BAD_CONTENT_ENCODING
                          ? "answer_unreadable"
                          : "reset";
      result.detail = Describe(*code);
    }
  }
  result.duration = Since(call_.start);
  return result;
}

HttpResult Transfer::NotSentBecause(CURLcode code) const {
  const auto reason = [this, code]() -> std::string {
    if (not_mine_) return "not_mine";
    if (allowed_) return "reset";
    if (code == CURLE_COULDNT_RESOLVE_HOST) return "dns_failed";
    if (code == CURLE_COULDNT_CONNECT) return address_refused_ ? "target_refused" : "connect_failed";
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) return "target_refused";
    if (IsTlsFault(code)) return "tls_failed";
    if (code != CURLE_OPERATION_TIMEDOUT) return "reset";
    curl_off_t resolved = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_NAMELOOKUP_TIME_T, &resolved);
    return resolved == 0 ? "dns_failed" : "connect_failed";  // curl doesn't tell a stalled handshake apart
  };
  std::string detail = not_mine_          ? target_ + ": not sent, somebody else may do it now"
                       : address_refused_ ? target_ + ": the name stands for an address that isn't public"
                                          : Describe(code);
  return NotSent(reason(), std::move(detail), call_.start);
}

// Of curl's longer texts only those about reaching the server are taken: they hold host and port, nothing of the path.
std::string Transfer::Describe(CURLcode code) const {
  if (second_try_) return target_ + ": the connection ended without an answer; the request isn't repeated";
  std::string text = curl_easy_strerror(code);
  if (!allowed_ && error_text_[0] != '\0') text = error_text_;
  if (code == CURLE_COULDNT_CONNECT) {
    long number = 0;
    if (curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &number) == CURLE_OK && number != 0) {
      text = std::strerror(static_cast<int>(number));
    }
  }
  std::replace_if(text.begin(), text.end(), IsControl, '?');
  return target_ + ": " + text.substr(0, kMaxDetail);
}

std::function<void(HttpResult)> Transfer::TakeDone() {
  std::function<void(HttpResult)> done = std::move(call_.done);
  call_ = {};  // a body and a URL aren't kept longer than their request
  return done;
}

}  // namespace outrider::http
