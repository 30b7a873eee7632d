#include "app/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/config_files.h"

namespace outrider::app {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigFiles files_;
};

TEST_F(ConfigTest, ADatabaseAndTransportDirectAreEnough) {
  const ConfigReading reading = files_.Read(kLeast);
  EXPECT_THAT(reading.faults, IsEmpty());
  EXPECT_EQ(reading.config.database.user, "outrider");
  EXPECT_EQ(reading.config.api_listen, "127.0.0.1:8080");
  EXPECT_EQ(reading.config.delivery.max_age, hours{72});
  EXPECT_EQ(reading.config.retry, RetryPolicy{});
}

TEST_F(ConfigTest, TheExampleOfTheManualIsValid) {
  const std::string file = DOCS_FOLDER "/examples/outrider.yaml";
  const std::string secret = files_.Write("secret", "https://open.feishu.cn/open-apis/bot/v2/hook/abc\n");
  const ConfigReading reading =
      ReadConfig({{file},
                  {},
                  {"database.password_file=" + secret, "sources.0.password_file=" + secret, "api.token_file=" + secret,
                   "channels.ops-alerts.webhook_url_file=" + secret, "channels.ops-alerts.secret_file=" + secret,
                   "sealing.keys.0.key_file=" + files_.Write("key", std::string(64, '7'))}});
  EXPECT_THAT(reading.faults, IsEmpty());
  EXPECT_EQ(reading.config.transport, Transport::kKafka);
  EXPECT_EQ(reading.config.channels.size(), 1u);
}

constexpr char kRouted[] = R"(
database: {url: "mysql://outrider:pw@db/outrider"}
kafka: {brokers: "k1:9092"}
sources: [{name: shop, url: "mysql://relay:pw@db/shop", routes: {order: shop.orders, invoice: shop.invoices}, routes_only: true}]
)";

TEST_F(ConfigTest, RoutesOfASourceAreTaken) {
  const ConfigReading reading = files_.Read(kRouted);
  EXPECT_THAT(reading.faults, IsEmpty());
  const outbox::Routes expected{.topics = {{"order", "shop.orders"}, {"invoice", "shop.invoices"}}, .only = true};
  EXPECT_EQ(reading.config.sources.at(0).routes, expected);
  Config next = reading.config;
  next.sources[0].routes.topics["order"] = "elsewhere";
  EXPECT_THAT(NeedRestart(reading.config, next), ElementsAre("sources"));
}

TEST_F(ConfigTest, ARouteThatIsNoTopicAndRoutesThatMeanNothingAreFaults) {
  EXPECT_THAT(files_
                  .Read(R"(
database: {url: "mysql://outrider:pw@db/outrider"}
kafka: {brokers: "k1:9092"}
sources: [{name: shop, url: "mysql://relay:pw@db/shop", routes: {order: "shop orders", bill: ""}}, {name: b, url: "mysql://relay:pw@db/b", routes_only: true}]
)")
                  .faults,
              UnorderedElementsAre(AllOf(HasSubstr("sources[0].routes.order"), HasSubstr("character")),
                                   AllOf(HasSubstr("sources[0].routes.bill"), HasSubstr("empty")),
                                   AllOf(HasSubstr("sources[1].routes_only"), HasSubstr("nothing"))));
  EXPECT_THAT(files_
                  .Read(R"(
database: {url: "mysql://outrider:pw@db/outrider"}
transport: direct
sources: [{name: shop, url: "mysql://relay:pw@db/shop", routes: {order: orders}}]
)")
                  .faults,
              ElementsAre(HasSubstr("sources[0].routes has no meaning")));
}

