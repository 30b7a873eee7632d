#include "tests/support/proxy/fault_proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"
#include "tests/support/proxy/test/raw_socket.h"

namespace outrider::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using State = RawSocket::State;
using Received = RawSocket::Received;

constexpr milliseconds kAMoment{20};

struct Link {
  RawSocket client;
  RawSocket server;
};

class FaultProxyTest : public ::testing::Test {
 protected:
  Link Connect() {
    RawSocket client(proxy_.port());
    return {std::move(client), server_->Accept()};
  }
  std::size_t Fired(int id) const { return proxy_.fired(id); }

  const unsigned server_port_ = FreePort();
  std::optional<RawListener> server_{server_port_};
  FaultProxy proxy_{server_port_};
};

TEST_F(FaultProxyTest, CarriesBytesBothWaysOverSeveralConnections) {
  Link one = Connect();
  Link two = Connect();
  one.client.Send("from one");
  two.client.Send("from two");
  two.server.Send("to two");
  one.server.Send("to one");
  EXPECT_EQ(one.server.ReceiveBytes(8), "from one");
  EXPECT_EQ(two.server.ReceiveBytes(8), "from two");
  EXPECT_EQ(one.client.ReceiveBytes(6), "to one");
  EXPECT_EQ(two.client.ReceiveBytes(6), "to two");
  EXPECT_EQ(proxy_.connections(), 2u);
}

TEST_F(FaultProxyTest, PassesOnTheEndsOfConnectionsAsTheyAre) {
  Link link = Connect();
  link.client.Send("last words");
  link.client.EndSending();
  EXPECT_EQ(link.server.ReceiveToTheEnd(), (Received{"last words", State::kClosed}));
  link.server.Send("answer");
  link.server.EndSending();
  EXPECT_EQ(link.client.ReceiveToTheEnd(), (Received{"answer", State::kClosed}));
  EXPECT_TRUE(WaitUntil([&] { return proxy_.connections() == 0; }));

  Link other = Connect();
  other.client.Reset();
  EXPECT_EQ(other.server.ReceiveToTheEnd(), (Received{"", State::kReset}));
}

TEST_F(FaultProxyTest, HoldsOnlyALimitedAmountForAServerThatDoesNotRead) {
  Link link = Connect();
  constexpr std::size_t kMuch = 64 << 20;
  const std::size_t sent = link.client.SendUntilFull(kMuch);
  EXPECT_LT(sent, kMuch);
  EXPECT_EQ(link.server.ReceiveBytes(sent), RawSocket::Pattern(sent));
}

TEST_F(FaultProxyTest, WorksAgainWhenTheServerComesBackOnItsPort) {
  Link before = Connect();
  server_.reset();
  RawSocket meanwhile(proxy_.port());
  EXPECT_EQ(meanwhile.ReceiveToTheEnd(), (Received{"", State::kReset}));
  server_.emplace(server_port_);
  Link after = Connect();
  after.client.Send("again");
  EXPECT_EQ(after.server.ReceiveBytes(5), "again");
}

TEST_F(FaultProxyTest, ClosesEveryConnectionWhenItEnds) {
  std::optional<FaultProxy> proxy(server_port_);
  proxy->Inject(Stall());
  RawSocket client(proxy->port());
  RawSocket server = server_->Accept();
  const unsigned port = proxy->port();
  proxy.reset();
  EXPECT_NE(client.ReceiveToTheEnd().state, State::kOpen);
  EXPECT_NE(server.ReceiveToTheEnd().state, State::kOpen);
  EXPECT_TRUE(RawSocket(port).refused());
}

TEST_F(FaultProxyTest, LatencyHoldsBackOneDirectionAndKeepsPiecesInFlight) {
  Link link = Connect();
  const int fault = proxy_.Inject(Latency(Direction::kToClient, milliseconds{150}));
  const auto start = Clock::now();
  link.client.Send("x");
  EXPECT_EQ(link.server.ReceiveBytes(1), "x");
  for (int i = 1; i <= 10; ++i) {
    link.server.Send("y");
    ASSERT_TRUE(proxy_.WaitUntilFired(fault, static_cast<std::size_t>(i)));
  }
  EXPECT_EQ(link.client.ReceiveBytes(10), "yyyyyyyyyy");
  EXPECT_GE(Clock::now() - start, milliseconds{150});
  EXPECT_LT(Clock::now() - start, milliseconds{10 * 150});
}

TEST_F(FaultProxyTest, HealedLatencyLetsGoOfWhatItHeldBack) {
  Link link = Connect();
  const int fault = proxy_.Inject(Latency(Direction::kBoth, std::chrono::hours{1}));
  link.client.Send("x");
  ASSERT_TRUE(proxy_.WaitUntilFired(fault));
  EXPECT_FALSE(link.server.HasBytes(kAMoment));
  proxy_.Heal();
  EXPECT_EQ(link.server.ReceiveBytes(1), "x");
}

