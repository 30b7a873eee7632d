#include "app/output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "consumer/settlement.h"

#include "model/text.h"
#include "model/time.h"

namespace outrider::app {
namespace {

using consumer::ActionView;
using consumer::AttemptView;
using consumer::RecordView;

struct Range {
  char32_t first;
  char32_t last;
};

// Unicode's East Asian Width W and F, as blocks; and what is drawn over the character before it. Near enough for
// padding.
constexpr Range kWide[] = {{0x1100, 0x115F}, {0x2E80, 0xA4CF}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},  {0xFE30, 0xFE6F},
                           {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF}, {0x20000, 0x3FFFD}};
constexpr Range kOverlaid[] = {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};

template <std::size_t size>
bool IsIn(const Range (&ranges)[size], char32_t code_point) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](Range range) { return code_point >= range.first && code_point <= range.last; });
}

// Terminal columns.
std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const char32_t code_point = TakeCodePoint(text);
    if (!IsIn(kOverlaid, code_point)) width += IsIn(kWide, code_point) ? 2 : 1;
  }
  return width;
}

std::string Padded(std::string text, std::size_t width) {
  const std::size_t taken = DisplayWidth(text);
  text.append(width > taken ? width - taken : 0, ' ');
  return text;
}

constexpr std::size_t kVerbWidth = 10;  // "attempt 10"

std::string_view ColourOf(std::string_view status) {
  if (status == "sent") return "\033[32m";
  if (status == "dead") return "\033[31m";
  if (status == "failed" || status == "skipped") return "\033[33m";
  return "\033[36m";
}

// A line of a story. What came from elsewhere is made printable here; `what` may hold colours.
std::string Line(Timestamp at, std::string_view what, std::string_view details) {
  std::string line = fmt::format("  {:<27}  {}", FormatRfc3339(at), what);
  if (!details.empty()) line += " " + EscapeUnprintable(details);
  while (line.back() == ' ') line.pop_back();
  return line + '\n';
}

std::string AttemptDetails(const AttemptView& attempt) {
  std::string details = attempt.verdict;
  if (!attempt.reason.empty()) details += " " + attempt.reason;
  if (attempt.http_status != 0) details += fmt::format(" http={}", attempt.http_status);
  if (!attempt.provider_code.empty()) details += " code=" + attempt.provider_code;
  if (!attempt.provider_log_id.empty()) details += " log_id=" + attempt.provider_log_id;
  if (attempt.duration_us) details += fmt::format(" in {} ms", *attempt.duration_us / 1000);
  if (!attempt.provider.empty()) details += " by " + attempt.provider;
  if (!attempt.detail.empty()) details += ": " + attempt.detail;
  return details;
}

std::string ActionDetails(const ActionView& action) {
  std::string details = fmt::format("by {}: {} (was {}", action.actor, action.reason, action.was_status);
  if (!action.was_reason.empty()) details += " " + action.was_reason;
  return details + (action.was_uncertain ? ", uncertain)" : ")");
}

std::string Waiting(const RecordView& record) {
  for (const consumer::Pause& pause : record.paused) {
    return fmt::format("waits: {} {} is {}", ToString(pause.kind), pause.name, Describe(pause));
  }
  if (record.behind_dead) {
    return fmt::format("waits: blocked by record {} of its ordering key, which is dead: replay or discard it",
                       record.behind);
  }
  if (record.behind != 0) return fmt::format("waits: behind record {} of its ordering key", record.behind);
  if (!record.parked_by.empty()) {
    return fmt::format(
        "waits: parked by {}{}", record.parked_by,
        record.parked_by == "channel_unknown" ? fmt::format("; configure the channel \"{}\"", record.channel) : "");
  }
  if (record.status == DeliveryStatus::kSending) {
    return record.due_at ? fmt::format("on its way; the claim ends at {}", FormatRfc3339(*record.due_at))
                         : "on its way";
  }
  return record.due_at ? fmt::format("waits: due at {}", FormatRfc3339(*record.due_at)) : "waits";
}

std::string Doubt(const RecordView& record) {
  if (IsTerminal(record.status) || !record.send_key_used_at) {
    return "uncertain: an attempt's answer was lost, so it may have arrived more than once";
  }
  return fmt::format(
      "uncertain: an attempt's answer was lost; until {} it is repeated under the same key, of which the provider "
      "takes "
      "one; then the provider is asked, if it can be, or on_uncertain decides",
      FormatRfc3339(*record.send_key_used_at + consumer::kSendKeyWindow));
}

