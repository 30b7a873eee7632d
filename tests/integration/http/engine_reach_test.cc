// Getting there: names, addresses and connections that don't come about. Nothing of this is in doubt: nothing was sent.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "tests/integration/http/engine_fixture.h"
#include "tests/integration/http/fake_resolver.h"
#include "tests/support/process/free_port.h"
#include "tests/support/raw_http/raw_server.h"

namespace outrider::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AnswerAlways;
using testing::FakeResolver;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RawServer;

// A port where connections neither come about nor are refused: the queue of a listener that never accepts is full.
class BlackHole final {
 public:
  BlackHole() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const int listener = Socket();
    EXPECT_EQ(::bind(listener, generic, length), 0);
    EXPECT_EQ(::listen(listener, 0), 0);
    EXPECT_EQ(::getsockname(listener, generic, &length), 0);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 4; ++i) (void)::connect(Socket(SOCK_NONBLOCK), generic, length);
  }
  ~BlackHole() {
    for (const int socket : sockets_) ::close(socket);
  }
  std::string Url(const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_) + "/SECRETPATH";
  }

 private:
  int Socket(int more = 0) {
    sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | more, 0));
    return sockets_.back();
  }
  std::vector<int> sockets_;
  std::uint16_t port_ = 0;
};

class EngineReachTest : public EngineTest {
 protected:
  // As in production, but for plain http.
  void UsePublicOnly() { Use({.policy = {.allow_plain_http = true, .allow_private_addresses = false}}); }
  std::string UrlOf(const std::string& host) const { return "http://" + host + ":" + std::to_string(server_.port()); }
  RawServer server_{AnswerAlways("ok")};
};

TEST_F(EngineReachTest, ARefusedConnectionIsNotSent) {
  const HttpResult result = Send("http://127.0.0.1:" + std::to_string(testing::FreePort()) + "/SECRETPATH");
  EXPECT_EQ(InWords(result), "not_sent/connect_failed");
  EXPECT_THAT(result.detail, HasSubstr("127.0.0.1:"));
  EXPECT_THAT(result.detail, HasSubstr("Connection refused"));
  EXPECT_THAT(result.detail, Not(HasSubstr("SECRET")));
}

TEST_F(EngineReachTest, AConnectionThatDoesntComeAboutIsNotSent) {
  const BlackHole hole;
  HttpEngineOptions options = Lenient();
  options.connect_timeout = milliseconds{100};
  Use(options);
  const HttpResult result = Send(hole.Url());
  EXPECT_EQ(InWords(result), "not_sent/connect_failed");
  EXPECT_LT(result.duration, seconds{10});
  EXPECT_THAT(result.detail, Not(HasSubstr("SECRET")));
}

TEST_F(EngineReachTest, TheDeadlineBoundsConnectingToo) {
  const BlackHole hole;
  const HttpResult result = Send(Post(hole.Url()), milliseconds{100});
  EXPECT_EQ(InWords(result), "not_sent/connect_failed");
  EXPECT_LT(result.duration, seconds{3});
}

TEST_F(EngineReachTest, NamesAreResolved) {
  FakeResolver::Set("vendor.test", {"127.0.0.1"});
  EXPECT_EQ(InWords(Send(UrlOf("vendor.test"))), "answered/200");
  EXPECT_THAT(server_.requests().front(), HasSubstr("\r\nHost: vendor.test:"));
}

TEST_F(EngineReachTest, ANameThatIsntThereIsNotSent) {
  const HttpResult result = Send("https://nowhere.test/SECRETPATH");
  EXPECT_EQ(InWords(result), "not_sent/dns_failed");
  EXPECT_THAT(result.detail, HasSubstr("nowhere.test:443"));
  EXPECT_THAT(result.detail, Not(HasSubstr("SECRET")));
}

TEST_F(EngineReachTest, AResolverThatHangsHoldsUpItsOwnRequestOnly) {
  FakeResolver::Block("stuck.test");
  auto stuck = Begin(Post(UrlOf("stuck.test")), milliseconds{300});
  ASSERT_TRUE(FakeResolver::WaitForLookups("stuck.test", 1));
  EXPECT_EQ(InWords(Send(server_.Url())), "answered/200");
  const HttpResult result = Await(std::move(stuck));
  EXPECT_EQ(InWords(result), "not_sent/dns_failed");
  EXPECT_LT(result.duration, seconds{10});
  EXPECT_EQ(InWords(Send(server_.Url())), "answered/200") << "nor those after it";
  auto at_the_end = Begin(Post(UrlOf("stuck.test")));
  ASSERT_TRUE(FakeResolver::WaitForLookups("stuck.test", 2));
  engine_.reset();
  EXPECT_EQ(InWords(Await(std::move(at_the_end))), "not_sent/stopped");
}

TEST_F(EngineReachTest, PrivateAddressesAreRefusedHoweverTheyAreWritten) {
  UsePublicOnly();
  for (const char* host : {"127.0.0.1",
                           "localhost",
                           "2130706433",
                           "0x7f000001",
                           "0177.0.0.1",
                           "127.1",
                           "0.0.0.0",
                           "0",
                           "[::1]",
                           "[::]",
                           "[::ffff:127.0.0.1]",
                           "[::127.0.0.1]",
                           "[64:ff9b::7f00:1]",
                           "[2002:7f00:1::]",
                           "[fe80::1%25lo]",
                           "169.254.169.254",
                           "100.100.100.200",
                           "10.0.0.1",
                           "192.168.1.1",
                           "[fd00:ec2::254]"}) {
    const HttpResult result = Send(UrlOf(host));
    EXPECT_EQ(result.kind, HttpResult::Kind::kNotSent) << host;
    EXPECT_EQ(result.reason, "target_refused") << host << ": " << result.detail;
  }
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(EngineReachTest, ANameForAPrivateAddressIsRefusedAtEachConnection) {
  UsePublicOnly();
  FakeResolver::Set("rebound.test", {"127.0.0.1"});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(InWords(Send(UrlOf("rebound.test"))), "not_sent/target_refused");
  FakeResolver::Set("metadata.test", {"169.254.169.254", "127.0.0.1", "::1"});
  EXPECT_EQ(InWords(Send(UrlOf("metadata.test"))), "not_sent/target_refused");
  EXPECT_EQ(server_.connections(), 0u);
}

}  // namespace
}  // namespace outrider::http