TEST_F(ConfigTest, EverySettingOfEverySectionIsTaken) {
  const ConfigReading reading = files_.Read(R"(
database: {url: "mysql://outrider:pw@db:3307/outrider", migrate_url: "mysql://admin:pw@db:3307/outrider"}
sources:
  - {name: shop, url: "mysql://relay@db:3307/shop", password: pw, migrate_url: "mysql://admin@db/shop", table: events}
transport: kafka
kafka:
  brokers: "k1:9092,k2:9092"
  topics: [outbox.event.notification, other]
  group: mine
  properties: {client.id: outrider-1}
retry: {max_attempts: 7, base: 10s, max: 2m, jitter: 0.1}
api: {listen: "127.0.0.1:9999", token: t0k3n}
allow_insecure_targets: true
log: {level: debug, format: json}
relay: {lease: 5s, batch_rows: 100}
delivery: {lease: 30s, call_deadline: 10s, max_age: 3d, dedupe_memory: 60d, max_in_flight: 32}
grace: 3s
)");
  EXPECT_THAT(reading.faults, IsEmpty());
  const Config& config = reading.config;
  EXPECT_EQ(config.database.port, 3307u);
  EXPECT_EQ(config.migrate->user, "admin");
  ASSERT_EQ(config.sources.size(), 2u);
  EXPECT_EQ(config.sources[0].name, "shop");
  EXPECT_EQ(config.sources[0].table, "events");
  EXPECT_EQ(config.sources[0].database.password.Reveal(), "pw");
  EXPECT_EQ(config.sources[0].migrate->user, "admin");
  EXPECT_EQ(config.kafka.brokers, "k1:9092,k2:9092");
  EXPECT_THAT(config.topics, ElementsAre("outbox.event.notification", "other"));
  EXPECT_EQ(config.group, "mine");
  EXPECT_EQ(config.kafka.properties.at("client.id"), "outrider-1");
  EXPECT_EQ(config.retry.max_attempts, 7);
  EXPECT_EQ(config.retry.base, milliseconds{10'000});
  EXPECT_EQ(config.api_token.Reveal(), "t0k3n");
  EXPECT_TRUE(config.allow_insecure_targets);
  EXPECT_EQ(config.log.level, LogLevel::kDebug);
  EXPECT_TRUE(config.log.json);
  EXPECT_EQ(config.relay.lease, milliseconds{5'000});
  EXPECT_EQ(config.relay.batch_rows, 100);
  EXPECT_EQ(config.delivery.dedupe_memory, hours{60 * 24});
  EXPECT_EQ(config.delivery.max_in_flight, 32);
  EXPECT_EQ(config.grace, milliseconds{3'000});
}

TEST_F(ConfigTest, TheDatabasesOwnOutboxIsTheLastSource) {
  const ConfigReading reading = files_.ReadMore("sources: [{name: shop, url: \"mysql://r@127.0.0.1/shop\"}]\n");
  ASSERT_EQ(reading.config.sources.size(), 2u);
  EXPECT_EQ(reading.config.sources[1].name, "outrider");
  EXPECT_EQ(reading.config.sources[1].database.database, "outrider");
}

TEST_F(ConfigTest, TheDatabasesOwnOutboxIsNotRelayedTwice) {
  const ConfigReading reading = files_.ReadMore("sources: [{name: own, url: \"mysql://r@127.0.0.1/outrider\"}]\n");
  EXPECT_THAT(reading.faults, IsEmpty());
  ASSERT_EQ(reading.config.sources.size(), 1u);
  EXPECT_EQ(reading.config.sources[0].name, "own");
}

TEST_F(ConfigTest, AnEmptyConfigurationSaysWhatIsNeeded) {
  EXPECT_THAT(files_.Read("").faults,
              UnorderedElementsAre(StartsWith("database.url: is missing"), StartsWith("kafka.brokers: is missing")));
}

TEST_F(ConfigTest, EveryFaultIsNamedAtOnceWithItsPlace) {
  const ConfigReading reading = files_.Read(R"(
database: {url: "postgres://x"}
transport: carrier-pigeon
grace: soon
api: {lissen: "127.0.0.1:1"}
relay: {batch_rows: many}
log: {level: loud, format: xml}
)");
  EXPECT_THAT(
      reading.faults,
      UnorderedElementsAre(
          AllOf(StartsWith("database.url: "), EndsWith("outrider.yaml:2)")),
          AllOf(StartsWith("transport: must be kafka or direct"), EndsWith("outrider.yaml:3)")),
          StartsWith("kafka.brokers: is missing"),
          AllOf(StartsWith("grace: must be a duration"), EndsWith("outrider.yaml:4)")),
          AllOf(StartsWith("api.lissen: is not a setting; did you mean \"listen\"?"), EndsWith("outrider.yaml:5)")),
          AllOf(StartsWith("relay.batch_rows: must be a whole number from 1 to 10000"), EndsWith("outrider.yaml:6)")),
          AllOf(StartsWith("log.level: must be debug, info, warn or error"), EndsWith("outrider.yaml:7)")),
          AllOf(StartsWith("log.format: must be text or json"), EndsWith("outrider.yaml:7)"))));
}

TEST_F(ConfigTest, UnknownKeysAreFaultsInEverySection) {
  for (const std::string yaml :
       {"databose: {}\n", "sources: [{name: a, url: \"mysql://r@h/a\", nome: b}]\n", "kafka: {broker: x}\n",
        "retry: {attempts: 3}\n", "channels: {c: {provider: mock, modus: x}}\n",
        "channels: {c: {provider: mock, rate: {per_hour: 1}}}\n",
        "channels: {c: {provider: mock, dedupe: {open: []}}}\n", "api: {port: 1}\n", "log: {lovel: info}\n",
        "relay: {leese: 1s}\n", "delivery: {max_old: 1h}\n"}) {
    EXPECT_THAT(files_.ReadMore(yaml).faults, ElementsAre(HasSubstr("is not a setting"))) << yaml;
  }
}

TEST_F(ConfigTest, ASuggestionIsMadeOnlyWhenItIsNear) {
  EXPECT_THAT(files_.ReadMore("chanels: {}\n").faults, ElementsAre(HasSubstr("did you mean \"channels\"?")));
  EXPECT_THAT(files_.ReadMore("quux_settings: {}\n").faults, ElementsAre(Not(HasSubstr("did you mean"))));
}

TEST_F(ConfigTest, AValueOfTheWrongShapeIsAFault) {
  EXPECT_THAT(files_.ReadMore("api: here\n").faults, ElementsAre(HasSubstr("api: must be a map of settings")));
  EXPECT_THAT(files_.ReadMore("api: {listen: [a]}\n").faults, ElementsAre(HasSubstr("must be one value")));
  EXPECT_THAT(files_.ReadMore("sources: {name: shop}\n").faults, ElementsAre(HasSubstr("sources: must be a list")));
  EXPECT_THAT(files_.ReadMore("kafka: {topics: {a: b}}\n").faults, ElementsAre(HasSubstr("must be a list")));
  EXPECT_THAT(files_.ReadMore("kafka: {topics: [[a]]}\n").faults, ElementsAre(HasSubstr("a list of plain values")));
  EXPECT_THAT(files_.ReadMore("allow_insecure_targets: maybe\n").faults, ElementsAre(HasSubstr("true or false")));
}

TEST_F(ConfigTest, DedupeMemoryAndMaxAgeAreWholeHours) {
  EXPECT_THAT(files_.ReadMore("delivery: {max_age: 90m}\n").faults, ElementsAre(HasSubstr("must be whole hours")));
  EXPECT_THAT(files_.ReadMore("delivery: {dedupe_memory: 0s}\n").faults, ElementsAre(HasSubstr("must be whole hours")));
}

TEST_F(ConfigTest, ACallMayNotOutliveItsClaim) {
  EXPECT_THAT(
      files_.ReadMore("delivery: {lease: 20s, call_deadline: 16s}\n").faults,
      ElementsAre(HasSubstr("delivery.call_deadline: (16s) must be at most three quarters of delivery.lease (20s)")));
  EXPECT_THAT(files_.ReadMore("delivery: {lease: 20s, call_deadline: 15s}\n").faults, IsEmpty());
}

TEST_F(ConfigTest, SourcesAreToldApart) {
  EXPECT_THAT(
      files_.ReadMore("sources: [{name: a, url: \"mysql://r@h/x\"}, {name: a, url: \"mysql://r@h/y\"}]\n").faults,
      ElementsAre(HasSubstr("sources[1].name: \"a\" stands twice")));
  EXPECT_THAT(
      files_.ReadMore("sources: [{name: a, url: \"mysql://r@h/x\"}, {name: b, url: \"mysql://r@h/x\"}]\n").faults,
      ElementsAre(HasSubstr("sources[1].url: is the same table as source \"a\"")));
  EXPECT_THAT(files_
                  .ReadMore("sources: [{name: a, url: \"mysql://r@h/x\"}, {name: b, url: \"mysql://r@h/x\", table: "
                            "outbox2}]\n")
                  .faults,
              IsEmpty());
  EXPECT_THAT(files_.ReadMore("sources: [{name: outrider, url: \"mysql://r@h/x\"}]\n").faults,
              ElementsAre(HasSubstr("is the database's own outbox")));
  EXPECT_THAT(files_.ReadMore("sources: [{url: \"mysql://r@h/x\", table: \"\"}]\n").faults,
              UnorderedElementsAre(HasSubstr("sources[0].name: is missing"), HasSubstr("sources[0].table: must be")));
  EXPECT_THAT(files_.ReadMore("sources: [{name: a}]\n").faults, ElementsAre(HasSubstr("sources[0].url: is missing")));
  EXPECT_THAT(files_.ReadMore("sources: [{name: a, url: \"mysql://r@h\"}]\n").faults,
              ElementsAre(HasSubstr("names no database")));
}

TEST_F(ConfigTest, KafkaPropertiesThatSafetyRestsOnAreRefused) {
  const ConfigReading reading = files_.ReadMore("kafka: {properties: {acks: \"1\", enable.auto.commit: \"true\"}}\n");
  EXPECT_THAT(reading.faults, UnorderedElementsAre(AllOf(StartsWith("kafka.properties: "), HasSubstr("acks")),
                                                   HasSubstr("enable.auto.commit")));
}

TEST_F(ConfigTest, TransportKafkaNeedsBrokersTopicsAndAGroup) {
  const ConfigReading reading =
      files_.Read("database: {url: \"mysql://o@h/outrider\"}\nkafka: {topics: [], group: \"\"}\n");
  EXPECT_THAT(reading.faults,
              UnorderedElementsAre(HasSubstr("kafka.brokers: is missing"), HasSubstr("kafka.topics: is empty"),
                                   HasSubstr("kafka.group: is empty")));
}

TEST_F(ConfigTest, AListFromTheEnvironmentIsWordsBetweenCommas) {
  const ConfigReading reading = files_.ReadMore("", {"OUTRIDER_KAFKA__TOPICS=a, b,,c"});
  EXPECT_THAT(reading.config.topics, ElementsAre("a", "b", "c"));
}

TEST_F(ConfigTest, ShowTellsValuesAndWhereTheyCameFrom) {
  const ConfigReading reading = files_.ReadMore("grace: 90s\n", {"OUTRIDER_LOG__LEVEL=warn"}, {"relay.batch_rows=7"});
  EXPECT_EQ(Shown(reading, "grace"), "1m30s");
  EXPECT_THAT(OriginOf(reading, "grace"), EndsWith("outrider.yaml:3"));
  EXPECT_EQ(Shown(reading, "log.level"), "warn");
  EXPECT_EQ(OriginOf(reading, "log.level"), "environment OUTRIDER_LOG__LEVEL");
  EXPECT_EQ(Shown(reading, "relay.batch_rows"), "7");
  EXPECT_EQ(OriginOf(reading, "relay.batch_rows"), "flag --set relay.batch_rows");
  EXPECT_EQ(OriginOf(reading, "delivery.max_age"), "default");
}

TEST_F(ConfigTest, RootSettingsAreThoseThatStandOutsideSections) {
  const ConfigReading reading = files_.Read(kLeast);
  std::vector<std::string> plain;
  for (const EffectiveSetting& setting : reading.effective) {
    if (setting.path.find('.') == std::string::npos) plain.push_back(setting.path);
  }
  EXPECT_THAT(plain, ::testing::UnorderedElementsAreArray(RootSettings().begin(), RootSettings().end()));
}

// Every secret there is, under a word of its own.
TEST_F(ConfigTest, NoSecretIsInAFaultOrAnEffectiveValue) {
  const std::string file = files_.Write("secret", "canary-file\n");
  const std::string yaml = fmt::format(R"(
database: {{url: "mysql://u:canary-url@h:99999/db?x", password: canary-password, migrate_url: "mysql://u:canary-migrate@h/"}}
sources:
  - {{name: s, url: "mysql://u:canary-source@h/s", password_file: {0}, migrate_url: "mysql://u:canary-m2@h/s"}}
kafka: {{properties: {{sasl.password: canary-kafka, ssl.key.pem: canary-key, sasl.oauthbearer.client.secret_file: {0}}}}}
api: {{token: canary-token, token_file: {0}}}
channels:
  ops: {{provider: feishu_bot, webhook_url: "https://canary-hook.example/x", secret: " canary-sign "}}
  ops2: {{provider: feishu_bott, webhook_url: "https://canary-hook2.example/x"}}
)",
                                       file);
  const ConfigReading reading = files_.Read(yaml, {"OUTRIDER_CHANNELS__OPS__SECRET_FILE=" + file}, {"canary-flag"});
  EXPECT_GT(reading.faults.size(), 4u);
  for (const std::string& fault : reading.faults) EXPECT_THAT(fault, Not(HasSubstr("canary")));
  for (const EffectiveSetting& setting : reading.effective) {
    EXPECT_THAT(setting.value, Not(HasSubstr("canary"))) << setting.path;
  }
}

TEST_F(ConfigTest, AUrlIsShownWithoutItsPassword) {
  const ConfigReading reading = files_.Read("database: {url: \"mysql://u:pw@h:3307/db\"}\ntransport: direct\n");
  EXPECT_EQ(Shown(reading, "database.url"), "mysql://u:***@h:3307/db");
}

TEST_F(ConfigTest, EverySecretTakesAFileTwin) {
  const std::string password = files_.Write("password", "p@ss word\n");
  const std::string url = files_.Write("url", "mysql://u@h/db\r\n");
  const std::string hook = files_.Write("hook", "https://open.feishu.cn/open-apis/bot/v2/hook/abc");
  const std::string yaml = fmt::format(R"(
database: {{url_file: {1}, password_file: {0}, migrate_url_file: {1}}}
sources: [{{name: s, url_file: {1}, password_file: {0}, table: t}}]
kafka: {{brokers: b, properties: {{sasl.password_file: {0}}}}}
api: {{token_file: {0}}}
channels: {{ops: {{provider: feishu_bot, webhook_url_file: {2}, secret_file: {0}}}}}
)",
                                       password, url, hook);
  const ConfigReading reading = files_.Read(yaml);
  EXPECT_THAT(reading.faults, IsEmpty());
  EXPECT_EQ(reading.config.database.password.Reveal(), "p@ss word");
  EXPECT_EQ(reading.config.database.database, "db");
  EXPECT_EQ(reading.config.migrate->database, "db");
  EXPECT_EQ(reading.config.sources[0].database.password.Reveal(), "p@ss word");
  EXPECT_EQ(reading.config.kafka.properties.at("sasl.password"), "p@ss word");
  EXPECT_EQ(reading.config.api_token.Reveal(), "p@ss word");
  EXPECT_EQ(reading.config.channels[0].settings.at("secret").Reveal(), "p@ss word");
  EXPECT_EQ(Shown(reading, "api.token_file"), password);
  EXPECT_THAT(reading.files, Contains(hook)) << "so that a changed secret is seen";
}

TEST_F(ConfigTest, AFileTwinThatCannotBeReadIsTheOnlyFault) {
  const std::string none = files_.folder() + "/none";
  EXPECT_THAT(files_.Read("database: {url_file: " + none + "}\ntransport: direct\n").faults,
              ElementsAre(AllOf(StartsWith("database.url_file: names \"" + none + "\", which can't be read"),
                                EndsWith("outrider.yaml:1)"))));
  EXPECT_THAT(files_.ReadMore("api: {token_file: " + files_.folder() + "}\n").faults,
              ElementsAre(HasSubstr("can't be read")));
  EXPECT_THAT(files_.ReadMore("api: {token_file: " + files_.Write("empty", "\n") + "}\n").faults,
              ElementsAre(HasSubstr("is empty")));
  EXPECT_THAT(files_.ReadMore("api: {token_file: " + files_.Write("big", std::string(70'000, 'x')) + "}\n").faults,
              ElementsAre(HasSubstr("larger than 65536 bytes")));
}

TEST_F(ConfigTest, ASecretAndItsFileTwinExcludeEachOther) {
  const std::string file = files_.Write("token", "t");
  EXPECT_THAT(files_.ReadMore("api: {token: t, token_file: " + file + "}\n").faults,
              ElementsAre(HasSubstr("api.token_file: stands beside \"token\"")));
  EXPECT_THAT(files_.ReadMore("api: {token: t}\n", {}, {"api.token_file=" + file}).faults,
              ElementsAre(HasSubstr("stands beside")));
  EXPECT_THAT(files_.Read("database: {url: \"mysql://u:a@h/d\", password: b}\ntransport: direct\n").faults,
              ElementsAre(HasSubstr("is given here and in the URL")));
}

TEST_F(ConfigTest, KafkaPropertiesComeFromTheEnvironmentToo) {
  const std::string file = files_.Write("password", "pw");
  const ConfigReading reading = files_.ReadMore(
      "", {"OUTRIDER_KAFKA__PROPERTIES__SASL_USERNAME=me", "OUTRIDER_KAFKA__PROPERTIES__SASL_PASSWORD_FILE=" + file});
  EXPECT_THAT(reading.faults, IsEmpty());
  EXPECT_EQ(reading.config.kafka.properties.at("sasl.username"), "me");
  EXPECT_EQ(reading.config.kafka.properties.at("sasl.password"), "pw");
}

TEST_F(ConfigTest, WhatNeedsARestartIsNamed) {
  const Config before = files_.ReadMore("channels: {a: {provider: mock}}\n").config;
  EXPECT_THAT(NeedRestart(before, before), IsEmpty());
  EXPECT_THAT(NeedRestart(before, files_
                                      .ReadMore("channels: {b: {provider: mock}}\nretry: {max_attempts: 2}\n"
                                                "log: {level: debug}\n")
                                      .config),
              IsEmpty());
  const Config after = files_
                           .Read(R"(
database: {url: "mysql://outrider@127.0.0.1:3306/outrider", password: changed}
transport: kafka
kafka: {brokers: b}
allow_insecure_targets: true
api: {listen: "127.0.0.1:1"}
relay: {batch_rows: 1}
delivery: {max_in_flight: 1}
log: {format: json}
grace: 1s
)")
                           .config;
  EXPECT_THAT(NeedRestart(before, after),
              ElementsAre("database", "sources", "transport", "kafka", "allow_insecure_targets", "api", "relay",
                          "delivery", "log.format", "grace"));
}

}  // namespace
}  // namespace outrider::app
