#include "app/direct_sink.h"

#include <fmt/format.h>

#include <utility>

#include "consumer/sealed_request.h"
#include "model/time.h"

namespace outrider::app {
namespace {

constexpr std::size_t kMaxWaiting = 10'000;

Event ToEvent(const std::string& topic, const outbox::OutboxRow& row) {
  Event event;
  event.position = {topic, 0, static_cast<std::int64_t>(row.seq)};
  event.key = row.aggregateid;
  event.value = row.payload;
  event.headers = {{"id", row.id}, {"eventType", row.type}, {"createdAt", FormatRfc3339(row.created_at)}};
  if (row.traceparent) event.headers.push_back({"traceparent", row.traceparent});
  if (row.tracestate) event.headers.push_back({"tracestate", row.tracestate});
  event.timestamp = row.created_at;
  return event;
}

}  // namespace

std::string DirectTopic(std::string_view source) { return fmt::format("direct:{}", source); }

DirectSink::DirectSink(std::string source, consumer::Ingest& ingest, consumer::ShardOwner& shards,
                       const crypto::Sealer* sealer)
    : topic_(DirectTopic(source)), ingest_(ingest), shards_(shards), sealer_(sealer) {}

Result<void> DirectSink::Submit(const outbox::OutboxRow& row) {
  if (waiting_.size() >= kMaxWaiting) return Fail(ErrorCode::kUnavailable, "the batch for ingest is full");
  Event event = ToEvent(topic_, row);
  if (consumer::LacksKey(event, sealer_)) {
    return Fail(ErrorCode::kInvalid,
                "the request is private, and no key is configured to seal it under (sealing.keys)");
  }
  waiting_.push_back(std::move(event));
  return {};
}

void DirectSink::Poll(std::chrono::milliseconds, std::vector<outbox::PublishReport>& reports) {
  if (waiting_.empty()) return;
  std::string problem = "given up";
  bool stored = false;
  if (!abandoned_) {
    const Result<consumer::IngestCounts> counts = ingest_.Store(waiting_);
    stored = counts.has_value();
    if (stored && !counts->waiting.empty()) shards_.Stored(counts->waiting);
    problem = trouble_ = stored ? "" : counts.error().message;
  }
  for (const Event& event : waiting_) {
    reports.push_back({static_cast<std::uint64_t>(event.position.offset),
                       stored ? outbox::PublishReport::Kind::kStored : outbox::PublishReport::Kind::kNotStored, topic_,
                       0, event.position.offset, problem});
  }
  waiting_.clear();
  abandoned_ = false;
}

void DirectSink::Abandon() { abandoned_ = !waiting_.empty(); }

std::size_t DirectSink::outstanding() const { return waiting_.size(); }

std::string DirectSink::trouble() const { return trouble_; }

}  // namespace outrider::app
