// TLS that isn't sound is refused before a byte of the request is readable for the other side (row 42 of the fault
// matrix).
#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <future>
#include <string>
#include <utility>

#include "tests/integration/http/certificates.h"
#include "tests/integration/http/engine_fixture.h"
#include "tests/integration/http/fake_resolver.h"
#include "tests/support/raw_http/raw_server.h"

namespace outrider::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AnswerAlways;
using testing::Certificates;
using ::testing::ElementsAre;
using testing::FakeResolver;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RawConnection;
using testing::RawServer;
using testing::RawServerOptions;
using ::testing::SizeIs;

class EngineTlsTest : public EngineTest {
 protected:
  static void SetUpTestSuite() { certificates_ = new Certificates; }
  static void TearDownTestSuite() {
    delete certificates_;
    certificates_ = nullptr;
  }

  EngineTlsTest() { Use(Trusting()); }
  static HttpEngineOptions Trusting() {
    HttpEngineOptions options;
    options.policy.allow_private_addresses = true;
    options.ca_file = certificates_->authority();
    return options;
  }

  void ExpectRefused(RawServerOptions options, const std::string& words) {
    RawServer server(AnswerAlways("never"), std::move(options));
    int looks = 0;
    const HttpResult result = Send(Post(server.Url("/SECRETPATH")), seconds{20}, [&looks] { return ++looks > 0; });
    EXPECT_EQ(InWords(result), "not_sent/tls_failed") << result.detail;
    EXPECT_THAT(result.detail, HasSubstr("127.0.0.1:"));
    EXPECT_THAT(result.detail, HasSubstr(words));
    EXPECT_THAT(result.detail, Not(HasSubstr("SECRET")));
    EXPECT_EQ(looks, 0);
    EXPECT_TRUE(server.WaitForEnded(1));
    EXPECT_EQ(server.received(), "");
  }

  static const Certificates* certificates_;
};

const Certificates* EngineTlsTest::certificates_ = nullptr;

TEST_F(EngineTlsTest, ASoundServerIsAnswered) {
  RawServer server(AnswerAlways("ok"), certificates_->Good());
  EXPECT_EQ(Send(server.Url()).response.body, "ok");
  FakeResolver::Set("good.test", {"127.0.0.1"});
  EXPECT_EQ(InWords(Send("https://good.test:" + std::to_string(server.port()) + "/")), "answered/200");
}

TEST_F(EngineTlsTest, WithoutItsAuthorityNobodyIsTrusted) {
  HttpEngineOptions options = Trusting();
  options.ca_file.clear();
  Use(options);
  ExpectRefused(certificates_->Good(), "unable to get local issuer certificate");
}

TEST_F(EngineTlsTest, AnAuthorityThatCantBeReadTrustsNobody) {
  HttpEngineOptions options = Trusting();
  options.ca_file += ".missing";
  Use(options);
  ExpectRefused(certificates_->Good(), "authority.pem.missing");
}

TEST_F(EngineTlsTest, AnExpiredCertificateIsRefused) { ExpectRefused(certificates_->Expired(), "expired"); }

TEST_F(EngineTlsTest, ACertificateOfTheFutureIsRefused) {
  ExpectRefused(certificates_->NotYetValid(), "not yet valid");
}

TEST_F(EngineTlsTest, ACertificateForAnotherHostIsRefused) {
  ExpectRefused(certificates_->ForAnotherHost(), "no alternative certificate subject name matches");
}

TEST_F(EngineTlsTest, TheSubjectIsNoNameForAnAddress) {
  ExpectRefused(certificates_->NameOnlyInSubject(), "no alternative certificate subject name matches");
}

TEST_F(EngineTlsTest, ASelfSignedCertificateIsRefused) {
  ExpectRefused(certificates_->SelfSigned(), "self-signed certificate");
}

TEST_F(EngineTlsTest, OldVersionsAreNotSpoken) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    RawServerOptions options = certificates_->Good();
    options.min_tls = options.max_tls = version;
    ExpectRefused(std::move(options), "");
  }
}

