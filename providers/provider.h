// Provider: one vendor's wire format. Two pure functions and no I/O.
//
// A Provider turns a notification into a request, and a response into an outcome. It opens no socket, reads no clock
// and keeps no state, so a vendor is tested with bytes in and bytes out. What a request needs and only another request
// brings (an access token, the id behind a phone number) it asks for as a Need. Sockets, limits, channels and what was
// brought belong to Sender (providers/sender.h). Thread-safe: holds only its settings. (The mock is the exception: it
// keeps its calls.)
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/outcome.h"
#include "model/request.h"
#include "model/secret.h"
#include "model/time.h"
#include "platform/http/message.h"

namespace outrider::providers {

// What a provider is told of a record.
struct Notification {
  std::int64_t record_id = 0;
  std::string tenant;
  std::string channel;
  std::string dedupe_key;
  std::string recipient;
  Message message;
  std::string fallback_text;
  std::vector<Attachment> attachments;
  std::map<std::string, std::string> metadata;
  int attempt = 1;
  bool is_private = false;
  bool ask_only = false;  // nothing is sent: the vendor is asked whether it took what was sent under the send key
};

struct SendContext {
  Timestamp now{};       // for signatures
  std::string send_key;  // stable over retries of the same content; empty where the vendor has no such key
  std::map<std::string, Secret> supplies;  // by Need::key: what is known of what was asked for
};

// What a Need's answer brought.
struct Supply {
  Secret value;
  std::chrono::seconds life{0};   // how long it may be used
  std::chrono::seconds fresh{0};  // after so long a new one is asked for, beside those that still use it
};
// Or why it brought nothing, which is then the outcome of all that need it: kUnreachable when the vendor says so of the
// recipient, else kChannelDown or kNotNow; the message itself never left.
using SupplyReading = std::variant<Supply, SendOutcome>;

// One request for all that need its answer at the same time; the answer is kept for as long as it may be used.
struct Need {
  std::string key;  // what is asked for, of whom and with which credentials; never shown
  http::HttpRequest request;
  std::function<SupplyReading(const http::HttpResponse&)> read;  // pure and total
  bool is_token = false;  // dropped when the vendor doesn't take it any more (SendOutcome::stale_token)
  bool counts = true;     // takes a place in the channel's limits
};

// A request to make, an outcome that is known without asking the vendor (it could never carry this), or what has to be
// known first.
using SendPlan = std::variant<http::HttpRequest, SendOutcome, Need>;

// A reason with this ending says that no table has the vendor's code: it is counted, so that the table can grow.
inline constexpr std::string_view kUnknownCodeSuffix = "_unknown_code";

// The HTTP engine's words for requests of which no byte left because of ourselves: nobody's failure.
inline constexpr std::array<std::string_view, 3> kOwnReasons = {"not_mine", "queue_full", "stopped"};

class Provider {
 public:
  virtual ~Provider() = default;
  virtual std::string_view name() const = 0;  // label-safe: "feishu_bot"
  virtual SendPlan BuildRequest(const Notification& notification, const SendContext& context) const = 0;
  // Total: any status and any bytes yield an outcome. A 2xx that can't be read is kNoAnswer, never kAccepted.
  virtual SendOutcome ReadResponse(const http::HttpResponse& response) const = 0;

  // The vendor's own name for a request that brought no answer; `reason` is the HTTP engine's ("timeout").
  virtual std::string_view NameFailure(std::string_view reason) const { return reason; }

  // Where ProviderInfo::can_reconcile: the same for the question whether the vendor took what was sent under the
  // context's send key. kAccepted: it did. kNotNow with reason kNotTaken: it never did. Anything else: nobody knows.
  virtual SendPlan BuildQuestion(const Notification&, const SendContext&) const { return SendOutcome{}; }
  virtual SendOutcome ReadAnswer(const http::HttpResponse&) const { return SendOutcome{}; }
};

}  // namespace outrider::providers
