#include "tests/unit/model/request_generator.h"

#include <nlohmann/json.hpp>

#include "model/text.h"
#include "tests/unit/model/property.h"

namespace outrider {
namespace {

using Json = nlohmann::json;

Json Value(int depth) {
  switch (*rc::gen::inRange(0, depth > 1 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return *rc::gen::arbitrary<std::int64_t>();
    case 3:
      return *rc::gen::arbitrary<std::uint64_t>();
    case 4:
      return *rc::gen::element(0.0, -0.0, 1.0, 0.1, -2.5e-10, 1e100, 5e-324, 1.7976931348623157e308,
                               123456789012345680.0);
    case 5:
      return *GenText();
    case 6: {
      Json array = Json::array();
      for (int left = *rc::gen::inRange(0, 4); left > 0; --left) array.push_back(Value(depth - 1));
      return array;
    }
    default: {
      Json object = Json::object();
      for (int left = *rc::gen::inRange(0, 4); left > 0; --left) object[*GenText(0, 3)] = Value(depth - 1);
      return object;
    }
  }
}

Json Object(int depth, int least) {
  Json object = Json::object();
  const auto size = static_cast<std::size_t>(*rc::gen::inRange(least, 4));
  while (object.size() < size) object[*GenText(0, 4)] = Value(depth - 1);
  return object;
}

// Neither blank nor longer than `limit`, without white space around it.
std::string Filled(std::size_t limit) {
  const std::string text = "k" + *GenText(0, 20) + "x";
  return std::string(TrimSpace(CutCodePoints(text, limit)));
}

Timestamp Time(std::int64_t from, std::int64_t to) {
  return Timestamp{std::chrono::microseconds{*rc::gen::inRange<std::int64_t>(from, to)}};
}

Message AnyMessage() {
  Message message;
  message.kind = *rc::gen::element(Message::Kind::kText, Message::Kind::kTitledText, Message::Kind::kMarkdown,
                                   Message::Kind::kCard, Message::Kind::kHtml);
  if (message.kind == Message::Kind::kCard) {
    message.card = Object(5, 1).dump();
  } else {
    message.text = Filled(1000);
    if (message.kind != Message::Kind::kText) message.title = *GenText();
  }
  return message;
}

bool Chance() { return *rc::gen::arbitrary<bool>(); }

}  // namespace

rc::Gen<std::string> GenJsonObject(int depth) {
  return rc::gen::exec([depth] { return Object(depth, 0).dump(); });
}

rc::Gen<NotificationRequest> GenRequest() {
  return rc::gen::exec([] {
    NotificationRequest request;
    if (Chance()) request.tenant = Filled(kMaxTenant);
    request.channel = Filled(kMaxChannel);
    request.dedupe_key = Filled(kMaxDedupeKey);
    if (Chance()) request.recipient = *GenText();
    if (Chance()) {
      request.message = AnyMessage();
    } else {
      request.template_code = Filled(100);
    }
    if (Chance()) request.variables = Object(4, 0).dump();
    if (Chance()) request.locale = *GenText();
    if (Chance()) request.fallback_text = *GenText();
    request.priority = *rc::gen::element(Priority::kHigh, Priority::kNormal, Priority::kLow);
    constexpr std::int64_t kMiddle = 4'000'000'000'000'000;
    if (Chance()) request.scheduled_at = Time(0, kMiddle);
    if (Chance()) request.expires_at = Time(kMiddle, 253'402'300'800'000'000);
    if (Chance()) request.ordering_key = *GenText();
    if (Chance()) request.max_attempts = *rc::gen::inRange(1, kMaxMaxAttempts + 1);
    request.is_private = Chance();
    for (int left = *rc::gen::inRange(0, 3); left > 0; --left) {
      Attachment attachment{.name = Filled(100), .url = "", .file_key = ""};
      (Chance() ? attachment.url : attachment.file_key) = Filled(300);
      request.attachments.push_back(attachment);
    }
    for (int left = *rc::gen::inRange(0, 4); left > 0; --left) request.metadata[*GenText(0, 3)] = *GenText();
    return request;
  });
}

}  // namespace outrider