TEST_F(EngineTlsTest, BothNewVersionsAreSpoken) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    RawServerOptions options = certificates_->Good();
    options.min_tls = options.max_tls = version;
    RawServer server(AnswerAlways("ok"), std::move(options));
    EXPECT_EQ(InWords(Send(server.Url())), "answered/200") << version;
  }
}

TEST_F(EngineTlsTest, AServerThatSpeaksNoTlsGetsNoRequest) {
  RawServer server([](RawConnection& connection) {
    connection.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    connection.ReadToEnd();
  });
  const HttpResult result = Send("https://127.0.0.1:" + std::to_string(server.port()) + "/SECRETPATH");
  EXPECT_EQ(InWords(result), "not_sent/tls_failed");
  EXPECT_TRUE(server.WaitForEnded(1));
  EXPECT_THAT(server.received(), Not(HasSubstr("SECRET")));
}

TEST_F(EngineTlsTest, AHandshakeThatStallsEndsAtTheConnectTimeout) {
  RawServer server([](RawConnection& connection) { connection.ReadToEnd(); });
  HttpEngineOptions options = Trusting();
  options.connect_timeout = milliseconds{100};
  Use(options);
  const HttpResult result = Send("https://127.0.0.1:" + std::to_string(server.port()) + "/");
  EXPECT_EQ(InWords(result), "not_sent/connect_failed");
  EXPECT_LT(result.duration, seconds{10});
}

TEST_F(EngineTlsTest, AHandshakeThatBreaksOffIsNotSent) {
  for (const bool reset : {false, true}) {
    RawServer server([reset](RawConnection& connection) {
      connection.ReadSome();
      if (reset) connection.Reset();
    });
    EXPECT_EQ(InWords(Send("https://127.0.0.1:" + std::to_string(server.port()) + "/")), "not_sent/tls_failed");
  }
}

TEST_F(EngineTlsTest, AfterTheHandshakeSilenceIsInDoubt) {
  RawServer server(
      [](RawConnection& connection) {
        connection.ReadRequest();
        connection.Reset();
      },
      certificates_->Good());
  EXPECT_EQ(InWords(Send(server.Url())), "no_answer/reset");
  EXPECT_THAT(server.requests(), SizeIs(1));
}

// OpenSSL doesn't say how much of a record it wrote.
TEST_F(EngineTlsTest, AConnectionThatDiedBeforeTheFirstByteIsInDoubtAllTheSame) {
  std::promise<void> die;
  RawServer server(
      [&die](RawConnection& connection) {
        die.get_future().wait();
        connection.Reset();
      },
      certificates_->Good());
  const HttpResult result = Send(Post(server.Url()), seconds{20}, [&] {
    die.set_value();
    return server.WaitForEnded(1);
  });
  EXPECT_EQ(InWords(result), "no_answer/reset");
}

TEST_F(EngineTlsTest, ARequestIsNotRepeatedWhenAUsedConnectionDies) {
  RawServer server(
      [](RawConnection& connection) {
        connection.ReadRequest();
        connection.Answer(200, "first");
        connection.ReadRequest();
      },
      certificates_->Good());
  EXPECT_EQ(InWords(Send(server.Url("/first"))), "answered/200");
  EXPECT_EQ(InWords(Send(server.Url("/second"))), "no_answer/reset");
  EXPECT_THAT(server.requests(), ElementsAre(HasSubstr("/first"), HasSubstr("/second")));
}

TEST_F(EngineTlsTest, WhatIsNoLongerOursNeverLeaves) {
  RawServer server([](RawConnection& connection) { connection.ReadToEnd(); }, certificates_->Good());
  EXPECT_EQ(InWords(Send(Post(server.Url()), seconds{20}, [] { return false; })), "not_sent/not_mine");
  EXPECT_TRUE(server.WaitForEnded(1));
  EXPECT_EQ(server.received(), "");
}

}  // namespace
}  // namespace outrider::http
