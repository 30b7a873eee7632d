#include "tests/support/proxy/proxy_fault.h"

#include <fmt/format.h>

namespace outrider::testing {
namespace {

std::string_view ToString(Direction direction) {
  switch (direction) {
    case Direction::kToServer:
      return "to_server";
    case Direction::kToClient:
      return "to_client";
    case Direction::kBoth:
      return "both_ways";
  }
  return "?";
}

std::string Parameters(const ProxyFault& fault) {
  switch (fault.kind) {
    case ProxyFaultKind::kLatency:
      return fmt::format(" {} {} ms", ToString(fault.direction), fault.pause.count());
    case ProxyFaultKind::kSlice:
      return fmt::format(" {} {} bytes {} ms", ToString(fault.direction), fault.bytes, fault.pause.count());
    case ProxyFaultKind::kStall:
      return fmt::format(" {}", ToString(fault.direction));
    case ProxyFaultKind::kReset:
      return fault.times == 0 ? " always" : " once";
    case ProxyFaultKind::kCutAfter:
      return fmt::format(" {} {} bytes times {}", ToString(fault.direction), fault.bytes, fault.times);
    case ProxyFaultKind::kCutStatement:
      return fmt::format(" {} '{}' nth {} times {}",
                         fault.moment == CutMoment::kBeforeServer ? "before_server" : "after_server", fault.statement,
                         fault.nth, fault.times);
    case ProxyFaultKind::kRefuse:
    case ProxyFaultKind::kHalfOpen:
      return "";
  }
  return "";
}

}  // namespace

std::string_view ToString(ProxyFaultKind kind) {
  switch (kind) {
    case ProxyFaultKind::kLatency:
      return "latency";
    case ProxyFaultKind::kSlice:
      return "slice";
    case ProxyFaultKind::kStall:
      return "stall";
    case ProxyFaultKind::kRefuse:
      return "refuse";
    case ProxyFaultKind::kReset:
      return "reset";
    case ProxyFaultKind::kHalfOpen:
      return "half_open";
    case ProxyFaultKind::kCutAfter:
      return "cut_after";
    case ProxyFaultKind::kCutStatement:
      return "cut_statement";
  }
  return "?";
}

std::string Describe(const ProxyFault& fault) {
  return fmt::format("{}{}: fired {}", ToString(fault.kind), Parameters(fault), fault.fired);
}

ProxyFault Latency(Direction direction, std::chrono::milliseconds pause) {
  return {.kind = ProxyFaultKind::kLatency, .direction = direction, .pause = pause};
}

ProxyFault Slice(Direction direction, std::size_t bytes, std::chrono::milliseconds pause) {
  return {.kind = ProxyFaultKind::kSlice, .direction = direction, .pause = pause, .bytes = bytes};
}

ProxyFault Stall(Direction direction) { return {.kind = ProxyFaultKind::kStall, .direction = direction}; }
ProxyFault Refuse() { return {.kind = ProxyFaultKind::kRefuse}; }
ProxyFault ResetOnce() { return {.kind = ProxyFaultKind::kReset, .times = 1}; }
ProxyFault ResetAlways() { return {.kind = ProxyFaultKind::kReset}; }
ProxyFault HalfOpen() { return {.kind = ProxyFaultKind::kHalfOpen, .times = 1}; }

ProxyFault CutAfter(Direction direction, std::size_t bytes, std::size_t times) {
  return {.kind = ProxyFaultKind::kCutAfter, .direction = direction, .bytes = bytes, .times = times};
}

ProxyFault CutStatement(CutMoment moment, std::string_view statement, std::size_t nth, std::size_t times) {
  return {.kind = ProxyFaultKind::kCutStatement,
          .moment = moment,
          .statement = std::string(statement),
          .nth = nth,
          .times = times};
}

ProxyFault CutCommit(CutMoment moment, std::size_t nth, std::size_t times) {
  return CutStatement(moment, "COMMIT", nth, times);
}

}  // namespace outrider::testing
