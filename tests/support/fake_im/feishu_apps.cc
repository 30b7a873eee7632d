#include "tests/support/fake_im/feishu_apps.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

namespace outrider::fake_im {
namespace {

using Json = nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kToken = "/open-apis/auth/v3/tenant_access_token/internal";
constexpr std::string_view kMessages = "/open-apis/im/v1/messages";
constexpr std::string_view kBatch = "/open-apis/message/v4/batch_send/";
constexpr std::string_view kIds = "/open-apis/contact/v3/users/batch_get_id";
constexpr std::string_view kImages = "/open-apis/im/v1/images";
constexpr std::string_view kFiles = "/open-apis/im/v1/files";
constexpr std::size_t kLongestUuid = 50;
constexpr std::size_t kMostBatched = 200;

Answer Page404() {
  Answer answer;
  answer.status = 404;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = "404 page not found";
  return answer;
}

Answer Said(const Json& json) {
  Answer answer;
  answer.body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return answer;
}

Answer Success(Json data) { return Said({{"code", 0}, {"msg", "success"}, {"data", std::move(data)}}); }

// Business failures come with HTTP 400.
Answer Refused(int code, const std::string& words) {
  Answer answer = Said({{"code", code}, {"msg", words}, {"error", {{"log_id", "fakelog-in-body"}}}});
  answer.status = 400;
  return answer;
}

std::string Text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool IsOver(std::deque<Timestamp>& calls, int limit, Timestamp now) {
  while (!calls.empty() && now - calls.front() >= seconds{1}) calls.pop_front();
  if (limit > 0 && calls.size() >= static_cast<std::size_t>(limit)) return true;
  calls.push_back(now);
  return false;
}

std::optional<std::string> ContentFault(const std::string& type, const Json& content) {
  if (!content.is_object()) return "content is not a string in json format";
  if (type == "text" && Text(content, "text").empty()) return "invalid message content";
  if (type == "post" && (content.contains("post") || content.empty())) return "invalid message content";
  if (type == "image" && Text(content, "image_key").empty()) return "invalid message content";
  if (type == "file" && Text(content, "file_key").empty()) return "invalid message content";
  constexpr std::array<std::string_view, 5> kTypes = {"text", "post", "image", "file", "interactive"};
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) return "invalid msg_type";
  return std::nullopt;
}

}  // namespace

bool FeishuApps::IsMine(std::string_view path) {
  return path == kToken || path.starts_with(kMessages) || path == kBatch || path == kIds || path == kImages ||
         path == kFiles;
}

void FeishuApps::Set(AppSettings settings) {
  std::string id = settings.app_id;
  apps_[std::move(id)].settings = std::move(settings);
}

void FeishuApps::Forget() {
  apps_.clear();
  deliveries_.clear();
  tokens_asked_ = 0;
}

void FeishuApps::RevokeTokens() {
  for (auto& [id, app] : apps_) app.tokens.clear();
}

std::string FeishuApps::NextId(const std::string& head) { return fmt::format("{}_{:024x}", head, ++ids_); }

Answer FeishuApps::GiveToken(const Call& call) {
  ++tokens_asked_;
  const Json json = Json::parse(call.body, nullptr, false);
  if (!json.is_object()) return CodeAnswer(200, 10003, "invalid param");
  const auto found = apps_.find(Text(json, "app_id"));
  if (found == apps_.end()) return CodeAnswer(200, 10014, "app is not exist");
  App& app = found->second;
  if (Text(json, "app_secret") != app.settings.app_secret) return CodeAnswer(200, 10015, "app secret invalid");
  const bool renews = app.tokens.empty() || app.tokens.back().ends - call.now < minutes{30};
  if (renews) {
    std::string text = fmt::format("{}{:08x}", app.settings.token_head, ++ids_);
    text.resize(std::max(text.size(), app.settings.token_size), 'x');
    app.tokens.push_back({std::move(text), call.now + seconds{app.settings.token_life}});
  }
  const Token& token = app.tokens.back();
  const auto left = std::chrono::floor<seconds>(token.ends - call.now).count();
  return Said({{"code", 0}, {"msg", "ok"}, {"tenant_access_token", token.text}, {"expire", left}});
}

