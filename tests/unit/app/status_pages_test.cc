#include "app/status_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metrics/relay_probe.h"
#include "tests/support/clock/fake_clock.h"

namespace outrider::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class StatusPagesTest : public ::testing::Test {
 protected:
  http::ServerResponse Get(const std::string& path, const std::string& query = "") {
    http::ServerRequest request;
    request.method = "GET";
    request.path = path;
    request.query = query;
    return Serve(request);
  }
  http::ServerResponse Serve(const http::ServerRequest& request) {
    return ServeStatus(request, health_, registry_, token_);
  }

  FakeClock clock_;
  Health health_{clock_};
  MetricsRegistry registry_;
  Secret token_;
};

TEST_F(StatusPagesTest, HealthNamesLoopsThatAreSilent) {
  EXPECT_EQ(Get("/healthz").status, 200);
  health_.AddLoop("scanner", std::chrono::milliseconds{100});
  clock_.Advance(std::chrono::seconds{1});
  EXPECT_EQ(Get("/healthz").status, 503);
  EXPECT_EQ(Get("/healthz").body, "silent loops: scanner\n");
}

TEST_F(StatusPagesTest, ReadyTellsWhyNot) {
  health_.SetReady(false, "table outbox doesn't exist");
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(Get("/readyz").body, "not ready: table outbox doesn't exist\n");
  health_.SetReady(true);
  EXPECT_EQ(Get("/readyz").status, 200);
}

TEST_F(StatusPagesTest, AnOutageOfAPartIsToldButDoesNotMakeItUnready) {
  health_.SetReady(true);
  health_.SetPart("relay shop", false, "waits: broker away");
  EXPECT_THAT(Get("/readyz").body, Not(HasSubstr("relay")));
  const http::ServerResponse verbose = Get("/readyz", "verbose");
  EXPECT_EQ(verbose.status, 200);
  EXPECT_EQ(verbose.body, "ready\n[-] relay shop: waits: broker away\n");
}

TEST_F(StatusPagesTest, MetricsAreInPrometheusText) {
  const RelayProbe probe(registry_, "shop");
  const http::ServerResponse response = Get("/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.content_type, StartsWith("text/plain; version=0.0.4"));
  EXPECT_THAT(response.body, HasSubstr("outrider_"));
}

TEST_F(StatusPagesTest, OnlyReadingIsAnswered) {
  http::ServerRequest request;
  request.method = "POST";
  request.path = "/healthz";
  EXPECT_EQ(Serve(request).status, 405);
  request.method = "HEAD";
  EXPECT_EQ(Serve(request).status, 200);
}

TEST_F(StatusPagesTest, WhatIsNotThereIsSaidWithWhatIs) {
  EXPECT_EQ(Get("/").status, 404);
  EXPECT_THAT(Get("/nothing").body, HasSubstr("/readyz?verbose"));
}

TEST_F(StatusPagesTest, TheApiIsGuardedByItsTokenAlone) {
  token_ = Secret("t0k3n");
  EXPECT_EQ(Get("/api/v1/records").status, 401);
  EXPECT_THAT(Get("/api/v1/records").body, Not(HasSubstr("t0k3n")));
  EXPECT_EQ(Get("/healthz").status, 200);
  http::ServerRequest request;
  request.method = "GET";
  request.path = "/api/v1/records";
  request.headers = {{"authorization", "Bearer t0k3n"}};
  EXPECT_EQ(Serve(request).status, 404);
  request.headers = {{"authorization", "Bearer t0k3"}};
  EXPECT_EQ(Serve(request).status, 401);
}

}  // namespace
}  // namespace outrider::app
