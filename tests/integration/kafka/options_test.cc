// What users may set, and the words for what they may not.
#include "platform/kafka/options.h"

#include <gmock/gmock.h>

#include "platform/kafka/consumer.h"
#include "platform/kafka/producer.h"

namespace outrider::kafka {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST(KafkaPropertiesTest, WhatSafetyDoesNotRestOnMayBeSet) {
  EXPECT_THAT(CheckProperties({{"security.protocol", "sasl_ssl"},
                               {"sasl.mechanisms", "PLAIN"},
                               {"sasl.username", "outrider"},
                               {"sasl.password", "secret"},
                               {"compression.type", "zstd"},
                               {"linger.ms", "20"},
                               {"session.timeout.ms", "30000"}}),
              IsEmpty());
}

class RefusedPropertyTest : public ::testing::TestWithParam<std::string> {};

TEST_P(RefusedPropertyTest, IsNamedWithAReason) {
  const auto faults = CheckProperties({{GetParam(), "1"}});
  ASSERT_THAT(faults, SizeIs(1));
  EXPECT_THAT(faults[0], HasSubstr("Kafka property " + GetParam() + " can't be set: "));
}

INSTANTIATE_TEST_SUITE_P(Names, RefusedPropertyTest,
                         ::testing::Values("acks", "request.required.acks", "enable.idempotence", "max.in.flight",
                                           "max.in.flight.requests.per.connection", "retries",
                                           "message.send.max.retries", "message.timeout.ms", "delivery.timeout.ms",
                                           "partitioner", "auto.offset.reset", "enable.auto.commit",
                                           "enable.auto.offset.store", "isolation.level", "bootstrap.servers",
                                           "metadata.broker.list", "group.id", "transactional.id",
                                           "partition.assignment.strategy"));

TEST(KafkaPropertiesTest, EverythingWrongIsNamedAtOnce) {
  EXPECT_THAT(CheckProperties({{"acks", "1"}, {"linger.ms", "soon"}, {"lingr.ms", "5"}, {"client.id", "fine"}}),
              ElementsAre(HasSubstr("acks can't be set: "), AllOf(HasSubstr("linger.ms: "), HasSubstr("Invalid")),
                          HasSubstr("lingr.ms: No such")));
}

TEST(KafkaPropertiesTest, ASecretThatIsNoValidValueIsNotQuoted) {
  const auto faults = CheckProperties({{"ssl.key.pem", "hunter2"}, {"sasl.oauthbearer.method", "hunter2"}});
  for (const std::string& fault : faults) EXPECT_THAT(fault, Not(HasSubstr("hunter2")));
}

TEST(KafkaPropertiesTest, NoClientOpensWithARefusedProperty) {
  const KafkaOptions options{"127.0.0.1:1", {{"acks", "1"}, {"lingr.ms", "5"}}};
  const auto producer = KafkaProducer::Create(options);
  ASSERT_FALSE(producer.has_value());
  EXPECT_EQ(producer.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(producer.error().message, AllOf(HasSubstr("acks"), HasSubstr("lingr.ms")));
  const auto consumer = KafkaConsumer::Create(options, "group", {"topic"}, {});
  ASSERT_FALSE(consumer.has_value());
  EXPECT_EQ(consumer.error().code, ErrorCode::kInvalid);
}

TEST(KafkaPropertiesTest, PropertiesThatContradictEachOtherAreFoundWhenAClientOpens) {
  const auto consumer =
      KafkaConsumer::Create({"127.0.0.1:1", {{"max.poll.interval.ms", "2000"}}}, "group", {"topic"}, {});
  ASSERT_FALSE(consumer.has_value());
  EXPECT_EQ(consumer.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(consumer.error().message, HasSubstr("session.timeout.ms"));
}

}  // namespace
}  // namespace outrider::kafka
