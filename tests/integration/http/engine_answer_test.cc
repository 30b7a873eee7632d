// What comes back: whole answers, cut ones, none, and answers that lie.
#include <gmock/gmock.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/http/engine_fixture.h"
#include "tests/support/raw_http/raw_server.h"

namespace outrider::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AnswerAlways;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using testing::RawConnection;
using testing::RawServer;
using ::testing::SizeIs;

class EngineAnswerTest : public EngineTest {
 protected:
  // A server that reads a request, says `bytes` and hangs up.
  static RawServer::Script Say(std::string bytes) {
    return [bytes = std::move(bytes)](RawConnection& connection) {
      connection.ReadRequest();
      connection.Write(bytes);
    };
  }
  HttpResult AnswerTo(std::string bytes, std::string method = "POST") {
    RawServer server(Say(std::move(bytes)));
    HttpRequest request = Post(server.Url("/SECRETPATH?key=SECRETKEY"));
    request.method = std::move(method);
    HttpResult result = Send(std::move(request));
    EXPECT_THAT(result.detail, Not(HasSubstr("SECRET")));
    EXPECT_THAT(server.requests(), SizeIs(1));
    return result;
  }
};

TEST_F(EngineAnswerTest, AnAnswerIsReadWhole) {
  const HttpResult result = AnswerTo("HTTP/1.1 400 Bad\r\nX-Tt-LogId:  abc \r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_EQ(InWords(result), "answered/400");
  EXPECT_THAT(result.response.headers, ElementsAre(Pair("x-tt-logid", "abc"), Pair("content-length", "4")));
  EXPECT_EQ(result.response.body, "body");
  EXPECT_FALSE(result.response.body_cut);
  EXPECT_EQ(result.reason, "");
}

TEST_F(EngineAnswerTest, ChunksAreJoinedAndTrailersIgnored) {
  const HttpResult result =
      AnswerTo("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n");
  EXPECT_EQ(result.response.body, "abcde");
  EXPECT_EQ(FindHeader(result.response.headers, "x-trailer"), "");
}

TEST_F(EngineAnswerTest, ABodyMayEndWithTheConnection) {
  EXPECT_EQ(AnswerTo("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end").response.body, "to the end");
}

TEST_F(EngineAnswerTest, ABodyMayBeMissing) {
  EXPECT_EQ(InWords(AnswerTo("HTTP/1.1 204 No Content\r\n\r\n")), "answered/204");
  const HttpResult head = AnswerTo("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HEAD");
  EXPECT_EQ(InWords(head), "answered/200");
  EXPECT_EQ(head.response.body, "");
}

TEST_F(EngineAnswerTest, InterimAnswersAreNotTheAnswer) {
  const HttpResult result = AnswerTo(
      "HTTP/1.1 103 Early Hints\r\nX-Interim: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Final: 1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(InWords(result), "answered/200");
  EXPECT_EQ(FindHeader(result.response.headers, "x-interim"), "");
  EXPECT_EQ(FindHeader(result.response.headers, "x-final"), "1");
  EXPECT_EQ(InWords(AnswerTo("HTTP/1.1 100 Continue\r\n\r\n")), "no_answer/reset") << "and then the end";
}

TEST_F(EngineAnswerTest, RedirectsAreNotFollowed) {
  RawServer elsewhere(AnswerAlways("you followed"));
  for (const int status : {301, 302, 303, 307, 308}) {
    for (const std::string& location : {elsewhere.Url(), std::string("file:///etc/hostname"), std::string("/again")}) {
      RawServer server(
          Say("HTTP/1.1 " + std::to_string(status) + " X\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n"));
      const HttpResult result = Send(server.Url());
      EXPECT_EQ(InWords(result), "answered/" + std::to_string(status));
      EXPECT_EQ(FindHeader(result.response.headers, "location"), location);
      EXPECT_THAT(server.requests(), SizeIs(1));
    }
  }
  EXPECT_EQ(elsewhere.connections(), 0u);
}

TEST_F(EngineAnswerTest, NoStatusMakesTheEngineAskAgain) {
  for (const char* head :
       {"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=\"x\"\r\n", "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n",
        "HTTP/1.1 417 X\r\n", "HTTP/1.1 408 X\r\n", "HTTP/1.1 421 X\r\n", "HTTP/1.1 425 X\r\n",
        "HTTP/1.1 503 X\r\nRetry-After: 0\r\n"}) {
    RawServer server([head](RawConnection& connection) {
      while (!connection.ReadRequest().empty()) connection.Write(std::string(head) + "Content-Length: 0\r\n\r\n");
    });
    EXPECT_EQ(Send(server.Url()).kind, HttpResult::Kind::kAnswered) << head;
    EXPECT_THAT(server.requests(), SizeIs(1)) << head;
  }
}

TEST_F(EngineAnswerTest, ABodyAtTheCapIsWholeAndOneByteMoreIsCut) {
  HttpEngineOptions options = Lenient();
  options.max_response_body = 1000;
  Use(options);
  for (const auto& [size, cut] : {std::pair{1000, false}, {1001, true}, {500'000, true}}) {
    const HttpResult result = AnswerTo("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                                       std::string(static_cast<std::size_t>(size), 'x'));
    EXPECT_EQ(InWords(result), "answered/200") << size;
    EXPECT_EQ(result.response.body, std::string(1000, 'x')) << size;
    EXPECT_EQ(result.response.body_cut, cut) << size;
  }
}

TEST_F(EngineAnswerTest, OfAnEndlessBodyTheRestIsNotRead) {
  RawServer server([](RawConnection& connection) {
    connection.ReadRequest();
    connection.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (connection.Write("8\r\nabcdefgh\r\n")) {
    }
  });
  const HttpResult result = Send(server.Url());
  EXPECT_EQ(InWords(result), "answered/200");
  EXPECT_EQ(result.response.body.size(), 64u * 1024);
  EXPECT_TRUE(result.response.body_cut);
  EXPECT_TRUE(server.WaitForEnded(1)) << "the engine hangs up";
}

TEST_F(EngineAnswerTest, HeadersAreBounded) {
  std::string headers;
  for (int i = 0; i < 70; ++i) headers += "X-More: " + std::string(1000, 'x') + "\r\n";
  EXPECT_EQ(InWords(AnswerTo("HTTP/1.1 200 OK\r\n" + headers + "Content-Length: 0\r\n\r\n")),
            "no_answer/answer_unreadable");
}

TEST_F(EngineAnswerTest, HeadersWithoutEndAreNoAnswer) {
  RawServer server([](RawConnection& connection) {
    connection.ReadRequest();
    connection.Write("HTTP/1.1 200 OK\r\n");
    while (connection.Write("X-More: and more\r\n")) {
    }
  });
  EXPECT_EQ(InWords(Send(server.Url())), "no_answer/answer_unreadable");
  RawServer interim([](RawConnection& connection) {
    connection.ReadRequest();
    while (connection.Write("HTTP/1.1 100 Continue\r\n\r\n")) {
    }
  });
  EXPECT_EQ(InWords(Send(interim.Url())), "no_answer/answer_unreadable");
}

TEST_F(EngineAnswerTest, NothingIsUnpacked) {
  const std::string packed("\x1f\x8b\x08\x00not really gzip", 19);
  const HttpResult result =
      AnswerTo("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 19\r\n\r\n" + packed);
  EXPECT_EQ(InWords(result), "answered/200");
  EXPECT_EQ(result.response.body, packed);
}

TEST_F(EngineAnswerTest, GarbageIsNoAnswer) {
  EXPECT_EQ(InWords(AnswerTo("SSH-2.0-OpenSSH_9.2\r\n")), "no_answer/answer_unreadable");
  EXPECT_EQ(InWords(AnswerTo("HTTP/1.1 abc\r\n\r\n")), "no_answer/answer_unreadable");
  EXPECT_EQ(InWords(AnswerTo("HTTP/9.9 200 OK\r\n\r\n")), "no_answer/answer_unreadable");
}

TEST_F(EngineAnswerTest, AnAnswerThatBreaksOffIsNoAnswer) {
  EXPECT_EQ(InWords(AnswerTo("")), "no_answer/reset");
  EXPECT_EQ(InWords(AnswerTo("HTTP/1.1 200")), "no_answer/reset");
  EXPECT_EQ(InWords(AnswerTo("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")), "no_answer/reset");
  EXPECT_EQ(InWords(AnswerTo("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")), "no_answer/reset");
}

TEST_F(EngineAnswerTest, AResetIsNoAnswer) {
  RawServer server([](RawConnection& connection) {
    connection.ReadRequest();
    connection.Reset();
  });
  EXPECT_EQ(InWords(Send(server.Url())), "no_answer/reset");
}

TEST_F(EngineAnswerTest, SilenceEndsAtTheDeadline) {
  RawServer server([](RawConnection& connection) { connection.ReadToEnd(); });
  const HttpResult result = Send(Post(server.Url()), milliseconds{100});
  EXPECT_EQ(InWords(result), "no_answer/timeout");
  EXPECT_GE(result.duration, milliseconds{100});
  EXPECT_LT(result.duration, seconds{10});
}

TEST_F(EngineAnswerTest, ABodyThatTricklesEndsAtTheDeadline) {
  RawServer server([](RawConnection& connection) {
    connection.ReadRequest();
    connection.Write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    connection.ReadToEnd();
  });
  EXPECT_EQ(InWords(Send(Post(server.Url()), milliseconds{100})), "no_answer/timeout");
}

TEST_F(EngineAnswerTest, AConnectionThatHungUpAtRestIsNotUsedAgain) {
  RawServer server([](RawConnection& connection) {
    connection.ReadRequest();
    connection.Answer(200, std::to_string(connection.number()));
  });
  EXPECT_EQ(Send(server.Url()).response.body, "0");
  ASSERT_TRUE(server.WaitForEnded(1));
  EXPECT_EQ(Send(server.Url()).response.body, "1");
}

// Row 47 of the fault matrix: libcurl would send a second time, over a fresh connection.
TEST_F(EngineAnswerTest, ARequestIsNotRepeatedWhenAUsedConnectionDies) {
  for (const bool reset : {false, true}) {
    RawServer server([reset](RawConnection& connection) {
      connection.ReadRequest();
      connection.Answer(200, "first");
      if (!connection.ReadRequest().empty() && reset) connection.Reset();
    });
    EXPECT_EQ(InWords(Send(server.Url("/first"))), "answered/200");
    int looks = 0;
    const HttpResult result = Send(Post(server.Url("/second")), seconds{20}, [&looks] { return ++looks > 0; });
    EXPECT_EQ(InWords(result), "no_answer/reset");
    EXPECT_EQ(looks, 1);
    EXPECT_THAT(result.detail, HasSubstr("the connection ended without an answer"));
    EXPECT_EQ(InWords(Send(server.Url("/third"))), "answered/200") << "the engine goes on";
    EXPECT_THAT(server.requests(), ElementsAre(HasSubstr("/first"), HasSubstr("/second"), HasSubstr("/third")));
    EXPECT_EQ(server.connections(), 2u) << "nor was a connection made for a second try";
  }
}

TEST_F(EngineAnswerTest, AConnectionThatDiedBeforeTheFirstByteSentNothing) {
  for (const bool used : {false, true}) {
    std::promise<void> die;
    RawServer server([&, used](RawConnection& connection) {
      if (used && !connection.ReadRequest().empty()) connection.Answer(200, "");
      die.get_future().wait();
      connection.Reset();
    });
    if (used) {
      EXPECT_EQ(InWords(Send(server.Url())), "answered/200");
    }
    const HttpResult result = Send(Post(server.Url()), seconds{20}, [&] {
      die.set_value();
      return server.WaitForEnded(1);
    });
    EXPECT_EQ(InWords(result), "not_sent/reset") << used;
  }
}

TEST_F(EngineAnswerTest, ARequestIsNotMovedToAnotherUsedConnectionEither) {
  RawServer server([](RawConnection& connection) {
    for (std::string request; !(request = connection.ReadRequest()).empty();) {
      if (request.find("/doomed") != std::string::npos) return;
      connection.Answer(200, "");
    }
  });
  std::vector<std::future<HttpResult>> warm;
  for (int i = 0; i < 8; ++i) warm.push_back(Begin(Post(server.Url("/warm"))));
  for (auto& one : warm) EXPECT_EQ(InWords(Await(std::move(one))), "answered/200");
  EXPECT_EQ(InWords(Send(server.Url("/doomed"))), "no_answer/reset");
  EXPECT_THAT(server.requests(), SizeIs(9));
}

}  // namespace
}  // namespace outrider::http