Answer FeishuApps::Post(const Call& call) {
  if (call.path == kToken) return GiveToken(call);
  constexpr std::string_view kBearer = "Bearer ";
  const auto authorization = call.headers.find("authorization");
  if (authorization == call.headers.end() || !authorization->second.starts_with(kBearer))
    return Refused(99991661, "Missing access token for authorization");
  const std::string shown = authorization->second.substr(kBearer.size());
  for (auto& [id, app] : apps_) {
    const bool known = std::any_of(app.tokens.begin(), app.tokens.end(),
                                   [&](const Token& token) { return token.text == shown && token.ends > call.now; });
    if (!known) continue;
    if (call.path == kIds) return FindIds(app, call);
    if (call.path == kImages || call.path == kFiles) return Upload(call);
    if (call.path == kBatch) return SendBatch(app, call);
    return Send(app, call);
  }
  const bool is_jwt = shown.starts_with("eyJ");
  return Refused(is_jwt ? 99991668 : 99991663, fmt::format("Invalid access token for authorization: {}", shown));
}

Answer FeishuApps::Send(App& app, const Call& call) {
  if (IsOver(app.calls, app.settings.per_second, call.now)) {
    Answer refused = Refused(99991400, "request trigger frequency limit");
    refused.status = 429;
    refused.headers = {{"x-ogw-ratelimit-limit", std::to_string(app.settings.per_second)},
                       {"x-ogw-ratelimit-reset", "1"}};
    return refused;
  }
  AppDelivery delivery;
  const Json json = Json::parse(call.body, nullptr, false);
  if (!json.is_object()) return Refused(9499, "Bad Request");
  if (call.path == kMessages) {
    constexpr std::array<std::string_view, 5> kTypes = {"open_id", "union_id", "user_id", "email", "chat_id"};
    delivery.receive_id_type = Parameter(call.query, "receive_id_type");
    if (std::find(kTypes.begin(), kTypes.end(), delivery.receive_id_type) == kTypes.end()) {
      return Refused(99992402, "field validation failed");
    }
    delivery.receive_id = Text(json, "receive_id");
  } else {
    const std::string rest = call.path.substr(kMessages.size());
    constexpr std::string_view kReply = "/reply";
    if (!rest.starts_with('/') || !rest.ends_with(kReply) || rest.size() <= kReply.size() + 1) return Page404();
    delivery.receive_id_type = "message_id";
    delivery.receive_id = rest.substr(1, rest.size() - kReply.size() - 1);
  }
  delivery.msg_type = Text(json, "msg_type");
  delivery.content = Text(json, "content");
  delivery.uuid = Text(json, "uuid");
  if (delivery.receive_id.empty() || delivery.msg_type.empty()) return Refused(99992402, "field validation failed");
  if (delivery.uuid.size() > kLongestUuid) return Refused(99992402, "field validation failed");
  if (!delivery.uuid.empty()) {
    const auto seen = app.uuids.find(delivery.uuid);
    if (seen != app.uuids.end() && call.now - seen->second.time < std::chrono::hours{1}) {
      return Success({{"message_id", seen->second.message_id}});
    }
  }
  if (const auto refused = app.settings.refused.find(delivery.receive_id); refused != app.settings.refused.end()) {
    return Refused(refused->second, "Your request contains a receiver that can't receive");
  }
  if (IsOver(app.chats[delivery.receive_id], app.settings.chat_per_second, call.now)) {
    return Refused(230020, "This operation triggers the frequency limit, ext=chat rate limit");
  }
  if (delivery.msg_type != "text" && call.body.size() > app.settings.max_card) {
    return Refused(230025, "The length of the message content reaches its limit.");
  }
  const Json content = Json::parse(delivery.content, nullptr, false);
  if (const auto fault = ContentFault(delivery.msg_type, content)) {
    return Refused(230001, fmt::format("Your request contains an invalid request parameter, ext={}.", *fault));
  }
  if (delivery.msg_type == "interactive" && app.settings.card_code != 0) {
    return Refused(app.settings.card_code, "Failed to create card content, ext=" + app.settings.card_words);
  }
  delivery.time = call.now;
  delivery.app_id = app.settings.app_id;
  delivery.message_id = NextId("om");
  if (!delivery.uuid.empty()) app.uuids[delivery.uuid] = {call.now, delivery.message_id};
  deliveries_.push_back(delivery);
  return Success({{"message_id", delivery.message_id}, {"chat_id", "oc_fake"}, {"msg_type", delivery.msg_type}});
}