TEST_F(FaultProxyTest, SlicesArriveOneByOne) {
  Link link = Connect();
  const int fault = proxy_.Inject(Slice(Direction::kToServer, 3, std::chrono::hours{1}));
  link.client.Send("abcdefg");
  EXPECT_EQ(link.server.ReceiveBytes(3), "abc");
  EXPECT_FALSE(link.server.HasBytes(kAMoment));
  proxy_.Inject(Latency(Direction::kToServer, milliseconds{0}));  // any change ends the pause
  EXPECT_EQ(link.server.ReceiveBytes(3), "def");
  EXPECT_EQ(Fired(fault), 2u);
  proxy_.Heal();
  EXPECT_EQ(link.server.ReceiveBytes(1), "g");
}

TEST_F(FaultProxyTest, SlicingChangesNoByte) {
  Link link = Connect();
  proxy_.Inject(Slice(Direction::kToServer, 7, milliseconds{0}));
  link.client.Send(RawSocket::Pattern(10'000));
  EXPECT_EQ(link.server.ReceiveBytes(10'000), RawSocket::Pattern(10'000));
}

TEST_F(FaultProxyTest, StallStopsBytesAndEndsAndLeavesConnectionsOpen) {
  Link link = Connect();
  const int fault = proxy_.Inject(Stall());
  link.client.Send("x");
  link.server.Send("y");
  ASSERT_TRUE(proxy_.WaitUntilFired(fault, 2));
  Link later = Connect();
  later.client.Send("z");
  later.client.EndSending();
  ASSERT_TRUE(proxy_.WaitUntilFired(fault, 3));
  EXPECT_FALSE(link.server.HasBytes(kAMoment));
  EXPECT_FALSE(link.client.HasBytes(kAMoment));
  EXPECT_FALSE(later.server.HasBytes(kAMoment));
  proxy_.Heal(fault);
  EXPECT_EQ(link.server.ReceiveBytes(1), "x");
  EXPECT_EQ(link.client.ReceiveBytes(1), "y");
  EXPECT_EQ(later.server.ReceiveToTheEnd(), (Received{"z", State::kClosed}));
  EXPECT_EQ(Fired(fault), 3u);
}

TEST_F(FaultProxyTest, StallCanStopOneDirectionOnly) {
  Link link = Connect();
  const int fault = proxy_.Inject(Stall(Direction::kToClient));
  link.client.Send("x");
  EXPECT_EQ(link.server.ReceiveBytes(1), "x");
  EXPECT_EQ(Fired(fault), 0u);
  link.server.Send("y");
  ASSERT_TRUE(proxy_.WaitUntilFired(fault));
  EXPECT_FALSE(link.client.HasBytes(kAMoment));
}

TEST_F(FaultProxyTest, RefusesNewConnectionsAndComesBackOnItsPort) {
  Link link = Connect();
  const int fault = proxy_.Inject(Refuse());
  EXPECT_TRUE(RawSocket(proxy_.port()).refused());
  EXPECT_EQ(Fired(fault), 1u);
  link.client.Send("still here");
  EXPECT_EQ(link.server.ReceiveBytes(10), "still here");
  proxy_.Heal();
  Link after = Connect();
  after.client.Send("back");
  EXPECT_EQ(after.server.ReceiveBytes(4), "back");
}

TEST_F(FaultProxyTest, ResetOnceEndsTheConnectionsThatAreThere) {
  Link one = Connect();
  Link two = Connect();
  const int fault = proxy_.Inject(ResetOnce());
  for (RawSocket* end : {&one.client, &one.server, &two.client, &two.server}) {
    EXPECT_EQ(end->ReceiveToTheEnd(), (Received{"", State::kReset}));
  }
  EXPECT_EQ(Fired(fault), 2u);
  Link after = Connect();
  after.client.Send("x");
  EXPECT_EQ(after.server.ReceiveBytes(1), "x");
}

TEST_F(FaultProxyTest, AResetThatMetNoConnectionHasNotFired) {
  const int fault = proxy_.Inject(ResetOnce());
  EXPECT_EQ(Fired(fault), 0u);
  EXPECT_FALSE(proxy_.WaitUntilFired(fault, 1, milliseconds{1}));
}

TEST_F(FaultProxyTest, ResetAlwaysEndsFurtherConnectionsTooUntilHealed) {
  Link link = Connect();
  const int fault = proxy_.Inject(ResetAlways());
  EXPECT_EQ(link.client.ReceiveToTheEnd().state, State::kReset);
  RawSocket next(proxy_.port());
  EXPECT_EQ(next.ReceiveToTheEnd().state, State::kReset);
  EXPECT_EQ(Fired(fault), 2u);
  proxy_.Heal();
  Link after = Connect();
  after.client.Send("x");
  EXPECT_EQ(after.server.ReceiveBytes(1), "x");
}

TEST_F(FaultProxyTest, HalfOpenConnectionsStayOpenForTheClientAndNeverAnswer) {
  Link link = Connect();
  const int fault = proxy_.Inject(HalfOpen());
  EXPECT_EQ(link.server.ReceiveToTheEnd(), (Received{"", State::kReset}));
  link.client.Send(RawSocket::Pattern(1 << 20));
  EXPECT_FALSE(link.client.HasBytes(kAMoment));
  EXPECT_EQ(link.client.Now(), State::kOpen);
  EXPECT_EQ(Fired(fault), 1u);
  Link after = Connect();
  after.client.Send("x");
  EXPECT_EQ(after.server.ReceiveBytes(1), "x") << "only what was there is lost";
  proxy_.Heal();
  EXPECT_EQ(link.client.ReceiveToTheEnd(), (Received{"", State::kReset}));
  EXPECT_EQ(after.client.Now(), State::kOpen);
}

TEST_F(FaultProxyTest, AHalfOpenConnectionEndsWithItsClient) {
  {
    const Link link = Connect();
    proxy_.Inject(HalfOpen());
  }
  EXPECT_TRUE(WaitUntil([&] { return proxy_.connections() == 0; }));
}

TEST_F(FaultProxyTest, CutsAConnectionAfterExactlySoManyBytes) {
  Link link = Connect();
  link.client.Send("before");
  EXPECT_EQ(link.server.ReceiveBytes(6), "before");
  const int fault = proxy_.Inject(CutAfter(Direction::kToServer, 4));
  link.server.Send("another way");
  EXPECT_EQ(link.client.ReceiveBytes(11), "another way");
  link.client.Send("abcdefg");
  EXPECT_EQ(link.server.ReceiveToTheEnd(), (Received{"abcd", State::kReset}));
  EXPECT_EQ(link.client.ReceiveToTheEnd(), (Received{"", State::kReset}));
  EXPECT_EQ(Fired(fault), 1u);
  Link after = Connect();
  after.client.Send("abcdefg");
  EXPECT_EQ(after.server.ReceiveBytes(7), "abcdefg");
}

TEST_F(FaultProxyTest, CountsTheBytesOfEachConnectionForItself) {
  Link one = Connect();
  Link two = Connect();
  const int fault = proxy_.Inject(CutAfter(Direction::kToClient, 3, 2));
  one.server.Send("ab");
  two.server.Send("ab");
  EXPECT_EQ(one.client.ReceiveBytes(2), "ab");
  EXPECT_EQ(two.client.ReceiveBytes(2), "ab");
  EXPECT_EQ(Fired(fault), 0u);
  one.server.Send("c");
  two.server.Send("cd");
  EXPECT_EQ(one.client.ReceiveToTheEnd(), (Received{"c", State::kReset}));
  EXPECT_EQ(two.client.ReceiveToTheEnd(), (Received{"c", State::kReset}));
  EXPECT_EQ(Fired(fault), 2u);
}

TEST_F(FaultProxyTest, ACutAfterNoBytesLetsNothingArrive) {
  Link link = Connect();
  proxy_.Inject(CutAfter(Direction::kToServer, 0));
  link.client.Send("x");
  EXPECT_EQ(link.server.ReceiveToTheEnd(), (Received{"", State::kReset}));
}

TEST_F(FaultProxyTest, AHealedCutDoesNothing) {
  Link link = Connect();
  const int fault = proxy_.Inject(CutAfter(Direction::kToServer, 1));
  proxy_.Heal(fault);
  link.client.Send("abc");
  EXPECT_EQ(link.server.ReceiveBytes(3), "abc");
  EXPECT_EQ(Fired(fault), 0u);
}

TEST_F(FaultProxyTest, ListsEveryFaultWithWhatItDid) {
  Link link = Connect();
  proxy_.Inject(CutCommit(CutMoment::kBeforeServer, 3));
  proxy_.Inject(ResetOnce());
  proxy_.Heal();
  std::vector<std::string> table;
  for (const ProxyFault& fault : proxy_.faults()) table.push_back(Describe(fault));
  EXPECT_THAT(table, ::testing::ElementsAre("cut_statement before_server 'COMMIT' nth 3 times 1: fired 0",
                                            "reset once: fired 1"));
}

}  // namespace
}  // namespace outrider::testing
