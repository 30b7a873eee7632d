// Fault: how the fake IM server misbehaves, for which requests, and how often it has.
//
// A fault is matched by the beginning of the request's path (none: every path but the control API's) and optionally by
// the how-manieth matching request since the fault was set. The first fault that fits is used. A run whose planned
// fault never fired proves nothing, so `fired` is told. Values; FaultList is not thread-safe (the server guards it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "model/time.h"

namespace outrider::fake_im {

enum class FaultKind {
  kRefuse,             // the connection is reset before the body is read
  kResetBeforeAccept,  // the request is read whole, nothing is accepted, the connection is reset
  kAcceptThenReset,    // accepted, then the connection is reset
  kAcceptThenTimeout,  // accepted, and never answered
  kAcceptThen504,      // accepted, and a gateway says 504
  kSlowBody,           // the answer comes byte by byte, `ms` apart
  kTruncatedJson,      // a whole HTTP answer whose JSON stops in the middle
  kTruncatedBody,      // the connection ends before the answer's Content-Length
  kHtmlBody,           // 200 and a page, as from a proxy
  kHugeBody,           // 200 and a JSON document of `bytes` bytes
  kRedirect302,        // to `location`
  kStatusOnly,         // HTTP status `n`, no body
  kCode,               // body code `n` and `text`, with HTTP status `status`
  kRate,               // `limit` requests in `reset` seconds, then 429 with x-ogw-ratelimit-* headers
  kClockSkew,          // the server's clock is `s` seconds ahead for this request
};
std::string_view ToString(FaultKind kind);
std::optional<FaultKind> ParseFaultKind(std::string_view text);
// What a kind does where `accept` isn't set: is the message accepted nevertheless?
bool AcceptsByDefault(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::kRefuse;
  std::string path;       // of the request, its beginning
  std::size_t nth = 0;    // only that matching request; 0: any
  std::size_t times = 1;  // how often it fires; 0: until it is cleared
  std::optional<bool> accept;
  int n = 0;
  std::string text;
  int status = 200;
  int limit = 0;
  int reset = 1;  // seconds
  std::int64_t s = 0;
  int ms = 100;
  std::size_t bytes = 10'000'000;
  std::string location = "/elsewhere";

  int id = 0;            // given by FaultList
  std::size_t seen = 0;  // matching requests
  std::size_t fired = 0;
};

// kInvalid: what is wrong with the control API's JSON object, unknown keys included.
Result<Fault> ParseFault(std::string_view json);

class FaultList final {
 public:
  int Add(Fault fault);
  // The fault for this request, counted; kRate only once its limit is used up (`reset` then holds the seconds that are
  // left).
  std::optional<Fault> Take(std::string_view path, Timestamp now);
  void Clear() { faults_.clear(); }
  std::vector<Fault> All() const;

 private:
  struct Entry {
    Fault fault;
    Timestamp window_start{};
    int passed = 0;
  };
  std::vector<Entry> faults_;
  int next_id_ = 1;
};

}  // namespace outrider::fake_im
