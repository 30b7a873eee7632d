#include "model/delivery_status.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace outrider {
namespace {

using Status = DeliveryStatus;
using Event = DeliveryEvent;

constexpr std::array kStatuses = {Status::kPending, Status::kSending, Status::kSent,
                                  Status::kFailed,  Status::kDead,    Status::kSkipped};
constexpr std::array kEvents = {
    Event::kClaimed,     Event::kAccepted,    Event::kRefused,     Event::kNotNow,        Event::kAttemptsExhausted,
    Event::kHeld,        Event::kHeldTooLong, Event::kUnreachable, Event::kLeaseExpired,  Event::kExpired,
    Event::kQuotaUsedUp, Event::kCancelled,   Event::kRescheduled, Event::kUncertainHeld, Event::kReplayed,
    Event::kReopened,    Event::kDiscarded};

using Arrow = std::tuple<std::string, std::string, std::string>;

Arrow ArrowOf(const Transition& transition) {
  return {std::string(ToString(transition.from)), std::string(ToString(transition.event)),
          std::string(ToString(transition.to))};
}

std::set<Arrow> ArrowsOfTable() {
  std::set<Arrow> arrows;
  for (const Transition& transition : kTransitions) arrows.insert(ArrowOf(transition));
  return arrows;
}

// Lines such as "pending --> sending: claimed" of the Mermaid drawing; several events are parted by commas.
std::set<Arrow> ArrowsOfDrawing() {
  std::ifstream readme(MODEL_README);
  std::set<Arrow> arrows;
  const std::regex arrow(R"(^\s*([a-z]+) --> ([a-z]+): ([a-z_, ]+)$)");
  for (std::string line; std::getline(readme, line);) {
    std::smatch parts;
    if (!std::regex_match(line, parts, arrow)) continue;
    std::istringstream events(parts[3]);
    for (std::string event; std::getline(events, event, ',');) {
      const auto from = event.find_first_not_of(' ');
      arrows.emplace(parts[1], event.substr(from), parts[2]);
    }
  }
  return arrows;
}

// Row by row; written down by hand, apart from the code.
const std::map<std::pair<Status, Event>, Status> kDesign = {
    {{Status::kPending, Event::kClaimed}, Status::kSending},
    {{Status::kFailed, Event::kClaimed}, Status::kSending},
    {{Status::kSending, Event::kAccepted}, Status::kSent},
    {{Status::kSending, Event::kRefused}, Status::kDead},
    {{Status::kSending, Event::kNotNow}, Status::kFailed},
    {{Status::kSending, Event::kAttemptsExhausted}, Status::kDead},
    {{Status::kSending, Event::kHeld}, Status::kFailed},
    {{Status::kSending, Event::kUnreachable}, Status::kSkipped},
    {{Status::kSending, Event::kLeaseExpired}, Status::kFailed},
    {{Status::kPending, Event::kExpired}, Status::kSkipped},
    {{Status::kFailed, Event::kExpired}, Status::kSkipped},
    {{Status::kPending, Event::kQuotaUsedUp}, Status::kSkipped},
    {{Status::kFailed, Event::kQuotaUsedUp}, Status::kSkipped},
    {{Status::kPending, Event::kCancelled}, Status::kSkipped},
    {{Status::kFailed, Event::kCancelled}, Status::kSkipped},
    {{Status::kPending, Event::kRescheduled}, Status::kPending},
    {{Status::kFailed, Event::kRescheduled}, Status::kFailed},
    {{Status::kFailed, Event::kUncertainHeld}, Status::kDead},
    {{Status::kDead, Event::kReplayed}, Status::kPending},
    {{Status::kSkipped, Event::kReplayed}, Status::kPending},
    {{Status::kDead, Event::kReopened}, Status::kPending},
    {{Status::kSkipped, Event::kReopened}, Status::kPending},
    {{Status::kDead, Event::kDiscarded}, Status::kSkipped},
};

// What the table's row "held" leaves open: held in which status? Section 2 (4) parks records that were never claimed,
// and 3.4 keeps held ones as failed, so all three can stay for longer than max_age.
const std::map<std::pair<Status, Event>, Status> kHeldTooLong = {
    {{Status::kSending, Event::kHeldTooLong}, Status::kDead},
    {{Status::kFailed, Event::kHeldTooLong}, Status::kDead},
    {{Status::kPending, Event::kHeldTooLong}, Status::kDead},
};

TEST(DeliveryStatusTest, NextIsTheDesignsTableAndNothingElse) {
  auto expected = kDesign;
  expected.insert(kHeldTooLong.begin(), kHeldTooLong.end());
  for (const Status from : kStatuses) {
    for (const Event event : kEvents) {
      const auto row = expected.find({from, event});
      const auto to = Next(from, event);
      EXPECT_EQ(to.has_value(), row != expected.end()) << ToString(from) << " on " << ToString(event);
      if (to && row != expected.end()) {
        EXPECT_EQ(*to, row->second) << ToString(from) << " on " << ToString(event);
      }
    }
  }
}

TEST(DeliveryStatusTest, TheTableSaysNothingTwice) { EXPECT_EQ(ArrowsOfTable().size(), kTransitions.size()); }

TEST(DeliveryStatusTest, TheReadmesDrawingIsTheTable) { EXPECT_EQ(ArrowsOfDrawing(), ArrowsOfTable()); }

TEST(DeliveryStatusTest, NothingFollowsSent) {
  for (const Event event : kEvents) EXPECT_EQ(Next(Status::kSent, event), std::nullopt) << ToString(event);
}

TEST(DeliveryStatusTest, OnlyAPersonOrAReopeningEventLeavesATerminalState) {
  const std::set<Event> allowed = {Event::kReplayed, Event::kReopened, Event::kDiscarded};
  for (const Transition& transition : kTransitions) {
    EXPECT_EQ(IsTerminal(transition.from), allowed.contains(transition.event)) << ToString(transition.event);
  }
}

TEST(DeliveryStatusTest, SendingIsReachedByAClaimAlone) {
  for (const Transition& transition : kTransitions) {
    EXPECT_EQ(transition.to == Status::kSending, transition.event == Event::kClaimed) << ToString(transition.event);
  }
}

TEST(DeliveryStatusTest, EveryStatusButSentHasAWayToSent) {
  std::set<Status> reaching = {Status::kSent};
  for (std::size_t before = 0; before != reaching.size();) {
    before = reaching.size();
    for (const Transition& transition : kTransitions) {
      if (reaching.contains(transition.to)) reaching.insert(transition.from);
    }
  }
  EXPECT_EQ(reaching.size(), kStatuses.size());
}

TEST(DeliveryStatusTest, TerminalAreSentDeadAndSkipped) {
  const std::set<Status> terminal = {Status::kSent, Status::kDead, Status::kSkipped};
  for (const Status status : kStatuses) EXPECT_EQ(IsTerminal(status), terminal.contains(status)) << ToString(status);
}

TEST(DeliveryStatusTest, StatusesAreWrittenAsTheColumnHoldsThemAndReadBack) {
  const std::vector<std::string> names = {"pending", "sending", "sent", "failed", "dead", "skipped"};
  for (std::size_t i = 0; i < kStatuses.size(); ++i) {
    EXPECT_EQ(ToString(kStatuses[i]), names[i]);
    EXPECT_EQ(ParseDeliveryStatus(names[i]), kStatuses[i]);
  }
  for (const char* other : {"", "Pending", "sent ", "unknown", "processing"}) {
    EXPECT_EQ(ParseDeliveryStatus(other), std::nullopt) << other;
  }
}

TEST(DeliveryStatusTest, EventsHaveDistinctNames) {
  std::set<std::string_view> names;
  for (const Event event : kEvents) names.insert(ToString(event));
  EXPECT_EQ(names.size(), kEvents.size());
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace outrider
