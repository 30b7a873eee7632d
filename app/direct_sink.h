// DirectSink: `transport: direct`, the embedded form without Kafka: the relay's batches go straight into ingest.
//
// Threads: the relay's own. One process at a time works a source, because the relay's lease guards it. A report is
// kStored only once ingest's transaction has committed; on a crash before the relay's delete the rows come again and
// are counted as copies. A private request that comes while no sealing key is configured is poison: it is moved aside
// in the application's own database, where it stands in clear anyway, and a person brings it back.
#pragma once

#include <string>
#include <vector>

#include "consumer/ingest.h"
#include "consumer/kafka_ingest.h"
#include "outbox/event_sink.h"
#include "platform/crypto/sealer.h"

namespace outrider::app {

// "direct:<source>": the topic in whose name a source's shard stands.
std::string DirectTopic(std::string_view source);

class DirectSink final : public outbox::EventSink {
 public:
  DirectSink(std::string source, consumer::Ingest& ingest, consumer::ShardOwner& shards,
             const crypto::Sealer* sealer = nullptr);
  Result<void> Submit(const outbox::OutboxRow& row) override;
  void Poll(std::chrono::milliseconds wait, std::vector<outbox::PublishReport>& reports) override;
  void Abandon() override;
  std::size_t outstanding() const override;
  std::string trouble() const override;

 private:
  std::string topic_;
  consumer::Ingest& ingest_;
  consumer::ShardOwner& shards_;
  const crypto::Sealer* const sealer_;
  std::vector<Event> waiting_;
  bool abandoned_ = false;
  std::string trouble_;
};

}  // namespace outrider::app