nlohmann::ordered_json ToJson(const RecordView& record) {
  nlohmann::ordered_json json;
  const auto time = [](const std::optional<Timestamp>& at) -> nlohmann::ordered_json {
    return at ? nlohmann::ordered_json(FormatRfc3339(*at)) : nlohmann::ordered_json(nullptr);
  };
  json["id"] = record.id;
  json["tenant"] = record.tenant;
  json["channel"] = record.channel;
  json["dedupe_key"] = record.dedupe_key;
  json["event_id"] = record.event_id;
  json["status"] = ToString(record.status);
  json["reason"] = record.reason;
  json["uncertain"] = record.uncertain;
  json["private"] = record.is_private;
  json["recipient"] = record.recipient;
  json["parked_by"] = record.parked_by;
  json["due_at"] = time(record.due_at);
  json["expires_at"] = time(record.expires_at);
  json["committed_at"] = time(record.committed_at);
  json["created_at"] = FormatRfc3339(record.created_at);
  json["updated_at"] = FormatRfc3339(record.updated_at);
  json["sent_at"] = time(record.sent_at);
  json["topic"] = record.topic;
  json["partition"] = record.partition;
  json["offset"] = record.offset;
  json["aggregate_id"] = record.aggregate_id;
  json["provider"] = record.provider;
  json["provider_message_id"] = record.provider_message_id;
  json["provider_log_id"] = record.provider_log_id;
  json["last_error"] = record.last_error;
  json["attempt_no"] = record.attempt_no;
  json["attempts_spent"] = record.attempts_spent;
  json["send_key_holds_until"] =
      time(record.send_key_used_at ? std::optional(*record.send_key_used_at + consumer::kSendKeyWindow) : std::nullopt);
  json["attempts"] = nlohmann::ordered_json::array();
  for (const AttemptView& attempt : record.attempts) {
    nlohmann::ordered_json row;
    row["attempt_no"] = attempt.attempt_no;
    row["started_at"] = FormatRfc3339(attempt.started_at);
    row["duration_us"] =
        attempt.duration_us ? nlohmann::ordered_json(*attempt.duration_us) : nlohmann::ordered_json(nullptr);
    row["worker"] = attempt.worker;
    row["provider"] = attempt.provider;
    row["verdict"] = attempt.verdict;
    row["reason"] = attempt.reason;
    row["http_status"] = attempt.http_status;
    row["provider_code"] = attempt.provider_code;
    row["provider_log_id"] = attempt.provider_log_id;
    row["detail"] = attempt.detail;
    json["attempts"].push_back(std::move(row));
  }
  const auto id = [](std::int64_t number) {
    return number == 0 ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(number);
  };
  json["behind"] = id(record.behind_dead ? 0 : record.behind);
  json["blocked_by"] = id(record.behind_dead ? record.behind : 0);
  json["paused"] = nlohmann::ordered_json::array();
  for (const consumer::Pause& pause : record.paused) {
    json["paused"].push_back({{"kind", ToString(pause.kind)},
                              {"name", pause.name},
                              {"since", FormatRfc3339(pause.since)},
                              {"actor", pause.actor},
                              {"reason", pause.reason}});
  }
  json["actions"] = nlohmann::ordered_json::array();
  for (const ActionView& action : record.actions) {
    json["actions"].push_back({{"at", FormatRfc3339(action.at)},
                               {"actor", action.actor},
                               {"action", action.action},
                               {"reason", action.reason},
                               {"was_status", action.was_status},
                               {"was_reason", action.was_reason},
                               {"was_uncertain", action.was_uncertain}});
  }
  return json;
}

}  // namespace

void Say(std::string_view text) { fmt::print(stderr, "outrider: {}\n", text); }

std::string Counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> lines = {header};
  for (const std::vector<std::string>& row : rows) {
    std::vector<std::string>& cells = lines.emplace_back();
    for (const std::string& cell : row) cells.push_back(EscapeUnprintable(cell));
  }
  std::vector<std::size_t> widths(header.size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(line[i]));
  }
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (std::size_t i = 0; i < line.size(); ++i) row += Padded(line[i], widths[i]) + "  ";
    while (row.ends_with(' ')) row.pop_back();
    text += row + '\n';
  }
  return text;
}

std::string Story(const RecordView& record, bool colour) {
  const std::string_view status = ToString(record.status);
  std::string text = EscapeUnprintable(fmt::format("{}  channel {}, tenant {}, record {}", record.dedupe_key,
                                                   record.channel, record.tenant, record.id)) +
                     '\n';
  if (record.is_private) text += "  private: recipient and text are not shown\n";
  if (record.committed_at) {
    text += Line(*record.committed_at, Padded("inserted", kVerbWidth), fmt::format("event {}", record.event_id));
  }
  text += Line(record.created_at, Padded("recorded", kVerbWidth),
               fmt::format("{} [{}] @ {}", record.topic, record.partition, record.offset));
  auto action = record.actions.begin();
  const auto tell_actions = [&](Timestamp until) {
    for (; action != record.actions.end() && action->at < until; ++action) {
      text += Line(action->at, Padded(action->action, kVerbWidth), ActionDetails(*action));
    }
  };
  for (const AttemptView& attempt : record.attempts) {
    tell_actions(attempt.started_at);
    text += Line(attempt.started_at, Padded(fmt::format("attempt {}", attempt.attempt_no), kVerbWidth),
                 AttemptDetails(attempt));
  }
  tell_actions(Timestamp::max());
  std::vector<std::string> details;
  if (!record.reason.empty()) details.push_back(record.reason);
  if (!record.provider_message_id.empty()) details.push_back("message id " + record.provider_message_id);
  if (record.uncertain) details.push_back(Doubt(record));
  if (!IsTerminal(record.status)) details.push_back(Waiting(record));
  const std::string ending = Padded(std::string(status), kVerbWidth);
  text += Line(record.sent_at.value_or(record.updated_at),
               colour ? fmt::format("{}{}\033[0m{}", ColourOf(status), status, ending.substr(status.size())) : ending,
               fmt::format("{}", fmt::join(details, "; ")));
  return text;
}

std::string StoryJson(const std::vector<RecordView>& records) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const RecordView& record : records) list.push_back(ToJson(record));
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string RecordTable(const std::vector<RecordView>& records) {
  std::vector<std::vector<std::string>> rows;
  for (const RecordView& record : records) {
    rows.push_back({std::to_string(record.id), std::string(ToString(record.status)), record.channel, record.dedupe_key,
                    std::to_string(record.attempt_no), FormatRfc3339(record.updated_at),
                    record.reason + (record.uncertain ? " (uncertain)" : "") +
                        (record.parked_by.empty() ? "" : "parked by " + record.parked_by)});
  }
  return Table({"ID", "STATUS", "CHANNEL", "DEDUPE KEY", "ATTEMPTS", "UPDATED", "REASON"}, rows);
}

}  // namespace outrider::app
