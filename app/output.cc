#include "app/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/text.h"
#include "model/time.h"

namespace outrider::app {
namespace {

using consumer::AttemptView;
using consumer::RecordView;

char32_t Decode(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0);
  if (character.size() == 2) return ((byte(0) & 0x1FU) << 6U) | (byte(1) & 0x3FU);
  if (character.size() == 3) return ((byte(0) & 0x0FU) << 12U) | ((byte(1) & 0x3FU) << 6U) | (byte(2) & 0x3FU);
  return ((byte(0) & 0x07U) << 18U) | ((byte(1) & 0x3FU) << 12U) | ((byte(2) & 0x3FU) << 6U) | (byte(3) & 0x3FU);
}

// Terminal columns: the wide blocks of Unicode's East Asian Width count two. Near enough for padding.
std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const std::string_view character = CutCodePoints(text, 1);
    const char32_t c = Decode(character);
    const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                      (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                      (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
    width += wide ? 2 : 1;
    text.remove_prefix(character.size());
  }
  return width;
}

std::string_view ColourOf(std::string_view status) {
  if (status == "sent") return "\033[32m";
  if (status == "dead") return "\033[31m";
  if (status == "failed" || status == "skipped") return "\033[33m";
  return "\033[36m";
}

std::string Line(Timestamp at, std::string_view what, std::string_view details) {
  return fmt::format("  {:<27}  {:<10} {}\n", FormatRfc3339(at), what, details);
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

std::string Waiting(const RecordView& record) {
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
  return json;
}

}  // namespace

std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : header) widths.push_back(DisplayWidth(cell));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - DisplayWidth(row[i]) + 2, ' ');
    }
    text += '\n';
  };
  add(header);
  for (const auto& row : rows) add(row);
  return text;
}

std::string Story(const RecordView& record, bool colour) {
  const std::string_view status = ToString(record.status);
  std::string text = fmt::format("{}  channel {}, tenant {}, record {}\n", record.dedupe_key, record.channel,
                                 record.tenant, record.id);
  if (record.is_private) text += "  private: recipient and text are not shown\n";
  if (record.committed_at) text += Line(*record.committed_at, "inserted", fmt::format("event {}", record.event_id));
  text +=
      Line(record.created_at, "recorded", fmt::format("{} [{}] @ {}", record.topic, record.partition, record.offset));
  for (const AttemptView& attempt : record.attempts) {
    text += Line(attempt.started_at, fmt::format("attempt {}", attempt.attempt_no), AttemptDetails(attempt));
  }
  std::string ending = colour ? fmt::format("{}{}\033[0m", ColourOf(status), status) : std::string(status);
  ending.append(status.size() < 10 ? 10 - status.size() : 0, ' ');
  std::string details = record.reason;
  if (!record.provider_message_id.empty())
    details += (details.empty() ? "" : " ") + ("message id " + record.provider_message_id);
  if (record.uncertain)
    details += fmt::format("{}uncertain: an attempt's answer was lost, so it may have arrived more than once",
                           details.empty() ? "" : "; ");
  if (!IsTerminal(record.status)) details += (details.empty() ? "" : "; ") + Waiting(record);
  text += fmt::format("  {:<27}  {} {}\n", FormatRfc3339(record.sent_at.value_or(record.updated_at)), ending, details);
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
