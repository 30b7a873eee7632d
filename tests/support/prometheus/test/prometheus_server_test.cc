#include "tests/support/prometheus/prometheus_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "tests/support/process/wait_until.h"
#include "tests/support/prometheus/test/metrics_page.h"

namespace outrider::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

constexpr milliseconds kInterval{200};

// Prometheus takes 5 s to notice its targets, so the servers that scrape are started together, once.
class ScrapingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    page_ = std::make_unique<MetricsPage>();
    page_->Add("ops", 3);
    page_->Add("shop", 4);
    const auto start = std::chrono::steady_clock::now();
    server_ = PrometheusServer::Start({.targets = {page_->address()}, .interval = kInterval});
    start_took_ = std::chrono::steady_clock::now() - start;
    retargeted_ = PrometheusServer::Start({.interval = kInterval});
    retargeted_->SetTargets({page_->address()});
  }
  static void TearDownTestSuite() {
    retargeted_.reset();
    server_.reset();
    page_.reset();
  }

  inline static std::unique_ptr<MetricsPage> page_;
  inline static std::unique_ptr<PrometheusServer> server_;
  inline static std::unique_ptr<PrometheusServer> retargeted_;
  inline static std::chrono::nanoseconds start_took_{0};
};

TEST_F(ScrapingTest, StartsWithinSeconds) { EXPECT_LT(start_took_, std::chrono::seconds{10}); }

TEST_F(ScrapingTest, ScrapesItsTargetsAgainAndAgain) {
  ASSERT_TRUE(server_->WaitForValue("sent_total{channel='shop'}", 4));
  const auto samples = server_->Query("sent_total{channel='shop'}");
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(samples[0].value, 4);
  EXPECT_EQ(samples[0].labels.at("__name__"), "sent_total");
  EXPECT_EQ(samples[0].labels.at("channel"), "shop");
  EXPECT_EQ(samples[0].labels.at("job"), "outrider");
  EXPECT_EQ(samples[0].labels.at("instance"), page_->address());
  page_->Add("mail", 1);
  EXPECT_TRUE(server_->WaitForValue("sent_total{channel='mail'}", 1));
}

TEST_F(ScrapingTest, SeveralSeriesAreNotAValue) {
  ASSERT_TRUE(server_->WaitForValue("sent_total{channel='ops'}", 3));
  EXPECT_THROW((void)server_->Value("sent_total"), std::runtime_error);
  EXPECT_EQ(server_->Value("no_such_metric"), std::nullopt);
}

TEST_F(ScrapingTest, TakesOtherTargetsWhileItRuns) {
  EXPECT_TRUE(retargeted_->WaitForValue("sent_total{channel='ops'}", 3));
}

TEST(PrometheusServerTest, ComputesAndTellsWhatIsWrongWithAnExpression) {
  const auto server = PrometheusServer::Start({});
  EXPECT_EQ(server->Value("1 + 2"), 3);
  EXPECT_EQ(server->Value("vector(-1.5e3)"), -1500);
  EXPECT_EQ(server->Value("vector(1) / 0"), INFINITY);
  EXPECT_TRUE(std::isnan(server->Value("0 / vector(0)").value()));
  EXPECT_THAT([&] { (void)server->Value("sum("); }, ThrowsMessage<std::runtime_error>(HasSubstr("parse error")));
}

TEST(PrometheusServerTest, EvaluatesRulesAndAlerts) {
  const TempDir folder;
  const auto file = folder.path() / "rules.yml";
  WriteTextFile(file, R"(
groups:
  - name: test
    rules:
      - record: sent:all
        expr: vector(10)
      - alert: TooMany
        expr: sent:all > 5
        labels: {severity: page}
        annotations: {summary: "{{ $value }} were sent"}
      - alert: TooFew
        expr: sent:all < 5
)");
  const auto server = PrometheusServer::Start({.interval = kInterval, .rule_files = {file}});
  ASSERT_TRUE(server->WaitForValue("sent:all", 10));
  ASSERT_TRUE(WaitUntil([&] { return !server->Alerts().empty(); }));
  ASSERT_THAT(server->Alerts(), SizeIs(1));
  const PrometheusAlert alert = server->Alerts().at(0);
  EXPECT_EQ(alert.name, "TooMany");
  EXPECT_EQ(alert.state, "firing");
  EXPECT_EQ(alert.labels.at("severity"), "page");
  EXPECT_EQ(alert.annotations.at("summary"), "10 were sent");
}

TEST(PrometheusServerTest, RefusesFaultyRulesWithItsReason) {
  const TempDir folder;
  const auto file = folder.path() / "rules.yml";
  WriteTextFile(file, "groups: [{name: x, rules: [{record: y, expr: 'sum('}]}]");
  EXPECT_THAT([&] { PrometheusServer::Start({.rule_files = {file}}); },
              ThrowsMessage<std::runtime_error>(HasSubstr("could not parse expression")));
}

TEST(PrometheusServerTest, StopsPausesAndComesBackWithItsData) {
  const TempDir folder;
  const auto file = folder.path() / "rules.yml";
  WriteTextFile(file, "groups: [{name: x, rules: [{record: before, expr: 'vector(3)'}]}]");
  const auto server = PrometheusServer::Start({.interval = kInterval, .rule_files = {file}});
  ASSERT_TRUE(server->WaitForValue("before", 3));
  const unsigned port = server->port();
  server->Stop();
  EXPECT_THROW((void)server->Query("1"), std::runtime_error);
  WriteTextFile(file, "groups: []");
  server->Restart();
  EXPECT_EQ(server->port(), port);
  EXPECT_EQ(server->Value("last_over_time(before[1m])"), 3);
  server->Pause();
  server->Continue();
  EXPECT_EQ(server->Value("1"), 1);
  server->Kill();
  EXPECT_THROW((void)server->Query("1"), std::runtime_error);
  server->Restart();
  EXPECT_EQ(server->Value("last_over_time(before[1m])"), 3);
}

}  // namespace
}  // namespace outrider::testing
