// KafkaSink: publishes outbox rows as Debezium's outbox event router does (topic outbox.event.<aggregatetype>, or the
// route's; key
// aggregateid, value payload, headers id, eventType, createdAt, traceparent and tracestate). Rebuilds its producer
// after a fatal error. Threads: the relay's own. See EventSink for what a crash loses.
#pragma once

#include <memory>

#include "outbox/event_sink.h"
#include "outbox/routes.h"
#include "platform/kafka/options.h"

namespace outrider::outbox {

class KafkaSink final : public EventSink {
 public:
  static Result<std::unique_ptr<KafkaSink>> Create(const kafka::KafkaOptions& options, Routes routes = {});
  ~KafkaSink() override;
  Result<void> Submit(const OutboxRow& row) override;
  void Poll(std::chrono::milliseconds wait, std::vector<PublishReport>& reports) override;
  void Abandon() override;
  std::size_t outstanding() const override;
  std::string trouble() const override;

 private:
  struct State;
  explicit KafkaSink(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace outrider::outbox
