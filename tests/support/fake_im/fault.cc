#include "tests/support/fake_im/fault.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>

namespace outrider::fake_im {
namespace {

using Json = nlohmann::json;

struct KindRow {
  FaultKind kind;
  std::string_view name;
  bool accepts;
};

constexpr std::array kKinds = {
    KindRow{FaultKind::kRefuse, "refuse", false},
    KindRow{FaultKind::kResetBeforeAccept, "reset_before_accept", false},
    KindRow{FaultKind::kAcceptThenReset, "accept_then_reset", true},
    KindRow{FaultKind::kAcceptThenTimeout, "accept_then_timeout", true},
    KindRow{FaultKind::kAcceptThen504, "accept_then_504", true},
    KindRow{FaultKind::kSlowBody, "slow_body", true},
    KindRow{FaultKind::kTruncatedJson, "truncated_json", true},
    KindRow{FaultKind::kTruncatedBody, "truncated_body", true},
    KindRow{FaultKind::kHtmlBody, "html_body", false},
    KindRow{FaultKind::kHugeBody, "huge_body", true},
    KindRow{FaultKind::kRedirect302, "redirect_302", false},
    KindRow{FaultKind::kStatusOnly, "status_only", false},
    KindRow{FaultKind::kCode, "code", false},
    KindRow{FaultKind::kRate, "rate", false},
    KindRow{FaultKind::kClockSkew, "clock_skew", true},
};

// Reads `key` when it is there; false when it is of another type or out of range.
template <class T>
bool Read(const Json& json, const char* key, T& value) {
  const auto found = json.find(key);
  if (found == json.end()) return true;
  try {
    if constexpr (std::is_same_v<T, std::string>) {
      value = found->get<std::string>();
    } else if constexpr (std::is_same_v<T, std::optional<bool>>) {
      value = found->get<bool>();
    } else {
      if (!found->is_number_integer()) return false;
      const auto number = found->get<std::int64_t>();
      if (std::is_unsigned_v<T> && number < 0) return false;
      value = static_cast<T>(number);
    }
  } catch (const Json::exception&) {
    return false;
  }
  return true;
}

}  // namespace

std::string_view ToString(FaultKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row.name;
  }
  return "";
}

std::optional<FaultKind> ParseFaultKind(std::string_view text) {
  for (const KindRow& row : kKinds) {
    if (row.name == text) return row.kind;
  }
  return std::nullopt;
}

bool AcceptsByDefault(FaultKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row.accepts;
  }
  return false;
}

Result<Fault> ParseFault(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return Fail(ErrorCode::kInvalid, "a fault is a JSON object");
  static const std::set<std::string> kKeys = {"match", "kind",  "times", "accept", "n",     "text",    "status",
                                              "limit", "reset", "s",     "ms",     "bytes", "location"};
  for (const auto& [key, value] : json.items()) {
    if (!kKeys.contains(key)) return Fail(ErrorCode::kInvalid, fmt::format("a fault has no \"{}\"", key));
  }
  const auto kind_text = json.find("kind");
  if (kind_text == json.end() || !kind_text->is_string()) return Fail(ErrorCode::kInvalid, "kind: is missing");
  const auto kind = ParseFaultKind(kind_text->get<std::string>());
  if (!kind) return Fail(ErrorCode::kInvalid, fmt::format("kind: \"{}\" is not known", kind_text->get<std::string>()));

  Fault fault;
  fault.kind = *kind;
  if (*kind == FaultKind::kRate) fault.times = 0;
  if (const auto match = json.find("match"); match != json.end()) {
    if (!match->is_object()) return Fail(ErrorCode::kInvalid, "match: must be an object");
    for (const auto& [key, value] : match->items()) {
      if (key != "path" && key != "nth") return Fail(ErrorCode::kInvalid, fmt::format("match has no \"{}\"", key));
    }
    if (!Read(*match, "path", fault.path)) return Fail(ErrorCode::kInvalid, "match.path: must be a text");
    if (!Read(*match, "nth", fault.nth)) return Fail(ErrorCode::kInvalid, "match.nth: must be a number");
  }
  const bool read = Read(json, "times", fault.times) && Read(json, "accept", fault.accept) &&
                    Read(json, "n", fault.n) && Read(json, "text", fault.text) && Read(json, "status", fault.status) &&
                    Read(json, "limit", fault.limit) && Read(json, "reset", fault.reset) && Read(json, "s", fault.s) &&
                    Read(json, "ms", fault.ms) && Read(json, "bytes", fault.bytes) &&
                    Read(json, "location", fault.location);
  if (!read) return Fail(ErrorCode::kInvalid, "a value of the fault has the wrong type");
  if (fault.kind == FaultKind::kStatusOnly && (fault.n < 200 || fault.n > 599)) {
    return Fail(ErrorCode::kInvalid, "n: must be an HTTP status, 200 to 599");
  }
  if (fault.status < 200 || fault.status > 599) return Fail(ErrorCode::kInvalid, "status: must be 200 to 599");
  return fault;
}

int FaultList::Add(Fault fault) {
  fault.id = next_id_++;
  fault.seen = 0;
  fault.fired = 0;
  faults_.push_back(Entry{std::move(fault)});
  return faults_.back().fault.id;
}

std::optional<Fault> FaultList::Take(std::string_view path, Timestamp now) {
  for (Entry& entry : faults_) {
    Fault& fault = entry.fault;
    if (!path.starts_with(fault.path)) continue;
    ++fault.seen;
    if (fault.nth != 0 && fault.seen != fault.nth) continue;
    if (fault.times != 0 && fault.fired >= fault.times) continue;
    if (fault.kind != FaultKind::kRate) {
      ++fault.fired;
      return fault;
    }
    const auto window = std::chrono::seconds{fault.reset};
    if (now - entry.window_start >= window) {
      entry.window_start = now;
      entry.passed = 0;
    }
    if (entry.passed < fault.limit) {
      ++entry.passed;
      continue;
    }
    ++fault.fired;
    Fault refused = fault;
    refused.reset =
        static_cast<int>(std::chrono::ceil<std::chrono::seconds>(entry.window_start + window - now).count());
    return refused;
  }
  return std::nullopt;
}

std::vector<Fault> FaultList::All() const {
  std::vector<Fault> all;
  for (const Entry& entry : faults_) all.push_back(entry.fault);
  return all;
}

}  // namespace outrider::fake_im