Answer FeishuApps::SendBatch(App& app, const Call& call) {
  const Json json = Json::parse(call.body, nullptr, false);
  if (!json.is_object()) return CodeAnswer(200, 10003, "invalid param");
  const std::string type = Text(json, "msg_type");
  const char* const where = type == "interactive" ? "card" : "content";
  if (!json.contains(where) || !json[where].is_object()) return CodeAnswer(200, 10003, "invalid param");
  const std::string id = NextId("bm");
  Json data = {{"message_id", id.substr(0, 2) + "-" + id.substr(3)}};
  std::size_t targets = 0;
  for (const char* const list : {"department_ids", "open_ids", "user_ids", "union_ids"}) {
    if (!json.contains(list)) continue;
    const Json& ids = json[list];
    if (!ids.is_array() || ids.size() > kMostBatched) return CodeAnswer(200, 10003, "invalid param");
    Json invalid = Json::array();
    for (const Json& target : ids) {
      ++targets;
      if (!target.is_string() || app.settings.refused.contains(target.get<std::string>())) {
        invalid.push_back(target);
        continue;
      }
      AppDelivery delivery;
      delivery.time = call.now;
      delivery.app_id = app.settings.app_id;
      delivery.message_id = Text(data, "message_id");
      delivery.receive_id_type = "batch";
      delivery.receive_id = target.get<std::string>();
      delivery.msg_type = type;
      delivery.content = json[where].dump();
      deliveries_.push_back(std::move(delivery));
    }
    data[fmt::format("invalid_{}", list)] = std::move(invalid);
  }
  if (targets == 0) return CodeAnswer(200, 10003, "invalid param");
  return Success(std::move(data));
}

Answer FeishuApps::FindIds(const App& app, const Call& call) const {
  const Json json = Json::parse(call.body, nullptr, false);
  if (!json.is_object()) return Refused(99992402, "field validation failed");
  Json users = Json::array();
  for (const auto& [list, name] : {std::pair{"emails", "email"}, std::pair{"mobiles", "mobile"}}) {
    if (!json.contains(list)) continue;
    if (!json[list].is_array()) return Refused(99992402, "field validation failed");
    for (const Json& address : json[list]) {
      Json user = {{name, address}};
      const auto known =
          address.is_string() ? app.settings.people.find(address.get<std::string>()) : app.settings.people.end();
      if (known != app.settings.people.end()) user["user_id"] = known->second;
      users.push_back(std::move(user));
    }
  }
  return Success({{"user_list", std::move(users)}});
}

Answer FeishuApps::Upload(const Call& call) {
  const bool is_image = call.path == kImages;
  const auto form = call.headers.find("content-type");
  const bool is_form = form != call.headers.end() && form->second.starts_with("multipart/form-data; boundary=");
  const std::string_view part = is_image ? "name=\"image\"" : "name=\"file\"";
  if (!is_form || call.body.find(part) == std::string::npos) return Refused(234001, "Invalid request param.");
  if (is_image) return Success({{"image_key", NextId("img")}});
  return Success({{"file_key", NextId("file")}});
}

}  // namespace outrider::fake_im
