// What the tests of outbox/ over Kafka share: sinks that must open, rows, and reading a topic.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/event.h"
#include "outbox/kafka_sink.h"
#include "tests/support/kafka/kafka_broker.h"

namespace outrider::outbox {

// The sink, or the error's text as an exception.
std::unique_ptr<KafkaSink> OpenSink(const kafka::KafkaOptions& options);
// A row of "outbox.event.<aggregatetype>" whose payload is {"n": seq}.
OutboxRow RowOf(std::uint64_t seq, const std::string& aggregatetype, const std::string& key);
// Submits it, polling while the sink is full or being rebuilt; throws for any other refusal.
void Submit(KafkaSink& sink, const OutboxRow& row, std::vector<PublishReport>& reports);
// Polls until that many reports are there; throws when they aren't.
void AwaitReports(KafkaSink& sink, std::size_t count, std::vector<PublishReport>& reports);
// A random aggregatetype whose topic exists.
std::string NewAggregateType(const testing::KafkaBroker& broker, int partitions = 1,
                             const std::map<std::string, std::string>& config = {});
// The first `count` events of the aggregatetype's topic, and no more than there are after a while: copies count too.
std::vector<Event> Read(const kafka::KafkaOptions& options, const std::string& aggregatetype, std::size_t count);

}  // namespace outrider::outbox
